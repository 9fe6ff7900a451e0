#!/bin/bash
# rnnbench with the team's ledger and MLflow where a command takes them.
set -euo pipefail
ledger=(--db postgresql://ledger@db:5432/ledger)
case "${1:-}" in
    sweep | resume | sync) exec rnnbench "$@" "${ledger[@]}" --tracking-uri http://mlflow:5000 ;;
    status | list | show | report | cancel | compare | best | gc) exec rnnbench "$@" "${ledger[@]}" ;;
    *) exec rnnbench "$@" ;;
esac
