"""A trained model from its checkpoint, with what its task needs to use it: no training data, no sweep, no ledger."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rnnbench.base.canonical import canonical_json
from rnnbench.base.errors import CheckpointError
from rnnbench.cells.own import OwnCell, make_known
from rnnbench.task.module import TaskData, TaskModule
from rnnbench.trial.build import build_module
from rnnbench.trial.checkpoint import load_checkpoint, save_checkpoint
from rnnbench.trial.spec import TrialSpec


@dataclass(frozen=True)
class Trained:
    """A model ready for use.

    Attributes:
        module: With the weights of its best epoch, not in training mode.
        data: Sizes and preparation; no splits.
    """

    spec: TrialSpec
    module: TaskModule
    data: TaskData


def save_trained(path: Path, spec: TrialSpec, weights: Mapping[str, Any], data: TaskData, own_cell: Mapping[str, str] | None) -> int:
    """Writes what `load_trained` reads; returns the size in bytes."""
    prepared = {"input_size": data.input_size, "output_size": data.output_size, "preparation": canonical_json(dict(data.preparation))}
    own = dict(own_cell) if own_cell else None
    return save_checkpoint(path, {"key": spec.key(), "spec": spec.to_dict(), "module": dict(weights), "data": prepared, "own_cell": own})


def load_trained(path: Path) -> Trained:
    """The model of a trial's `best.ckpt`.

    Raises:
        CheckpointError: the file is missing, damaged, or from before models kept their preparation.
    """
    state = load_checkpoint(path)
    try:
        if state["own_cell"]:
            make_known(OwnCell(**state["own_cell"]))
        spec, kept = TrialSpec.from_dict(state["spec"]), state["data"]
        data = TaskData({}, kept["input_size"], kept["output_size"], preparation=json.loads(kept["preparation"]))
        module = build_module(spec, data)
        module.load_state_dict(state["module"])
    except (KeyError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"{path}: not a model that this version can use ({error}); train it again") from error
    return Trained(spec, module.eval(), data)
