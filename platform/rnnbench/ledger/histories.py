"""The epochs of a trial in columns: a tenth of the memory of a record for each."""

from array import array
from collections.abc import Mapping, Sequence
from itertools import chain
from typing import overload

from rnnbench.ledger.records import EpochRecord

_NAN = float("nan")


class History(Sequence[EpochRecord]):
    """A trial's epochs in order; records are made when they are asked for."""

    __slots__ = ("_columns", "_epochs", "_missing", "_walls")

    def __init__(self) -> None:
        self._epochs, self._walls = array("q"), array("d")
        self._columns: dict[str, array[float]] = {}
        # Epochs without a metric that others have; in its column stands a NaN.
        self._missing: set[tuple[str, int]] = set()

    @classmethod
    def of(cls, records: Sequence[EpochRecord]) -> "History":
        """The same epochs in columns."""
        if isinstance(records, cls):
            return records
        found = cls()
        found.extend([one.epoch for one in records], [one.wall_s for one in records], [one.metrics for one in records])
        return found

    def extend(self, epochs: Sequence[int], walls: Sequence[float], metrics: Sequence[Mapping[str, float]]) -> None:
        """Takes the next epochs."""
        place, columns = len(self._epochs), self._columns
        self._epochs.extend(epochs)
        self._walls.extend(walls)
        for name in dict.fromkeys(chain(columns, *metrics)):
            if name not in columns:
                columns[name] = array("d", [_NAN]) * place
                self._missing.update((name, earlier) for earlier in range(place))
            columns[name].extend([each.get(name, _NAN) for each in metrics])
            self._missing.update((name, at) for at, each in enumerate(metrics, place) if name not in each)

    def values(self, name: str) -> "array[float]":
        """A metric of every epoch; NaN where an epoch does not have it."""
        column = self._columns.get(name)
        return array("d", [_NAN]) * len(self) if column is None else column

    def walls(self) -> "array[float]":
        """Seconds since the trial's start, of every epoch."""
        return self._walls

    def __len__(self) -> int:
        return len(self._epochs)

    @overload
    def __getitem__(self, place: int) -> EpochRecord: ...
    @overload
    def __getitem__(self, place: slice) -> list[EpochRecord]: ...
    def __getitem__(self, place: int | slice) -> EpochRecord | list[EpochRecord]:
        if isinstance(place, slice):
            return [self[at] for at in range(*place.indices(len(self)))]
        at = range(len(self))[place]
        metrics = {name: column[at] for name, column in self._columns.items() if (name, at) not in self._missing}
        return EpochRecord(self._epochs[at], self._walls[at], metrics)
