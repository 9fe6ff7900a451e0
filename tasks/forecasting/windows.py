"""Which windows train, validate and test, and the tensors that hold them: views of the series, where there is only one."""

# Shapes: N windows, T steps of a window, F features, H horizon, K targets, P = 4K + 3 (see `Asked`).

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.base.errors import DataError
from rnnbench.task.module import Batch
from rnnbench.task.series import Series
from rnnbench_tasks.forecasting.preparation import Encoded
from rnnbench_tasks.forecasting.settings import OFFICIAL, Settings, shares

SPLITS = ("train", "validation", "test")
# Windows of several series are copies; more than this is a mistake.
MAX_BYTES = 4 * 2**30


@dataclass(frozen=True)
class Borders:
    """Rows of a series at which its splits end, and where the used part of the training rows begins."""

    begin: int
    train: int
    validation: int
    test: int

    def of(self, split: str) -> tuple[int, int]:
        """First row and end of a split's targets."""
        return {"train": (self.begin, self.train), "validation": (self.train, self.validation), "test": (self.validation, self.test)}[split]


@dataclass(frozen=True)
class Asked:
    """A batch's targets by what they are; the first of 1 + H steps is the last one that is known.

    Attributes:
        level_NSK: In the targets' own units, S = 1 + H.
        scaled_NSK: In the network's units, transformed.
        observed_NSK: 1 where there is a value, else 0.
        season_NSK: The level a season before.
        series_N: Numbers of the series.
        place_N: Rows of the series before the last known step.
        time_N: Of the last known step: microseconds, or rows.
    """

    level_NSK: Tensor
    scaled_NSK: Tensor
    observed_NSK: Tensor
    season_NSK: Tensor
    series_N: Tensor
    place_N: Tensor
    time_N: Tensor


def unpack(targets_NSP: Tensor, num_targets: int) -> Asked:
    """The parts of a batch's targets."""
    level_NSK, scaled_NSK, observed_NSK, season_NSK = targets_NSP[..., : 4 * num_targets].split(num_targets, dim=-1)
    series_N, place_N, time_N = targets_NSP[:, 0, -3:].unbind(-1)
    return Asked(level_NSK, scaled_NSK, observed_NSK, season_NSK, series_N.long(), place_N, time_N)


def find_borders(series: Sequence[Series], settings: Settings, data: str) -> list[Borders]:
    """Where each series is split, in the order of time.

    Raises:
        DataError: a split is too short for one window.
    """
    validation, test = shares(settings)
    if data in OFFICIAL and settings.validation_share is None and settings.test_share is None:
        ends = [tuple(np.cumsum(OFFICIAL[data]).tolist()) for _ in series]
        if any(len(one) < end[-1] for one, end in zip(series, ends, strict=True)):
            raise DataError(
                f"{series[0].label}: {len(series[0])} rows, but the usual split of '{data}' needs {ends[0][-1]}; set data.test_share"
            )
    elif settings.cut == "time" and len(series) > 1:
        if any(one.stamps is None for one in series):
            raise DataError(f"{series[0].label}: data.cut is time, but there is no column of times; set it to series")
        every = np.unique(np.concatenate([one.stamps.values for one in series if one.stamps is not None]))
        cuts = every[[len(every) - round(share * len(every)) for share in (validation + test, test)]]
        ends = [(*np.searchsorted(one.stamps.values, cuts).tolist(), len(one)) for one in series if one.stamps is not None]
    else:
        ends = [
            (len(one) - round(validation * len(one)) - round(test * len(one)), len(one) - round(test * len(one)), len(one))
            for one in series
        ]
    found = [Borders(train - math.ceil(settings.train_fraction * train - 1e-9), train, middle, end) for train, middle, end in ends]
    _require_room(series, found, settings)
    return found


def build_split(split: str, series: Sequence[Encoded], times: Sequence[NDArray[np.float64]], borders: Sequence[Borders], season: int,
                settings: Settings) -> Batch:  # fmt: skip
    """The windows of a split, series by series in the order of time.

    Args:
        times: Of the rows of each series.
    """
    ends = [find_ends(split, one, border, settings) for one, border in zip(series, borders, strict=True)]
    steps, ahead = settings.steps_of_inputs, 1 + settings.horizon
    pairs = []
    for number, (one, rows, time) in enumerate(zip(series, ends, times, strict=True)):
        features_TF = torch.from_numpy(one.features_TF)
        asked_TP = torch.from_numpy(_asked(one, number, time, season))
        inputs_NTF = _take(features_TF, steps, rows - settings.window + 1)
        pairs.append((inputs_NTF, _take(asked_TP, ahead, rows)))
    pairs = [pair for pair in pairs if len(pair[0])]
    if len(pairs) == 1:
        return Batch(*pairs[0])
    size = sum(part.numel() * part.element_size() for pair in pairs for part in pair)
    if size > MAX_BYTES:
        raise DataError(
            f"the windows of {len(pairs)} series would take {size / 2**30:.0f} GiB; lower data.window or data.horizon, or raise data.stride"
        )
    return Batch(torch.cat([inputs for inputs, _ in pairs]), torch.cat([asked for _, asked in pairs]))


def find_ends(split: str, series: Encoded, borders: Borders, settings: Settings) -> NDArray[np.int64]:
    """The last read row of each window of a split: all its targets lie within, while inputs of later splits reach back over the border."""
    begin, end = borders.of(split)
    earliest = series.first + settings.window - 1
    first = max(begin + settings.window - 1, earliest) if split == "train" else max(begin - 1, earliest)
    rows = np.arange(first, end - settings.horizon, settings.stride if split == "train" else 1)
    has_target = np.lib.stride_tricks.sliding_window_view(series.observed_TK.any(axis=1), settings.horizon)
    return rows[series.can_end_T[rows] & has_target[rows + 1].any(axis=1)] if len(rows) else rows


def _take(rows_TF: Tensor, steps: int, starts: NDArray[np.int64]) -> Tensor:
    """Windows of `steps` rows from each start: a view where they lie at equal distances."""
    _, size = rows_TF.shape
    if not len(starts):
        return rows_TF.new_empty(0, steps, size)
    apart = np.diff(starts)
    if not len(apart) or (apart == apart[0]).all():
        stride = int(apart[0]) if len(apart) else 1
        return rows_TF.as_strided((len(starts), steps, size), (stride * size, size, 1), int(starts[0]) * size)
    whole = rows_TF.as_strided((len(rows_TF) - steps + 1, steps, size), (size, size, 1))
    return whole[torch.from_numpy(starts)]


def _asked(series: Encoded, number: int, times: NDArray[np.float64], season: int) -> NDArray[np.float64]:
    levels_TK = series.levels_TK
    num_targets = levels_TK.shape[1]
    places = np.arange(len(levels_TK))
    before_TK = levels_TK[np.maximum(places - season, 0)]
    last = np.column_stack([np.full(len(levels_TK), number), places, times])
    return np.hstack([levels_TK, series.features_TF[:, :num_targets], series.observed_TK, before_TK, last]).astype(np.float64)


def _require_room(series: Sequence[Series], borders: Sequence[Borders], settings: Settings) -> None:
    needed: Mapping[str, int] = {
        "train": settings.window + settings.horizon + (1 if settings.has_difference else 0),
        "validation": settings.horizon,
        "test": settings.horizon,
    }
    for one, border in zip(series, borders, strict=True):
        for split, least in needed.items():
            begin, end = border.of(split)
            if end - begin < least:
                raise DataError(
                    f"{one.label}, row {len(one)} is the last: {len(one)} rows leave {end - begin} to the {split} split, "
                    f"fewer than one window needs ({least}); lower data.window or data.horizon, or give more rows"
                    + ("" if len(series) == 1 or settings.cut == "series" else ", or set data.cut to series")
                )
