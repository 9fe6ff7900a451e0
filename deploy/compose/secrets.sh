#!/bin/bash
# Writes the passwords of a team installation into .env beside this file, for its owner alone; never over one that is there.
#   ./secrets.sh [ADDRESS]    ADDRESS: where MLflow answers; 127.0.0.1 unless one is named
set -euo pipefail
umask 077
cd -- "$(dirname -- "$0")"
address="${1:-127.0.0.1}"
if [[ ! "$address" =~ ^[A-Za-z0-9][A-Za-z0-9.-]*$ ]]; then
    echo "secrets.sh: '$address' is no address: say an IPv4 address of this machine" >&2
    exit 2
fi
if [[ "$address" == 0.0.0.0 ]]; then
    echo "secrets.sh: 0.0.0.0 would answer every network: say which address of this machine" >&2
    exit 2
fi
if [[ -e .env ]]; then
    echo "secrets.sh: .env is there already; its databases know these passwords. To start anew: docker compose down --volumes && rm .env" >&2
    exit 2
fi
new() { od -An -N24 -tx1 /dev/urandom | tr -d ' \n'; }
partial="$(mktemp .env.XXXXXX)"
trap 'rm -f "$partial"' EXIT
cat > "$partial" <<END
RNNBENCH_ADDRESS=$address
POSTGRES_PASSWORD=$(new)
LEDGER_PASSWORD=$(new)
MLFLOW_PASSWORD=$(new)
MLFLOW_ADMIN_PASSWORD=$(new)
MLFLOW_SESSION_KEY=$(new)
S3_KEY=$(new)
CHECKPOINTS_KEY=$(new)
END
mv "$partial" .env
echo "secrets.sh: wrote .env; MLflow's user is admin, its password MLFLOW_ADMIN_PASSWORD there" >&2
