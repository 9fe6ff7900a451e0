#!/bin/bash
# Writes the passwords of an installation into base/secrets/, for its owner alone; never over ones that are there.
# kustomize makes Kubernetes' Secrets of them. Keep the folder: it is in no repository.
set -euo pipefail
umask 077
cd -- "$(dirname -- "$0")/base"
if [[ -e secrets ]]; then
    echo "secrets.sh: base/secrets is there already; the databases know these passwords" >&2
    exit 2
fi
new() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
partial="$(mktemp -d secrets.XXXXXX)"
trap 'rm -rf "$partial"' EXIT
ledger="$(new)"
mlflow="$(new)"
admin="$(new)"
uri="postgresql://mlflow:$mlflow@postgresql:5432/mlflow"
printf 'postgres_password=%s\nledger_password=%s\nmlflow_password=%s\n' "$(new)" "$ledger" "$mlflow" > "$partial/postgresql.env"
printf 'MLFLOW_BACKEND_STORE_URI=%s\nMLFLOW_AUTH_ADMIN_PASSWORD=%s\nMLFLOW_FLASK_SERVER_SECRET_KEY=%s\n' "$uri" "$admin" "$(new)" \
    > "$partial/mlflow.env"
cat > "$partial/auth.ini" <<END
[mlflow]
default_permission = READ
database_uri = $uri
admin_username = admin
authorization_function = mlflow.server.auth:authenticate_request_basic_auth
grant_default_workspace_access = false
END
printf 'PGPASSWORD=%s\nMLFLOW_TRACKING_USERNAME=admin\nMLFLOW_TRACKING_PASSWORD=%s\n' "$ledger" "$admin" > "$partial/rnnbench.env"
mv "$partial" secrets
trap - EXIT
echo "secrets.sh: wrote base/secrets; MLflow's user is admin, its password MLFLOW_TRACKING_PASSWORD in rnnbench.env" >&2
