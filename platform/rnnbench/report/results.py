"""What a home's ledger knows, for a program or a notebook: data frames of sweeps, trials and epochs."""

from types import TracebackType
from typing import Self

import pandas as pd

from rnnbench.base.errors import UnknownNameError
from rnnbench.ledger.records import TrialRecord
from rnnbench.ledger.store import Ledger
from rnnbench.report.frames import epoch_frame, trial_frame


class Results:
    """The results of one home; `rnnbench.open` gives it. Closes by `close`, or at the end of a `with`.

    Example::

        with rnnbench.open() as results:
            trials = results.trials("lstm")
            print(trials.groupby("cell")["best"].describe())
    """

    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger

    def sweeps(self) -> pd.DataFrame:
        """One row for each sweep: `sweep`, `created_at`, `seconds` (wall clock over all sittings), `revision` of rnnbench's code."""
        records = self._ledger.list_sweeps()
        rows = [(one.name, one.created_at, one.session_s, one.environment.get("revision")) for one in records]
        return pd.DataFrame(rows, columns=["sweep", "created_at", "seconds", "revision"])

    def trials(self, *sweeps: str) -> pd.DataFrame:
        """One row for each trial of the sweeps, see `rnnbench.report.frames.trial_frame`; a trial that several sweeps hold is in each.

        Raises:
            UnknownSweepError: there is no such sweep.
        """
        frames = [trial_frame(self._trials(name), name) for name in self._known(sweeps)]
        return pd.concat(frames, ignore_index=True)

    def epochs(self, *sweeps: str) -> pd.DataFrame:
        """One row for each epoch of the sweeps' trials: `sweep`, `trial`, `epoch` from 1, `seconds`, and every metric by its name.

        Raises:
            UnknownSweepError: there is no such sweep.
        """
        frames = []
        for name in self._known(sweeps):
            frame = epoch_frame(self._ledger.epochs([trial.key for trial in self._trials(name)]))
            frame.insert(0, "sweep", name)
            frames.append(frame)
        return pd.concat(frames, ignore_index=True)

    def close(self) -> None:
        """Lets go of the database."""
        self._ledger.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Closes."""
        self.close()

    def _known(self, sweeps: tuple[str, ...]) -> tuple[str, ...]:
        if not sweeps:
            raise UnknownNameError(f"name a sweep: {', '.join(one.name for one in self._ledger.list_sweeps()) or 'there is none here yet'}")
        return sweeps

    def _trials(self, name: str) -> list[TrialRecord]:
        self._ledger.get_sweep(name)  # says what there is where it is not
        return self._ledger.trials(name)
