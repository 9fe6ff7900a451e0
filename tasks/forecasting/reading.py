"""From files, or a generated set, to the splits of this task."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError, ParameterError
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.task.module import TaskData
from rnnbench.task.series import NONE, Series, Table, read_series, regular
from rnnbench.task.times import Step
from rnnbench_tasks.forecasting.generated import draw_lorenz, draw_mackey_glass
from rnnbench_tasks.forecasting.preparation import Preparation, encode
from rnnbench_tasks.forecasting.scales import learn_scale
from rnnbench_tasks.forecasting.seasons import calendar_of, season_of
from rnnbench_tasks.forecasting.settings import Settings, get_settings
from rnnbench_tasks.forecasting.windows import SPLITS, Borders, build_split, find_borders, find_ends

_GENERATED = {"mackey_glass": (draw_mackey_glass, ("x",)), "lorenz": (draw_lorenz, ("x", "y", "z"))}


@dataclass(frozen=True)
class Source:
    """What was read, before anything is learned from it.

    Attributes:
        table: Series with a row for every step.
        inserted: How many times were missing.
        borders: Where each series is split.
    """

    table: Table
    inserted: int
    borders: Sequence[Borders]
    step: Step | None
    season: int


def read_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value], splits: Sequence[str]) -> TaskData:
    """Windows of the asked splits; scales are learned from training rows whichever splits are asked for.

    Raises:
        DataError: a file cannot be used; the text names file and row.
        ParameterError: parameters do not go together, or not with this data.
    """
    settings = get_settings(parameters, data)
    source = read_source(files, data, settings)
    preparation = prepare(source, settings)
    series = [encode(one, preparation.scales[one.name], preparation, settings) for one in source.table.series]
    times = [
        one.stamps.values.astype(np.float64) if one.stamps is not None else np.arange(len(one), dtype=np.float64)
        for one in source.table.series
    ]
    counts = {
        split: sum(len(find_ends(split, one, border, settings)) for one, border in zip(series, source.borders, strict=True))
        for split in SPLITS
    }
    for split, count in counts.items():
        if not count:
            raise DataError(f"{source.table.series[0].label}: no window of the {split} split has a value to predict; see data.missing")
    batches = {split: build_split(split, series, times, source.borders, preparation.season, settings) for split in splits}
    # Of the targets a network reads and predicts one, or all.
    others = preparation.num_targets - 1 if settings.apart else 0
    outputs = (preparation.num_targets - others) * (1 if settings.is_recursive else settings.horizon * len(settings.quantiles))
    return TaskData(batches, preparation.num_features - others, outputs, tell(source, preparation, counts), preparation.to_plain())


def read_source(files: Mapping[str, Path], data: str, settings: Settings) -> Source:
    """The series of a data set, regular in time, and where they are split.

    Raises:
        DataError: see `read_data`.
    """
    if data in _GENERATED:
        draw, columns = _GENERATED[data]
        values = draw(child(settings.seed, "forecasting", data))
        table = Table([Series("", Path(data), columns, values, np.arange(1, len(values) + 1))], len(columns))
    else:
        table = read_series(files, settings.columns)
    names = Counter(one.name for one in table.series)
    if twice := [name for name, count in names.items() if count > 1]:
        raise DataError(f"{table.series[0].file}: two series are called '{twice[0]}'")
    series = [regular(one, settings.gaps) for one in table.series]
    steps = Counter(one.step for one in series)
    for one in series:
        if one.step != series[0].step:
            raise DataError(
                f"{one.label}: its rows are {one.step} apart, those of {series[0].label} {series[0].step}; read them as sets of their own"
            )
    step = next(iter(steps))
    inserted = sum(map(len, series)) - sum(map(len, table.series))
    return Source(replace(table, series=series), inserted, find_borders(series, settings, data), step, season_of(settings.season, step))


def prepare(source: Source, settings: Settings) -> Preparation:
    """What is learned from the training rows.

    Raises:
        DataError: a column cannot be used.
        ParameterError: parameters do not go together with this data.
    """
    table, columns = source.table, source.table.series[0].columns
    _check(columns, table.num_targets, source.season, settings)
    masked = [
        column for place, column in enumerate(columns)
        if any(np.isnan(one.values_TC[: border.train, place]).any() for one, border in zip(table.series, source.borders, strict=True))
    ]  # fmt: skip
    has_dates = all(one.stamps is not None and one.stamps.are_dates for one in table.series)
    scales = {
        one.name: learn_scale(one, slice(0, border.train), slice(border.begin, border.train), table.num_targets, source.season, settings)
        for one, border in zip(table.series, source.borders, strict=True)
    }
    return Preparation(
        columns=list(columns),
        num_targets=table.num_targets,
        masked=masked,
        calendar=list(calendar_of(settings.calendar, source.step, has_dates=has_dates)),
        window=settings.window,
        season=source.season,
        transform=settings.transform,
        step=None if source.step is None else source.step.to_plain(),
        time=table.time,
        series="" if settings.columns.series == NONE else settings.columns.series,
        scales=scales,
    )


def tell(source: Source, preparation: Preparation, counts: Mapping[str, int]) -> dict[str, Plain]:
    """What a reader of the report should know."""
    series = source.table.series
    missing = Counter(
        {column: int(sum(np.isnan(one.values_TC[:, place]).sum() for one in series)) for place, column in enumerate(preparation.columns)}
    )
    facts: dict[str, Plain] = {f"{split} windows": count for split, count in counts.items()}
    facts |= {"rows": sum(map(len, series)), "series": len(series), "columns": ", ".join(preparation.columns)}
    facts |= {"targets": ", ".join(preparation.targets), "season in steps": preparation.season}
    if source.step is not None:
        facts["step between rows"] = str(source.step)
    if source.inserted:
        facts["missing times inserted"] = source.inserted
    if any(missing.values()):
        facts["missing values"] = ", ".join(f"{column} {count}" for column, count in missing.items() if count)
    if source.table.left_out:
        facts["columns of words left out"] = ", ".join(source.table.left_out)
    one, border = series[0], source.borders[0]
    for split in SPLITS:
        begin, end = border.of(split)
        name = f"{split} rows" if len(series) == 1 else f"{split} rows of {one.name}"
        facts[name] = f"{begin + 1} to {end}" if one.stamps is None else f"{one.stamps.show(begin)} to {one.stamps.show(end - 1)}"
    return facts


def _check(columns: Sequence[str], num_targets: int, season: int, settings: Settings) -> None:
    if settings.residual == "season" and season > settings.window:
        raise ParameterError(f"task.residual is season: data.window is {settings.window}, must be at least a season ({season} steps)")
    if settings.is_recursive and settings.residual == "linear":
        raise ParameterError("task.residual linear maps a window to a whole horizon, but task.decoding is recursive; set it to direct")
    if settings.is_recursive and num_targets < len(columns):
        raise ParameterError(
            f"task.decoding is recursive: what is read must be predicted too, but {', '.join(columns[num_targets:])} are no targets; "
            "set data.columns to the targets"
        )
