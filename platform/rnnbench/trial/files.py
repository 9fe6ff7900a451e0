"""The files in a trial's folder, and in that of an exported model. No torch."""

from pathlib import Path

BEST = "best.ckpt"  # weights of the best epoch, behind a checksum
LAST = "last.ckpt"  # what an unfinished trial continues from
LOG = "trial.log"
VERDICT = "verdict.json"  # why the guard ended the worker

WEIGHTS = "model.safetensors"
PREPARATION = "preparation.json"  # what the task turns input into tensors with, and outputs into words
SPEC = "spec.json"  # the trial's spec and key, sizes, versions, the source of a cell of one's own, checksums of the other files
CARD = "README.md"  # the model card, for people
FORMAT = 1  # of an exported model


def previous_of(path: Path) -> Path:
    """Where the checkpoint before the newest stays: should that one turn out damaged, this still serves."""
    return path.with_suffix(".previous.ckpt")


def rotating(path: Path) -> tuple[Path, Path]:
    """Where a checkpoint to continue from is, and the one before it."""
    return path, previous_of(path)
