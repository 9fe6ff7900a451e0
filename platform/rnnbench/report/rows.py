"""Records as plain rows: one a trial, every parameter and metric a column of its own."""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain
from typing import Any

from rnnbench.base.parameters import NAMESPACES
from rnnbench.ledger.records import EpochRecord, TrialRecord
from rnnbench.search.space import full_parameters

Row = Mapping[str, Any]
_PREFIXES = tuple(f"{namespace}." for namespace in NAMESPACES)
# What a trial's outcome says that is a number or a word of its own.
_COUNTS = ("epochs", "stopped_at", "num_parameters", "hidden_size", "train_s", "peak_memory_bytes")
_PLACES = ("mode", "device", "processor", "threads", "torch")


def trial_rows(trials: Iterable[TrialRecord], sweep: str | None = None) -> list[Row]:
    """One row for each trial, in their order; see `rnnbench.report.frames.trial_frame` for the columns."""
    return [({"sweep": sweep} if sweep else {}) | _row(trial) for trial in trials]


def epoch_rows(epochs: Mapping[str, Sequence[EpochRecord]]) -> list[Row]:
    """One row for each epoch: `trial`, `epoch` from 1, `seconds` since the trial began, and its metrics by name."""
    return [
        {"trial": key, "epoch": epoch.epoch, "seconds": epoch.wall_s, **epoch.metrics}
        for key, history in epochs.items()
        for epoch in history
    ]


def columns_of(rows: Iterable[Row]) -> list[str]:
    """Every column in the order of its first row, parameters last and by name."""
    names = list(dict.fromkeys(chain.from_iterable(rows)))
    return [name for name in names if not is_parameter(name)] + sorted(filter(is_parameter, names))


def is_parameter(column: str) -> bool:
    """Whether a column is a trial's parameter."""
    return column.startswith(_PREFIXES)


def differing(rows: Iterable[Mapping[str, object]]) -> list[str]:
    """Names whose values are not the same in all rows that have them, by name."""
    values: dict[str, set[str]] = {}
    for row in rows:
        for name, value in row.items():
            values.setdefault(name, set()).add(repr(value))
    return sorted(name for name, seen in values.items() if len(seen) > 1)


def to_csv(rows: Sequence[Row]) -> str:
    """The rows as CSV; what a row does not have is empty."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns_of(rows), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def to_parquet(rows: Sequence[Row]) -> bytes:
    """The rows as Parquet; a column that holds words in some rows and numbers in others holds words."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({name: _column([row.get(name) for row in rows]) for name in columns_of(rows)})
    content = io.BytesIO()
    pq.write_table(table, content)
    return content.getvalue()


def _column(values: Sequence[Any]) -> list[Any]:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    # Seeds may need all of 64 bits, which Parquet's numbers have, but no sign beside them.
    too_large = kinds == {int} and any(value is not None and value >= 2**63 for value in values)
    return [None if value is None else str(value) for value in values] if len(kinds) > 1 or too_large else list(values)


def _row(trial: TrialRecord) -> dict[str, Any]:
    spec, outcome = trial.spec, trial.outcome
    facts = {
        "trial": trial.key,
        "group": trial.group_key,
        "stage": spec.stage,
        "task": spec.task,
        "data": spec.data,
        "cell": spec.cell,
        "seed": spec.seed,
        "draw": spec.draw,
        "replicate": spec.replicate,
        "status": trial.status.value,
        "best": trial.best,
        "best_epoch": trial.best_epoch,
        "seconds": trial.wall_s,
    }
    facts |= {name: outcome.get(name) for name in (*_COUNTS, *_PLACES)}
    for split, numbers in (("validation", outcome.get("metrics")), ("test", outcome.get("test"))):
        facts |= {f"{split}.{name}": number for name, number in (numbers or {}).items()}
    return facts | full_parameters(spec.task, spec.cell, spec.parameters)
