"""Records as plain rows: one a trial, every parameter and metric a column of its own."""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain, islice, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from rnnbench.base.parameters import NAMESPACES
from rnnbench.ledger.records import EpochRecord, TrialRecord
from rnnbench.search.space import full_parameters

if TYPE_CHECKING:
    import pyarrow as pa

Row = Mapping[str, Any]
# Lines of a table that are written at once.
_PART = 1000
_PREFIXES = tuple(f"{namespace}." for namespace in NAMESPACES)
# What a trial's outcome says that is a number or a word of its own.
_COUNTS = ("epochs", "stopped_at", "num_parameters", "hidden_size", "train_s", "train_flops", "peak_memory_bytes", "peak_gpu_bytes")
_PLACES = ("peak_memory_of", "mode", "device", "processor", "threads", "torch")


def trial_rows(trials: Iterable[TrialRecord], sweep: str | None = None) -> Iterator[Row]:
    """One row for each trial, in their order; see `rnnbench.report.frames.trial_frame` for the columns."""
    return (({"sweep": sweep} if sweep else {}) | _row(trial) for trial in trials)


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


def to_columns(rows: Iterable[Row]) -> dict[str, list[Any]]:
    """The same rows as columns in the order of `columns_of`, None where a row has nothing: of many rows only one is held at a time."""
    columns: dict[str, list[Any]] = {}
    count = 0
    for row in rows:
        for name, value in row.items():
            column = columns.setdefault(name, [])
            column.extend(repeat(None, count - len(column)))
            column.append(value)
        count += 1
    for column in columns.values():
        column.extend(repeat(None, count - len(column)))
    return {name: columns[name] for name in columns_of([columns])}


def to_csv(columns: Mapping[str, Sequence[Any]]) -> Iterator[str]:
    """The table as CSV in parts; what a row does not have is empty."""
    lines = chain([tuple(columns)], zip(*columns.values(), strict=True))
    while part := list(islice(lines, _PART)):
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(part)
        yield text.getvalue()


def to_parquet(columns: Mapping[str, Sequence[Any]]) -> bytes:
    """The table as Parquet; a column that holds words in some rows and numbers in others holds words."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.Table.from_arrays([_array(_column(values)) for values in columns.values()], names=list(columns))
    content = io.BytesIO()
    pq.write_table(table, content)
    return content.getvalue()


def _column(values: Sequence[Any]) -> Sequence[Any]:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    # Seeds may need all of 64 bits, which Parquet's numbers have, but no sign beside them.
    too_large = kinds == {int} and any(value is not None and value >= 2**63 for value in values)
    return [None if value is None else str(value) for value in values] if len(kinds) > 1 or too_large else values


def _array(values: Sequence[Any]) -> "pa.Array":
    """Values of one kind, as `pyarrow.array` makes them, which would import pandas first: half a second at the end of every sweep."""
    import pyarrow as pa

    kind = next((type(value) for value in values if value is not None), None)
    if kind is None:
        return pa.nulls(len(values))
    if kind not in (bool, int, float, str):
        return pa.array(values)
    holds = np.packbits([value is not None for value in values], bitorder="little").tobytes()
    given = [kind() if value is None else value for value in values]
    if kind is bool:
        bits = np.packbits(given, bitorder="little").tobytes()
        return pa.Array.from_buffers(pa.bool_(), len(given), [pa.py_buffer(holds), pa.py_buffer(bits)])
    if kind is not str:
        held = np.array(given, dtype=np.int64 if kind is int else np.float64).tobytes()
        return pa.Array.from_buffers(pa.int64() if kind is int else pa.float64(), len(given), [pa.py_buffer(holds), pa.py_buffer(held)])
    words = [word.encode() for word in given]
    ends = np.cumsum([0, *map(len, words)], dtype=np.int32).tobytes()
    return pa.Array.from_buffers(pa.string(), len(words), [pa.py_buffer(holds), pa.py_buffer(ends), pa.py_buffer(b"".join(words))])


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
    facts |= {f"latency.{name}": number for name, number in (outcome.get("latency") or {}).items()}
    for split, numbers in (("validation", outcome.get("metrics")), ("test", outcome.get("test"))):
        facts |= {f"{split}.{name}": number for name, number in (numbers or {}).items()}
    return facts | full_parameters(spec.task, spec.cell, spec.parameters)
