"""What the benchmarks share: the command line under test, the machine, and the rows that a peer reads."""

import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from rnnbench.base.machine import processor
from rnnbench.task.load import load_task
from rnnbench.trial.spec import TrialSpec

RNNBENCH = (sys.executable, "-c", "from rnnbench.cli.app import main; main()")


def machine() -> dict[str, Any]:
    """What figures are worth nothing without."""
    versions = {name: version(name) for name in ("torch", "lightning", "ray", "mlflow", "optuna")}
    return {"processor": processor(), "cpus": os.cpu_count(), "python": platform.python_version(), "versions": versions}


def write_rows(spec: TrialSpec, path: Path) -> None:
    """The training and validation rows of a trial, as a peer reads them: `train_x`, `train_y`, `validation_x`, `validation_y`."""
    parameters = {name: value for name, value in spec.parameters.items() if name.startswith(("data.", "task."))}
    splits = load_task(spec.task).read_data({}, spec.data, parameters, ("train", "validation")).splits
    parts = (("x", "inputs"), ("y", "targets"))
    np.savez(path, **{f"{name}_{axis}": getattr(batch, part).numpy() for name, batch in splits.items() for axis, part in parts})
