#!/bin/bash
# PostgreSQL runs this once, when its volume is empty: a database and a user for the ledger, and the same for MLflow.
set -euo pipefail
for name in ledger mlflow; do
    secret="/run/secrets/${name}_password"
    psql -v ON_ERROR_STOP=1 --username "$POSTGRES_USER" --dbname postgres -v name="$name" -v password="$(cat "$secret")" <<'SQL'
CREATE ROLE :"name" LOGIN PASSWORD :'password';
CREATE DATABASE :"name" OWNER :"name";
REVOKE ALL ON DATABASE :"name" FROM PUBLIC;
SQL
done
