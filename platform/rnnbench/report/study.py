"""What a report is made of: a sweep's records, as the ledger gave them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rnnbench.ledger.records import EpochRecord, SweepRecord, TrialRecord
from rnnbench.ledger.store import Ledger


@dataclass(frozen=True)
class Study:
    """One sweep: its plan, its trials in the plan's order, each trial's epochs by key, and what was forecast of it, if anything."""

    sweep: SweepRecord
    trials: Sequence[TrialRecord]
    epochs: Mapping[str, Sequence[EpochRecord]]
    forecast: Mapping[str, Any] | None = None

    @classmethod
    def read(cls, ledger: Ledger, name: str, *, with_epochs: bool = True) -> "Study":
        """A sweep as the ledger has it, without a forecast.

        Raises:
            UnknownSweepError: there is no such sweep.
        """
        sweep, trials = ledger.get_sweep(name), ledger.trials(name)
        return cls(sweep, trials, ledger.histories([trial.key for trial in trials]) if with_epochs else {})
