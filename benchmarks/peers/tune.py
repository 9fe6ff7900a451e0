"""Ray Tune with Lightning and MLflow, as Ray's documentation teaches; with `--reuse`, actors are used again."""

import os
import sys
from pathlib import Path
from typing import Any

os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "MLFLOW_DISABLE_TELEMETRY": "true"}

from model import fit, print_best, read_task
from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback
from ray.tune.integration.pytorch_lightning import TuneReportCheckpointCallback


def train(config: dict[str, Any]) -> None:
    """One trial."""
    fit(Path(config["data"]), config["lr"], [TuneReportCheckpointCallback({"accuracy": "accuracy"}, on="validation_end")])


def main() -> None:
    """Every trial, two at a time on two cores."""
    reuse = "--reuse" in sys.argv
    if reuse:
        sys.argv.remove("--reuse")
    task = read_task()
    tracking = MLflowLoggerCallback(tracking_uri=f"sqlite:///{task.scratch / 'mlflow.db'}", experiment_name="digits")
    tuner = tune.Tuner(
        tune.with_resources(train, {"cpu": 1}),
        param_space={"lr": tune.grid_search(task.rates), "data": str(task.data)},
        tune_config=tune.TuneConfig(metric="accuracy", mode="max", reuse_actors=reuse),
        run_config=tune.RunConfig(name="digits", storage_path=str(task.scratch / "tune"), callbacks=[tracking], verbose=0),
    )
    best = {result.config["lr"]: float(result.metrics_dataframe["accuracy"].max()) for result in tuner.fit()}
    print_best([best[lr] for lr in task.rates])


if __name__ == "__main__":
    main()
