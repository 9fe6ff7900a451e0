"""A study as a tabular benchmark: every trial with its whole curve and cost, for hyper-parameter optimisers to be tried on in seconds.

A table answers what training would have answered: the value after each epoch of a configuration that was trained, and what it cost.
"""

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from rnnbench.base.errors import InputError
from rnnbench.base.files import write_atomic
from rnnbench.base.parameters import Value
from rnnbench.base.version import __version__
from rnnbench.ledger.records import Status
from rnnbench.report.rows import Row, differing, epoch_rows, is_parameter, to_columns, to_parquet, trial_rows
from rnnbench.report.study import Study
from rnnbench.search.schedulers import Scheduler, Standing, Verdict, decide, next_rung, rungs
from rnnbench.task.catalogue import get_task

TRIALS, EPOCHS, CARD, ABOUT = "trials.parquet", "epochs.parquet", "README.md", "benchmark.json"


@dataclass(frozen=True)
class Configuration:
    """A trained configuration.

    Attributes:
        values: The validation metric after each epoch, as it was; `seconds` since the trial began.
    """

    trial: str
    parameters: Mapping[str, Value]
    values: tuple[float, ...]
    seconds: tuple[float, ...]


@dataclass(frozen=True)
class Table:
    """All configurations of one cell on one data set, in the order of their draws; `sign` is 1 where a higher value is better, else -1."""

    task: str
    data: str
    cell: str
    metric: str
    sign: float
    configurations: tuple[Configuration, ...]

    @cached_property
    def max_epochs(self) -> int:
        """Of the longest curve."""
        return max(len(one.values) for one in self.configurations)


@dataclass
class Replay:
    """What a search would have found.

    Attributes:
        epochs: Epochs trained so far, and
        best: the best value by then, at each epoch that brought a better one.
        trained: Epochs that each configuration got, by its trial.
    """

    epochs: list[int] = field(default_factory=list)
    best: list[float] = field(default_factory=list)
    trained: dict[str, int] = field(default_factory=dict)

    @property
    def spent(self) -> int:
        """Epochs trained in all."""
        return sum(self.trained.values())


def export_tabular(studies: Sequence[Study], folder: Path) -> int:
    """Writes the completed search trials of some sweeps that were trained to their end; returns how many.

    Raises:
        InputError: there is none.
        OSError: the folder cannot be written.
    """
    rows: list[Row] = []
    curves: list[Row] = []
    for study in studies:
        whole = [
            trial
            for trial in study.trials
            if trial.status == Status.COMPLETED and trial.stage == "search" and trial.stopped_at is None and study.epochs.get(trial.key)
        ]
        rows += trial_rows(whole, study.sweep.name)
        curves += epoch_rows({trial.key: study.epochs[trial.key] for trial in whole})
    if not rows:
        raise InputError("no search trial of these sweeps has completed its budget: there is nothing to write")
    about = {
        "rnnbench": __version__,
        "sweeps": [_about(study) for study in studies],
        "metrics": {row["task"]: asdict(get_task(row["task"]).metric) for row in rows},
    }
    environment = Environment(loader=PackageLoader("rnnbench.report"), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)  # noqa: S701 - Markdown
    lengths = Counter(str(row["trial"]) for row in curves)
    counted: dict[tuple[str, str, str], list[int]] = {}
    for row in rows:
        counted.setdefault((row["task"], row["data"], row["cell"]), []).append(lengths[row["trial"]])
    card = environment.get_template("tabular.md").render(
        about=about, counted=counted, names=(TRIALS, EPOCHS, ABOUT), columns=list(filter(is_parameter, differing(rows)))
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / TRIALS, to_parquet(to_columns(rows)))
    write_atomic(folder / EPOCHS, to_parquet(to_columns(curves)))
    write_atomic(folder / ABOUT, json.dumps(about, indent=1, sort_keys=True, default=str) + "\n")
    write_atomic(folder / CARD, card)
    return len(rows)


class Tabular:
    """A benchmark that `rnnbench export-benchmark` wrote.

    Attributes:
        tables: By task, data set and cell.
    """

    def __init__(self, tables: Mapping[tuple[str, str, str], Table]) -> None:
        self.tables = dict(tables)

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Reads the folder.

        Raises:
            InputError: it is none.
        """
        import pyarrow.parquet as pq

        try:
            about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
            trials, epochs = (pq.read_table(io.BytesIO((folder / name).read_bytes())).to_pylist() for name in (TRIALS, EPOCHS))
        except (OSError, ValueError) as error:
            raise InputError(f"{folder} is no benchmark of rnnbench export-benchmark: {error}") from error
        curves: dict[str, list[Row]] = {}
        for row in epochs:
            curves.setdefault(row["trial"], []).append(row)
        found: dict[tuple[str, str, str], dict[str, Configuration]] = {}
        for row in trials:
            metric = about["metrics"][row["task"]]["name"]
            curve = sorted(curves[row["trial"]], key=lambda one: int(one["epoch"]))
            parameters = {name: value for name, value in row.items() if is_parameter(name) and value is not None}
            one = Configuration(row["trial"], parameters, *(tuple(float(epoch[name]) for epoch in curve) for name in (metric, "seconds")))
            found.setdefault((row["task"], row["data"], row["cell"]), {})[row["trial"]] = one
        signs = {task: 1.0 if metric["direction"] == "max" else -1.0 for task, metric in about["metrics"].items()}
        return cls(
            {
                (task, data, cell): Table(task, data, cell, about["metrics"][task]["name"], signs[task], tuple(configurations.values()))
                for (task, data, cell), configurations in found.items()
            }
        )


def replay(table: Table, order: Sequence[int], scheduler: Scheduler | None = None) -> Replay:
    """What a search that draws configurations in an order would have found, trial by trial from one rung to the next.

    Args:
        order: Places in `table.configurations`.
        scheduler: What stops trials early; None trains each to its end.
    """
    drawn = [table.configurations[place] for place in order]
    found = Replay(trained={one.trial: 0 for one in drawn})
    marks = frozenset(rungs(scheduler, table.max_epochs)) if scheduler else frozenset()
    states = [_State(one) for one in drawn]
    while True:
        for place, state in enumerate(states):
            if state.waits_at or state.ended:
                continue
            until = next_rung(scheduler, table.max_epochs, len(drawn), place, state.promoted) if scheduler else None
            state.train(min(until or table.max_epochs, len(state.of.values)), marks, table.sign, found)
            state.waits_at = until if until and state.epochs == until else 0
            state.ended = not state.waits_at
        if scheduler is None:
            return found
        made = decide(scheduler, table.max_epochs, len(drawn), [[state.standing()] for state in states])
        if not made:
            return found
        by_trial = {state.of.trial: state for state in states}
        for decision in made:
            by_trial[decision.key].take(decision.rung, decision.verdict)


def expected_best(table: Table, num_draws: int, repeats: int, scheduler: Scheduler | None = None, seed: int = 0) -> tuple[float, float]:
    """Mean final best value, and mean epochs spent, over repeats of a search that draws so many configurations without repetition."""
    rng = np.random.default_rng(seed)
    played = [replay(table, rng.permutation(len(table.configurations))[:num_draws].tolist(), scheduler) for _ in range(repeats)]
    return float(np.mean([one.best[-1] for one in played])), float(np.mean([one.spent for one in played]))


@dataclass
class _State:
    """A configuration under way; values are signed."""

    of: Configuration
    epochs: int = 0
    best: float | None = None
    total: float = 0.0
    waits_at: int = 0
    promoted: int = 0
    ended: bool = False
    at: dict[int, tuple[float, float]] = field(default_factory=dict)
    verdicts: dict[int, Verdict] = field(default_factory=dict)

    def train(self, until: int, marks: frozenset[int], sign: float, found: Replay) -> None:
        for epoch in range(self.epochs + 1, until + 1):
            value = self.of.values[epoch - 1]
            self.total += sign * value
            self.best = sign * value if self.best is None else max(self.best, sign * value)
            found.trained[self.of.trial] = epoch
            if epoch in marks:
                self.at[epoch] = (self.best, self.total / epoch)
            if not found.best or sign * value > sign * found.best[-1]:
                found.epochs.append(found.spent)
                found.best.append(value)
        self.epochs = max(self.epochs, until)

    def take(self, rung: int, verdict: Verdict) -> None:
        self.verdicts[rung] = verdict
        self.waits_at, self.promoted, self.ended = 0, rung, verdict == "stopped"

    def standing(self) -> Standing:
        return Standing(self.of.trial, self.of.trial, self.waits_at, self.ended, self.best, dict(self.at), dict(self.verdicts))


def _about(study: Study) -> dict[str, Any]:
    sweep = study.sweep
    machines = sorted({str(trial.outcome["processor"]) for trial in study.trials if trial.outcome.get("processor")})
    facts = {"name": sweep.name, "created_at": sweep.created_at.isoformat(timespec="seconds"), "settings": sweep.settings}
    return facts | {"revision": sweep.environment.get("revision"), "versions": sweep.environment.get("versions"), "processors": machines}
