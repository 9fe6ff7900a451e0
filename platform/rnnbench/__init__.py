"""rnnbench: which recurrent network, with what settings, how sure, at what budget."""

from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.base.version import __version__

if TYPE_CHECKING:
    from rnnbench.report.results import Results
    from rnnbench.trial.trained import Trained

__all__ = ["__version__", "load", "open"]


def load(place: str | Path, trial: str | None = None, *, home: str | Path | None = None, run_own_cell: bool = False) -> "Trained":
    """A trained model, ready to be asked: `rnnbench.load("lm").ask("To be", length=100).text`.

    Args:
        place: `SWEEP` (its best confirmed model), `SWEEP/TRIAL`, or a folder that `rnnbench export` wrote.
        trial: Which one of a sweep, by the start of its key: `rnnbench.load("lm", "3fa21c07")`.
        home: Results folder of the sweep (default: $RNNBENCH_HOME, else ./runs).
        run_own_cell: Whether an exported cell of its author's own may run: it is code.
    Raises:
        RnnbenchError: there is no such model, or it cannot be used; one line says why.
    """
    from rnnbench.sweep.models import load_model

    return load_model(place if trial is None else f"{place}/{trial}", home, run_own_cell=run_own_cell)


def open(home: str | Path | None = None, db: str | None = None) -> "Results":  # noqa: A001 - rnnbench.open reads as what it does
    """The results of a home, as data frames: `rnnbench.open().trials("lstm")`.

    Args:
        home: Results folder (default: $RNNBENCH_HOME, else ./runs).
        db: Address of the ledger where it lives elsewhere, e.g. postgresql://...
    Raises:
        UnknownNameError: there are no results.
        LedgerError: the ledger cannot be read.
    """
    import os

    from rnnbench.base.errors import UnknownNameError
    from rnnbench.base.home import Home
    from rnnbench.ledger.store import Ledger
    from rnnbench.report.results import Results

    place = Home.at(None if home is None else str(home), os.environ)
    if db is None and not place.has_results:
        raise UnknownNameError(f"no results in {place.path}; run a sweep first, or say where they are: rnnbench.open(HOME)")
    return Results(Ledger.open(db or place.ledger_url))
