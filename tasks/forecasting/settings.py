"""What a trial asks of this task, from its parameters, and what is known of each named data set."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from rnnbench.base.errors import ParameterError
from rnnbench.base.parameters import Value
from rnnbench.task.series import AUTO, NONE, Columns, Gaps, split_names
from rnnbench_tasks.forecasting.seasons import read_calendar

Residual = Literal["none", "last", "season", "linear"]
Transform = Literal["none", "log", "difference", "log_difference"]

MEDIAN = 0.5
SHARES = {"validation": 0.1, "test": 0.2}

# What `auto` means for a named set.
KNOWN = {
    "min_temperatures": Columns(time="Date", targets=("Temp",)),
    "max_temperatures": Columns(time="Date", targets=("Temperature",)),
    "sunspots": Columns(time="Month", targets=("Sunspots",)),
    "etth1": Columns(time="date"),
    "stocks": Columns(time="date", series="symbol", targets=("price",)),
    "apple": Columns(time="Date", targets=("AAPL.Close",), values=("AAPL.Open", "AAPL.High", "AAPL.Low", "AAPL.Volume")),
    "weather": Columns(time="date", series="location", targets=("temp_max", "temp_min", "wind"), values=("precipitation",)),
}
# Rows of train, validation and test: 12, 4 and 4 months of 30 days, as in Zhou et al. 2021, arXiv:2012.07436; later rows are not used.
OFFICIAL = {"etth1": (8640, 2880, 2880)}


@dataclass(frozen=True)
class Settings:
    """The parameters of `data.*` and `task.*` with their types; see the card for what each means.

    Attributes:
        validation_share, test_share: None: the set's usual split, else SHARES.
        apart: Whether each target is read by itself.
        season: Steps; None: by the step between rows, see `season_of`.
        quantiles: Ascending, with the median; one entry, the median, where the mean is asked.
    """

    window: int
    horizon: int
    stride: int
    columns: Columns
    validation_share: float | None
    test_share: float | None
    cut: str
    scaling: str
    transform: Transform
    calendar: str
    missing: str
    gaps: Gaps
    season: int | None
    train_fraction: float
    seed: int
    decoding: str
    residual: Residual
    normalize: str
    apart: bool
    loss: str
    quantiles: tuple[float, ...]

    @property
    def is_recursive(self) -> bool:
        """Whether one step is predicted at a time and read again."""
        return self.decoding == "recursive"

    @property
    def has_difference(self) -> bool:
        """Whether the network reads and predicts changes."""
        return self.transform in ("difference", "log_difference")

    @property
    def has_log(self) -> bool:
        """Whether it reads and predicts logarithms."""
        return self.transform in ("log", "log_difference")

    @property
    def has_quantiles(self) -> bool:
        """Whether quantiles are predicted."""
        return len(self.quantiles) > 1

    @property
    def steps_of_inputs(self) -> int:
        """Steps of a window as it is stored: in recursive decoding also later ones, of which only the calendar is read."""
        return self.window + (self.horizon - 1 if self.is_recursive and self.calendar != NONE else 0)


def get_settings(parameters: Mapping[str, Value], data: str) -> Settings:
    """The settings of a data set; parameters that do not exist beside the others have no effect.

    Raises:
        ParameterError: a text is not of its form, or two parameters do not go together.
    """
    get: Any = parameters.get
    known = KNOWN.get(data, Columns())
    time, series, values, targets = (get(f"data.{name}") for name in ("time_column", "series_column", "columns", "targets"))
    columns = Columns(
        time=known.time if time == AUTO else time,
        series=known.series if series == AUTO else series,
        values=known.values if values == AUTO else tuple(split_names(values)),
        targets=known.targets if targets == AUTO else tuple(split_names(targets)),
    )
    transform = get("data.transform")
    levels = transform in ("none", "log")
    settings = Settings(
        window=get("data.window"),
        horizon=get("data.horizon"),
        stride=get("data.stride"),
        columns=columns,
        validation_share=get("data.validation_share"),
        test_share=get("data.test_share"),
        cut=get("data.cut"),
        scaling=get("data.scaling"),
        transform=transform,
        calendar=get("data.calendar"),
        missing=get("data.missing"),
        gaps=get("data.gaps"),
        season=get("data.season"),
        train_fraction=get("data.train_fraction"),
        seed=get("data.seed"),
        decoding=get("task.decoding"),
        residual=get("task.residual") or "none" if levels else "none",
        normalize=get("task.normalize") or "none" if levels else "none",
        apart=get("task.columns") == "apart",
        loss=get("task.loss") or "squared",
        quantiles=_quantiles(str(get("task.quantiles"))) if _asks_quantiles(parameters) else (MEDIAN,),
    )
    read_calendar(settings.calendar)
    validation, test = shares(settings)
    if validation + test >= 1:
        raise ParameterError(f"data.validation_share {validation:g} and data.test_share {test:g} leave nothing to train on")
    return settings


def shares(settings: Settings) -> tuple[float, float]:
    """Shares of validation and test."""
    validation, test = settings.validation_share, settings.test_share
    return SHARES["validation"] if validation is None else validation, SHARES["test"] if test is None else test


def _asks_quantiles(parameters: Mapping[str, Value]) -> bool:
    return parameters.get("task.decoding") == "direct" and parameters.get("task.output") == "quantiles"


def _quantiles(text: str) -> tuple[float, ...]:
    wrong = ParameterError(f"task.quantiles is '{text}', must be ascending numbers between 0 and 1 with 0.5 among them, e.g. 0.1,0.5,0.9")
    try:
        found = tuple(float(part) for part in split_names(text))
    except ValueError as error:
        raise wrong from error
    if len(found) < 2 or MEDIAN not in found or not all(0 < one < 1 for one in found) or list(found) != sorted(set(found)):
        raise wrong
    return found
