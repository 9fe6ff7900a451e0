"""From records to the rows of a report: one summary for each task, data set and cell."""

import statistics as plain
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from rnnbench.base.parameters import Value
from rnnbench.ledger.records import FINAL, Status, TrialRecord
from rnnbench.report.budgets import Curve, Unit, find_curve
from rnnbench.report.costs import Latency, Memory, find_costs, find_latency, find_machines, find_memory, flops_of, median_of, seconds_of
from rnnbench.report.rows import differing
from rnnbench.report.solved import Bar, find_bar, is_unsolved
from rnnbench.report.statistics import Difference, Interval, bootstrap_iqm, t_interval, welch_against
from rnnbench.report.study import Study
from rnnbench.search.space import full_parameters
from rnnbench.task.cards import TaskCard
from rnnbench.task.catalogue import get_task, question_of
from rnnbench.trial.spec import Question

BEST_SHOWN = 5
# A numeric parameter with more different values is one on an axis.
MOST_LEVELS = 6
# Searches whose draws follow from results.
ADAPTIVE = ("tpe", "cmaes")


@dataclass(frozen=True)
class Summary:
    """One cell on one task and data set.

    Attributes:
        searched: Search trials, in order; `completed` those that ended well.
        median, iqm: Of the completed search trials' best validation values; None where a scheduler stopped trials early or the
            draws followed from results: such values are no sample of one distribution.
        winner: Confirmed trials of the configuration with the best mean validation value; empty without confirmation.
        test: Mean test value of the winner with its interval; None below two seeds, and where all have the same value.
        budget: Expected best validation value of smaller searches; None where the trials are no independent draws, or too few.
        adaptive: Whether draws followed from results.
        independent: Whether the search trials are independent draws from one distribution: of a random search, each drawn once, none
            stopped early.
    """

    task: TaskCard
    data: str
    sweeps: tuple[str, ...]
    cell: str
    searched: tuple[TrialRecord, ...]
    winner: tuple[TrialRecord, ...]
    counts: Counter[Status]
    best: TrialRecord | None
    median: float | None
    iqm: Interval | None
    test_values: tuple[float, ...]
    test: Interval | None
    budget: Curve | None = None
    adaptive: bool = False
    independent: bool = False

    @cached_property
    def completed(self) -> list[TrialRecord]:
        """Search trials with a result."""
        return [trial for trial in self.searched if trial.status == Status.COMPLETED and trial.best is not None]

    @property
    def num_stopped(self) -> int:
        """Search trials that a scheduler stopped before the end of their budget."""
        return sum(trial.stopped_at is not None for trial in self.searched)

    @property
    def waiting(self) -> int:
        """Planned trials that have not ended."""
        return sum(number for status, number in self.counts.items() if status not in FINAL)

    @cached_property
    def given(self) -> dict[str, dict[str, Value]]:
        """All parameters of each search trial, by key."""
        return {trial.key: full_parameters(trial.task, trial.cell, trial.spec.parameters) for trial in self.searched}

    @cached_property
    def tried(self) -> list[dict[str, Value]]:
        """All parameters of each completed search trial."""
        return [self.given[trial.key] for trial in self.completed]

    @cached_property
    def searched_parameters(self) -> list[str]:
        """Parameters that differ between the completed search trials, by name."""
        return differing(self.tried)

    def top(self) -> list[TrialRecord]:
        """The best search trials, best first."""
        sign = sign_of(self.task)
        return sorted(self.completed, key=lambda trial: (-sign * value(trial), trial.position))[:BEST_SHOWN]

    def seconds(self) -> float | None:
        """Median wall clock of a completed search trial."""
        return median_of(self.completed, seconds_of)

    def flops(self) -> float | None:
        """Median FLOPs of a completed search trial's training."""
        return median_of(self.completed, flops_of)

    def memory(self) -> Memory | None:
        """Of the completed search trials' processes."""
        return find_memory(self.completed)

    def gpu_memory(self) -> Memory | None:
        """Of the completed search trials on their GPU."""
        return find_memory(self.completed, "peak_gpu_bytes")

    def latency(self) -> Latency | None:
        """How long the winner's network takes to answer; None without a winner, and where it was not measured."""
        return find_latency(self.winner)

    def parameters(self) -> int | None:
        """Weights of the winner's network, else of the best search trial's."""
        chosen = self.winner[0] if self.winner else self.best
        return chosen.outcome.get("num_parameters") if chosen else None


@dataclass(frozen=True)
class Comparison:
    """All cells on one question to one data set, best first.

    Attributes:
        asked: The parameters of `TaskCard.question`.
        tested: Whether the order is by confirmed test values; otherwise by best validation value.
        differences: Of the leader against each of the others by name, where both have two seeds or more.
        baselines: Validation values of methods without a recurrent network.
        test_baselines: Their test values, which a confirmed trial computes: what test values are to be judged by.
        bar: What the trials of a memory problem have to beat; None for other tasks.
        unsolved: Keys of the trials that do not beat it.
    """

    task: TaskCard
    data: str
    asked: Mapping[str, Value]
    rows: tuple[Summary, ...]
    tested: bool
    differences: Mapping[str, Difference | None]
    baselines: Mapping[str, float]
    test_baselines: Mapping[str, float] = field(default_factory=dict)
    bar: Bar | None = None
    unsolved: frozenset[str] = frozenset()

    @property
    def question(self) -> dict[str, Value]:
        """What was asked that is not at its default."""
        usual = question_of(self.task.name, {})
        return {name: given for name, given in self.asked.items() if (name, given) not in usual}

    @property
    def about(self) -> str:
        """The data set, and what is asked of it where that is not the usual."""
        options = [f"{name.partition('.')[2]} {value}" for name, value in self.question.items()]
        return f"{self.data}, {', '.join(options)}" if options else self.data

    @cached_property
    def machines(self) -> tuple[str, ...]:
        """What the completed search trials ran on; seconds are compared where that is one."""
        return find_machines(trial for row in self.rows for trial in row.completed)

    @property
    def timed(self) -> bool:
        """Whether seconds can be compared."""
        return len(self.machines) < 2

    @cached_property
    def latencies(self) -> dict[str, Latency]:
        """How long each cell's winner takes to answer; empty where they were measured on several machines."""
        found = {row.cell: latency for row in self.rows if (latency := row.latency())}
        return found if len({latency.machine for latency in found.values()}) == 1 else {}

    def beating(self, row: Summary) -> tuple[int, int]:
        """How many of a cell's trials beat the bar, of how many: its winner's where all cells are tested, else its search trials'."""
        counted = row.winner if self.tested else row.completed
        return sum(trial.key not in self.unsolved for trial in counted), len(counted)


def value(trial: TrialRecord) -> float:
    """A completed trial's best validation value."""
    assert trial.best is not None, "completed trials have a best value"
    return trial.best


def find_levels(given: Sequence[Value]) -> list[Value]:
    """The values of a parameter that has only a few or none that are numbers, in order; empty for one that is a number on an axis."""
    numbers = {item for item in given if _is_number(item)}
    if len(numbers) > MOST_LEVELS and all(map(_is_number, given)):
        return []
    return sort_values(given)


def sort_values(given: Iterable[Value]) -> list[Value]:
    """The different values of a parameter: null and numbers ascending, then words."""
    return sorted(
        set(given), key=lambda item: (isinstance(item, str), item is not None, item if isinstance(item, int | float) else 0, str(item))
    )


def place_of(given: Value, levels: Sequence[Value]) -> float:
    """Where a value stands on the axis of its parameter: the number of its level, or itself where there are none."""
    return float(levels.index(given)) if levels else to_number(given)


def to_number(given: Value) -> float:
    """The value of a parameter without levels."""
    assert isinstance(given, int | float), "a parameter without levels is a number"
    return float(given)


def _is_number(given: Value) -> bool:
    return isinstance(given, int | float) and not isinstance(given, bool)


def sign_of(task: TaskCard) -> float:
    """1 where a higher metric is better, else -1."""
    return 1.0 if task.metric.direction == "max" else -1.0


def build_comparisons(studies: Sequence[Study]) -> list[Comparison]:
    """One comparison for each question to each data set; a trial that several sweeps hold counts once."""
    groups: dict[Question, dict[str, dict[str, TrialRecord]]] = {}
    sweeps: dict[tuple[Question, str], list[str]] = {}
    adaptive = {study.sweep.name for study in studies if _method(study) in ADAPTIVE}
    dependent = {study.sweep.name for study in studies if _method(study) != "random" or study.sweep.settings.get("replicates", 1) != 1}
    for study in studies:
        for trial in study.trials:
            spec = trial.spec
            groups.setdefault(spec.question, {}).setdefault(spec.cell, {})[trial.key] = trial
            names = sweeps.setdefault((spec.question, spec.cell), [])
            if study.sweep.name not in names:
                names.append(study.sweep.name)
    found = []
    for question, cells in groups.items():
        rows = []
        for cell, trials in cells.items():
            held_by = tuple(sweeps[question, cell])
            row = _summarise(question, held_by, cell, list(trials.values()), adaptive=not adaptive.isdisjoint(held_by))
            rows.append(_with_budget(replace(row, independent=dependent.isdisjoint(held_by) and not row.num_stopped)))
        every = [trial for trials in cells.values() for trial in trials.values()]
        found.append(_mark_unsolved(_compare(rows, question, every), every))
    return found


def _method(study: Study) -> str:
    search = study.sweep.settings.get("search")
    return str(search.get("method")) if isinstance(search, dict) else ""


def _summarise(question: Question, sweeps: tuple[str, ...], cell: str, trials: list[TrialRecord], *, adaptive: bool) -> Summary:
    task = get_task(question[0])
    sign = sign_of(task)
    searched = [trial for trial in trials if trial.spec.stage == "search"]
    values = [trial.best for trial in searched if trial.status == Status.COMPLETED and trial.best is not None]
    completed = [trial for trial in searched if trial.status == Status.COMPLETED and trial.best is not None]
    is_sample = not adaptive and all(trial.stopped_at is None for trial in searched)
    winner = _winner([trial for trial in trials if trial.spec.stage == "confirm"], sign)
    tests = [float(trial.outcome["test"][task.metric.name]) for trial in winner if trial.outcome.get("test")]
    return Summary(
        task=task,
        data=question[1],
        sweeps=sweeps,
        cell=cell,
        searched=tuple(searched),
        winner=tuple(winner),
        counts=Counter(trial.status for trial in trials),
        best=max(completed, key=lambda trial: sign * value(trial)) if completed else None,
        median=plain.median(values) if values and is_sample else None,
        iqm=bootstrap_iqm(values) if is_sample else None,
        test_values=tuple(tests),
        test=t_interval(tests, task.range_of(task.metric.name)),
        adaptive=adaptive,
    )


def _with_budget(row: Summary) -> Summary:
    """The summary of independent draws with what smaller searches would have found."""
    if not row.independent or row.median is None or row.counts[Status.FAILED] or row.counts[Status.DIVERGED]:
        return row  # without the draws that were lost, the others would flatter
    values = [value(trial) for trial in row.completed]
    costs: dict[Unit, float] = {}
    if seconds := find_costs(row.completed, seconds_of):
        costs["seconds"] = plain.fmean(seconds)
    if flops := find_costs(row.completed, flops_of):
        costs["flops"] = plain.fmean(flops)
    return replace(row, budget=find_curve(values, maximize=sign_of(row.task) > 0, costs=costs))


def _winner(confirmed: list[TrialRecord], sign: float) -> list[TrialRecord]:
    groups: dict[str, list[TrialRecord]] = {}
    for trial in confirmed:
        if trial.status == Status.COMPLETED:
            groups.setdefault(trial.group_key, []).append(trial)
    return max(groups.values(), key=lambda group: sign * plain.fmean(map(value, group)), default=[])


def _mark_unsolved(comparison: Comparison, trials: Sequence[TrialRecord]) -> Comparison:
    bar = find_bar(comparison.task, trials)
    if bar is None:
        return comparison
    metric = comparison.task.metric.name
    return replace(comparison, bar=bar, unsolved=frozenset(trial.key for trial in trials if is_unsolved(trial, bar, metric)))


def _compare(rows: list[Summary], question: Question, trials: Sequence[TrialRecord]) -> Comparison:
    sign = sign_of(rows[0].task)
    tested = all(row.test_values for row in rows)

    def rank(row: Summary) -> float:
        if tested:
            return -sign * plain.fmean(row.test_values)
        return -sign * value(row.best) if row.best else float("inf")

    ordered = sorted(rows, key=rank)
    others = ordered[1:]
    bounds = rows[0].task.range_of(rows[0].task.metric.name)
    tests = welch_against(ordered[0].test_values, [row.test_values for row in others], bounds) if tested else [None] * len(others)
    return Comparison(
        task=rows[0].task,
        data=rows[0].data,
        asked=dict(question[2]),
        rows=tuple(ordered),
        tested=tested,
        differences={row.cell: test for row, test in zip(others, tests, strict=True)},
        baselines=_merge(trials, "baselines"),
        test_baselines=_merge(trials, "test_baselines"),
    )


def _merge(trials: Sequence[TrialRecord], name: str) -> dict[str, float]:
    """Values by method that some of the trials have in their outcome."""
    found: dict[str, float] = {}
    for trial in trials:
        found |= trial.outcome.get(name) or {}
    return found
