"""What a report is made of: a sweep's records, as the ledger gave them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rnnbench.ledger.records import EpochRecord, SweepRecord, TrialRecord


@dataclass(frozen=True)
class Study:
    """One sweep: its plan, its trials in the plan's order, and each trial's epochs by key."""

    sweep: SweepRecord
    trials: Sequence[TrialRecord]
    epochs: Mapping[str, Sequence[EpochRecord]]
