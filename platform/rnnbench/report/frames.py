"""Records as data frames."""

from collections.abc import Iterable, Mapping, Sequence

import pandas as pd

from rnnbench.ledger.records import EpochRecord, TrialRecord
from rnnbench.report.rows import columns_of, epoch_rows, trial_rows


def trial_frame(trials: Iterable[TrialRecord], sweep: str | None = None) -> pd.DataFrame:
    """One row for each trial, in their order; what a trial does not have is missing.

    Columns: `sweep` (where given), `trial` (its key), `group` (equal for configurations that differ in nothing but the seed), `stage`
    (search or confirm), `task`, `data`, `cell`, `seed`, `draw`, `replicate`, `status`, `best` (validation value of the task's metric) and
    `best_epoch`, `seconds`, what its outcome says (`epochs`, `num_parameters` ...), `latency.NAME` of confirmed trials (`one_ms`,
    `batch_ms` ...), `validation.NAME` and `test.NAME` for every metric, and every parameter by its full name.
    """
    rows = list(trial_rows(trials, sweep))
    return pd.DataFrame(rows, columns=columns_of(rows))


def epoch_frame(epochs: Mapping[str, Sequence[EpochRecord]]) -> pd.DataFrame:
    """One row for each epoch: `trial`, `epoch` from 1, `seconds` since the trial began, and its metrics by name."""
    rows = epoch_rows(epochs)
    return pd.DataFrame(rows, columns=columns_of(rows) or ["trial", "epoch", "seconds"])
