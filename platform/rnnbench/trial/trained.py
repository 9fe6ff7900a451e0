"""A trained model from its checkpoint, with what its task needs to use it: no training data, no sweep, no ledger."""

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors.torch
import torch

from rnnbench.base.canonical import canonical_json
from rnnbench.base.errors import CheckpointError
from rnnbench.base.names import printable
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.cells.own import OwnCell, make_known
from rnnbench.cells.table import get_cell
from rnnbench.task.answers import Answer, Question
from rnnbench.task.catalogue import get_task
from rnnbench.task.load import load_task
from rnnbench.task.module import TaskData, TaskModule
from rnnbench.task.question import build_question
from rnnbench.trial.build import build_module
from rnnbench.trial.checkpoint import load_checkpoint
from rnnbench.trial.kept import Kept, again, is_kept, read_kept
from rnnbench.trial.parameters import INIT_FROM
from rnnbench.trial.settings import torch_settings
from rnnbench.trial.spec import TrialSpec

log = logging.getLogger(__name__)

# As many as a trial has by default: with more, sums come in another order.
THREADS = 1


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

    def ask(self, lines: Sequence[str] | str = (), files: Sequence[str | Path] = (), **options: Value) -> Answer:
        """What the model says to new input.

        Args:
            lines: Texts, for a task of lines.
            files: Sound or tables for a task that reads files; for a task of lines text files, of which each line is a text, or
                tables with the column that it was trained on.
            options: Of the task's card under `predict`, by their short names.
        Raises:
            InputError: the task's models cannot be asked, or not with this.
            ParameterError: an option's name or value.
            DataError: the input cannot be used.
        """
        texts = [lines] if isinstance(lines, str) else list(lines)
        card, paths = get_task(self.spec.task), [Path(file) for file in files]
        return self.answer(build_question(card, texts, paths, options, self.spec.parameters))

    def answer(self, question: Question) -> Answer:
        """See `ask`; the same question gives the same answer, and the process is left as it was."""
        with torch_settings(THREADS), torch.inference_mode(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(child(self.spec.seed, "answer"))
            answer = load_task(self.spec.task).answer(self.module, self.data, question)
        for row in answer.rows:
            assert row.keys() == answer.rows[0].keys(), "the rows of an answer have the same keys"
        return answer


def keep(spec: TrialSpec, weights: Mapping[str, torch.Tensor], data: TaskData, own_cell: Mapping[str, str] | None) -> Kept:
    """A trained model as plain data and bytes."""
    # Tensors that share memory (tied embeddings) are kept once each: the format knows no sharing.
    own = {name: weight.detach().clone(memory_format=torch.contiguous_format) for name, weight in weights.items()}
    preparation = canonical_json(dict(data.preparation))
    return Kept(spec, data.input_size, data.output_size, preparation, own_cell or None, safetensors.torch.save(own))


def load_trained(path: Path) -> Trained:
    """The model of a trial's `best.ckpt`; a cell of one's own is run from the source that is kept there.

    Raises:
        CheckpointError: the file is missing, damaged, from before models kept their preparation, or of another version of its task or cell.
        UnknownNameError: its task or cell is not installed here.
    """
    try:
        kept = read_kept(path) if is_kept(path) else _read_older(path)
        if kept.own_cell:
            make_known(OwnCell(**kept.own_cell))
        require_versions(kept.spec, str(path))
        data = TaskData({}, kept.input_size, kept.output_size, preparation=json.loads(kept.preparation))
        return build_trained(kept.spec, data, safetensors.torch.load(kept.weights))
    except (KeyError, TypeError, RuntimeError, safetensors.SafetensorError) as error:
        found = printable(" ".join(str(error).split()), 200)
        raise CheckpointError(f"{path}: not a model that this version can use ({found}); {again()}") from error


def _read_older(path: Path) -> Kept:
    """A model from when it was kept like what a trial continues from."""
    state = load_checkpoint(path)
    if "module" in state and "data" not in state:
        raise CheckpointError(f"{path}: from before models kept what their task needs to use them; {again()}")
    data = TaskData({}, state["data"]["input_size"], state["data"]["output_size"], preparation=json.loads(state["data"]["preparation"]))
    return keep(TrialSpec.from_dict(state["spec"]), state["module"], data, state["own_cell"])


def start_from(module: TaskModule, path: Path, key: str) -> None:
    """Gives a module that is to be trained what it can use of a trained model.

    Args:
        key: Of the trial whose model must be there.
    Raises:
        CheckpointError: it is not, see `load_trained`.
        DataError: the module can use nothing of it.
    """
    try:
        source = load_trained(path)
        if source.spec.key() != key:
            raise CheckpointError(f"{path}: the model of another trial")
    except CheckpointError as error:
        raise CheckpointError(f"{INIT_FROM} {key[:8]}: {error}") from error
    log.info("starts from %s: %s", path, ", ".join(module.start_from(source.module, source.data)))


def build_trained(spec: TrialSpec, data: TaskData, weights: Mapping[str, Any]) -> Trained:
    """The model of a spec, in which every weight is the given one; torch's random stream is left as it was.

    Raises:
        RuntimeError: a weight is missing, too many or of another shape.
    """
    with torch.random.fork_rng(devices=[]):
        module = build_module(spec, data)
    module.load_state_dict(weights)
    return Trained(spec, module.eval(), data)


def require_versions(spec: TrialSpec, where: str) -> None:
    """Refuses a model whose weights would mean something else here.

    Raises:
        CheckpointError: its task or cell has had another version.
        UnknownNameError: its task or cell is not here.
    """
    pairs = (("task", spec.task, spec.task_version, get_task(spec.task)), ("cell", spec.cell, spec.cell_version, get_cell(spec.cell)))
    for what, name, had, here in pairs:
        if had != here.version:
            words = f"trained with version {had} of {what} '{name}', which has version {here.version} here"
            raise CheckpointError(f"{where}: {words}; run its sweep again under a new name")
