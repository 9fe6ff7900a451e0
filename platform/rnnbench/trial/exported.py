"""Reading a model that somebody exported: JSON and safetensors alone, every name, size and value checked before it is used."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch

from rnnbench.base.errors import CheckpointError, ParameterError, RnnbenchError
from rnnbench.base.names import printable
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS, fill_defaults
from rnnbench.cells.own import OwnCell, find_own, make_known
from rnnbench.cells.sizing import num_weights
from rnnbench.cells.table import get_cell
from rnnbench.task.catalogue import get_task
from rnnbench.task.module import TaskData
from rnnbench.trial.files import FORMAT, PREPARATION, SPEC, WEIGHTS
from rnnbench.trial.parameters import OPTIMIZER_PARAMETERS, TRAINING_PARAMETERS
from rnnbench.trial.spec import TrialSpec
from rnnbench.trial.trained import Trained, build_trained, require_versions

KEYS = {"format", "key", "spec", "input_size", "output_size", "versions", "own_cell", "files"}
# What a file may have, in bytes: more is no model of ours.
MOST = {WEIGHTS: 64 * 2**30, PREPARATION: 2**30, SPEC: 16 * 2**20}
# What a size may be beyond the number of weights: a part of that size need not be there.
_SLACK = 1_000_000


def load_exported(folder: Path, *, run_own_cell: bool = False) -> Trained:
    """The model of a folder that `export` wrote.

    Args:
        run_own_cell: Whether to run the source of a cell of its author's own, if the model has one: nothing else in the folder is code.
    Raises:
        CheckpointError: not such a folder, damaged, or holding what does not belong there.
        UnknownNameError: its task or cell is not installed here.
    """
    try:
        return _load(folder, run_own_cell=run_own_cell)
    except RnnbenchError:
        raise
    except Exception as error:  # a hostile file breaks whoever reads it in whatever way it likes
        found = printable(" ".join(str(error).split()), 200)
        raise CheckpointError(f"{folder}: refused, its files do not make a model ({type(error).__name__}: {found})") from error


def _load(folder: Path, *, run_own_cell: bool) -> Trained:
    described = _parse(_read(folder, SPEC), folder / SPEC)
    if described.keys() != KEYS or described["format"] != FORMAT:
        raise CheckpointError(f"{folder / SPEC}: not the description of an exported model of format {FORMAT}")
    weights = safetensors.torch.load(_read_checked(folder, WEIGHTS, described))
    preparation = _parse(_read_checked(folder, PREPARATION, described), folder / PREPARATION)
    if described["own_cell"] is not None:
        _admit(OwnCell(**described["own_cell"]), folder, run=run_own_cell)
    spec = TrialSpec.from_dict(described["spec"])
    if spec.key() != described["key"]:
        raise CheckpointError(f"{folder / SPEC}: changed since it was exported (its key does not fit)")
    require_versions(spec, str(folder))
    input_size, output_size = described["input_size"], described["output_size"]
    num_given = sum(weight.numel() for weight in weights.values())
    _check_spec(spec, folder / SPEC)
    _check_size(spec, (input_size, output_size), num_given, folder / SPEC)
    trained = build_trained(spec, TaskData({}, input_size, output_size, preparation=preparation), weights)
    for name, weight in trained.module.state_dict().items():
        if weights[name].dtype != weight.dtype:
            raise CheckpointError(f"{folder / WEIGHTS}: {name} is {weights[name].dtype}, must be {weight.dtype}")
    return trained


def _admit(own: OwnCell, folder: Path, *, run: bool) -> None:
    """Makes a cell's source known, which will be run: only where a person has said so, or has given this process the same text."""
    if not run and find_own(own.name) is None:
        raise CheckpointError(
            f"{folder}: its cell {printable(own.name)} is Python code of its author (own_cell in {SPEC}); "
            f"read it, then allow it with --run-own-cell, in Python run_own_cell=True"
        )
    make_known(own)


def _check_spec(spec: TrialSpec, where: Path) -> None:
    """Refuses what no sweep could have set."""
    theirs = (*get_cell(spec.cell).parameters, *get_task(spec.task).parameters)
    declared = {one.name: one for one in (*NETWORK_PARAMETERS, *OPTIMIZER_PARAMETERS, *TRAINING_PARAMETERS, *theirs)}
    for name, value in spec.parameters.items():
        if name not in declared:
            raise CheckpointError(f"{where}: no parameter '{printable(name)}' in task '{spec.task}' with cell '{printable(spec.cell)}'")
        try:
            declared[name].check(value)
        except ParameterError as error:
            raise CheckpointError(f"{where}: {error}") from error
    if type(spec.seed) is not int:
        raise CheckpointError(f"{where}: the seed is not a whole number")


def _check_size(spec: TrialSpec, sizes: tuple[Any, Any], num_given: int, where: Path) -> None:
    """Refuses a network of more weights than there are, before it is built."""
    if not all(type(size) is int and 1 <= size <= num_given + _SLACK for size in sizes):
        raise CheckpointError(f"{where}: input_size {printable(repr(sizes[0]))} and output_size {printable(repr(sizes[1]))} do not fit")
    cell, parameters = get_cell(spec.cell), {**spec.parameters, **fill_defaults(spec.parameters)}
    units, budget = parameters["network.hidden_size"], parameters["network.param_budget"]
    assert isinstance(units, int), "checked before"
    # With one input a network is smaller than with the task's; a budget is met within a tenth.
    least = num_weights(cell, 1, units, parameters) if budget is None else 0.9 * float(budget)
    if least > num_given:
        raise CheckpointError(f"{where}: its network has at least {least:.0f} weights, and {WEIGHTS} only {num_given}")


def _read_checked(folder: Path, name: str, described: Mapping[str, Any]) -> bytes:
    content = _read(folder, name)
    if hashlib.sha256(content).hexdigest() != described["files"][name]:
        raise CheckpointError(f"{folder / name}: damaged or changed (its checksum is not the one in {SPEC})")
    return content


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    if path.is_symlink() or not path.is_file():
        raise CheckpointError(f"{folder}: not an exported model, it has no file {name}")
    if path.stat().st_size > MOST[name]:
        raise CheckpointError(f"{path}: refused, it has more than {MOST[name]} bytes")
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(f"{path}: {error.strerror}") from error


def _parse(content: bytes, path: Path) -> dict[str, Any]:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise ValueError("a key stands twice")
        return found

    def refuse(word: str) -> None:
        raise ValueError(f"{word} is no number of JSON")

    try:
        found = json.loads(content.decode(), object_pairs_hook=once, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise CheckpointError(f"{path}: not JSON of ours ({printable(str(error))})") from error
    if not isinstance(found, dict):
        raise CheckpointError(f"{path}: not JSON of ours (no object)")
    return found
