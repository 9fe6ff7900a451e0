"""The files in a trial's folder. No torch."""

from pathlib import Path

BEST = "best.ckpt"  # weights of the best epoch, behind a checksum
LAST = "last.ckpt"  # what an unfinished trial continues from
LOG = "trial.log"
VERDICT = "verdict.json"  # why the guard ended the worker


def previous_of(path: Path) -> Path:
    """Where the checkpoint before the newest stays: should that one turn out damaged, this still serves."""
    return path.with_suffix(".previous.ckpt")


def remove_rotating(path: Path) -> None:
    """Removes a checkpoint to continue from, and the one before it."""
    for place in (path, previous_of(path)):
        place.unlink(missing_ok=True)
