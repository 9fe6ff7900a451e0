"""Schedulers: which trials train on at a rung. Pure functions of recorded values, so that every decision can be made again.

Successive halving (Jamieson and Talwalkar, 2016) trains `n` configurations to a rung, keeps the best `n / eta`, and so on.
`halving` has one cohort of all; `asha` (Li et al., 2020) many small ones, in the order of the draws, which pass their rungs
independently of each other; `hyperband` (Li et al., 2018) cohorts that start at different rungs. A cohort waits for all its
members, so its decisions are the same with any number of workers. `asha` with `mode: async` decides at once, from what is
recorded by then, and `median` (Golovin et al., 2017) does too: their decisions depend on the order in which trials end.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rnnbench.base.canonical import Plain

Verdict = Literal["promoted", "stopped"]

# The settings that each scheduler reads.
SCHEDULERS = {
    "asha": ("grace_period", "reduction_factor", "mode", "cohort_size"),
    "halving": ("grace_period", "reduction_factor", "cohort_size"),
    "hyperband": ("grace_period", "reduction_factor"),
    "median": ("grace_period", "min_samples"),
}


@dataclass(frozen=True)
class Scheduler:
    """A scheduler as the sweep file gives it, every default filled in.

    Attributes:
        name: asha, halving, hyperband or median.
        grace_period: Epochs before the first decision; for median also between two.
        reduction_factor: eta: of that many trials one trains on; not used by median.
        mode: `cohort` or `async`.
        cohort_size: Configurations that are compared with each other; None where it is the bracket's.
        min_samples: Trials that must have reached the epoch before median stops one.
    """

    name: str
    grace_period: int = 1
    reduction_factor: int = 3
    mode: str = "cohort"
    cohort_size: int | None = None
    min_samples: int = 3

    def settings(self) -> dict[str, Plain]:
        """What a sweep file says to get this scheduler."""
        values = {name: getattr(self, name) for name in ("name", *SCHEDULERS[self.name])}
        return {name: value for name, value in values.items() if value is not None}


@dataclass(frozen=True)
class Cohort:
    """Configurations that are compared with each other: their places among the draws, and the epochs of their rungs."""

    start: int
    size: int
    rungs: tuple[int, ...]


@dataclass(frozen=True)
class Standing:
    """One trial as a scheduler sees it; values are signed so that higher is better.

    Attributes:
        group: Replicates of one configuration share it.
        waits_at: The rung at which it waits for a decision; 0 when it does not.
        ended: It will not train on.
        best: Of all epochs so far; None: nothing finite.
        at: Best value and mean value up to each rung it has passed.
        verdicts: Of the rungs already decided.
    """

    key: str
    group: str
    waits_at: int
    ended: bool
    best: float | None
    at: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    verdicts: Mapping[int, Verdict] = field(default_factory=dict)

    def has_reached(self, rung: int) -> bool:
        """Whether it has a value for that rung, or never will."""
        return self.ended or rung in self.at

    def value(self, rung: int) -> float:
        """The best value up to a rung; minus infinity where there is none."""
        if rung in self.at:
            return self.at[rung][0]
        return -math.inf if self.best is None else self.best


@dataclass(frozen=True)
class Decision:
    """What becomes of one waiting trial, and the numbers that say why."""

    key: str
    rung: int
    verdict: Verdict
    evidence: Mapping[str, object]


def rungs(scheduler: Scheduler, max_epochs: int) -> tuple[int, ...]:
    """The epochs, below `max_epochs`, at which trials are compared."""
    if scheduler.name == "median":
        return tuple(range(scheduler.grace_period, max_epochs, scheduler.grace_period))
    found, epoch = [], scheduler.grace_period
    while epoch < max_epochs:
        found.append(epoch)
        epoch *= scheduler.reduction_factor
    return tuple(found)


def cohorts(scheduler: Scheduler, max_epochs: int, total: int) -> Iterator[Cohort]:
    """The cohorts that `total` configurations fall into, in the order of the draws."""
    epochs, eta = rungs(scheduler, max_epochs), scheduler.reduction_factor
    start, bracket = 0, len(epochs)
    while start < total:
        if scheduler.name == "hyperband":
            # Bracket s starts with ceil((s_max + 1) / (s + 1) * eta ** s) configurations and has s rungs.
            size = math.ceil((len(epochs) + 1) / (bracket + 1) * eta**bracket)
            its_rungs = epochs[len(epochs) - bracket :]
            bracket = bracket - 1 if bracket else len(epochs)
        else:
            size, its_rungs = scheduler.cohort_size or total, epochs
        yield Cohort(start, min(size, total - start), its_rungs)
        start += size


def next_rung(scheduler: Scheduler, max_epochs: int, total: int, place: int, decided: int) -> int | None:
    """The rung at which the configuration at a place among the draws is to stop next; None: it trains to the end.

    Args:
        decided: The last rung at which it was promoted; 0 before the first.
    """
    if scheduler.mode == "async":
        return next((rung for rung in rungs(scheduler, max_epochs) if rung > decided), None)
    cohort = next(cohort for cohort in cohorts(scheduler, max_epochs, total) if cohort.start <= place < cohort.start + cohort.size)
    return next((rung for rung in cohort.rungs if rung > decided), None)


def decide(scheduler: Scheduler, max_epochs: int, total: int, groups: Sequence[Sequence[Standing]]) -> list[Decision]:
    """Every decision that can be made now for the trials of one task and cell.

    Args:
        total: Configurations planned; with an adaptive search some are not drawn yet.
        groups: The configurations in the order of the draws, each with its replicates.
    """
    if scheduler.mode == "async":
        return _decide_at_once(scheduler, [standing for group in groups for standing in group])
    return [
        decision
        for number, cohort in enumerate(cohorts(scheduler, max_epochs, total))
        for decision in _decide_cohort(scheduler, cohort, number, groups[cohort.start : cohort.start + cohort.size])
    ]


def kept(values: Mapping[str, float | None], reduction_factor: int) -> set[str]:
    """The best of a cohort: one of `reduction_factor`, at least one; None is worst, ties go to the earlier."""
    ranked = sorted(values, key=lambda group: -_or_worst(values[group]))
    return set(ranked[: max(1, len(values) // reduction_factor)])


def is_among_best(num_better: int, num_values: int, reduction_factor: int) -> bool:
    """Whether a value with that many better ones is in the best of `num_values`, itself included."""
    return num_better < max(1, math.ceil(num_values / reduction_factor))


def _decide_cohort(scheduler: Scheduler, cohort: Cohort, number: int, groups: Sequence[Sequence[Standing]]) -> Iterator[Decision]:
    members = list(groups)
    expected = cohort.size
    for rung in cohort.rungs:
        if len(members) < expected or not all(trial.has_reached(rung) for group in members for trial in group):
            return
        values = {group[0].group: _mean([trial.value(rung) for trial in group]) for group in members}
        best = kept(values, scheduler.reduction_factor)
        survivors = []
        for group in members:
            verdicts = {trial.verdicts[rung] for trial in group if rung in trial.verdicts}
            # What was decided stays decided, also where a cohort has grown since.
            stays = "promoted" in verdicts or (not verdicts and group[0].group in best)
            if stays:
                survivors.append(group)
            verdict: Verdict = "promoted" if stays else "stopped"
            for trial in group:
                if trial.waits_at == rung and rung not in trial.verdicts:
                    evidence = {"cohort": number, "group": group[0].group, "values": values}
                    yield Decision(trial.key, rung, verdict, evidence)
        members, expected = survivors, len(survivors)


def _decide_at_once(scheduler: Scheduler, trials: Sequence[Standing]) -> list[Decision]:
    decisions = []
    for trial in trials:
        rung = trial.waits_at
        if rung == 0 or rung in trial.verdicts:
            continue
        value = trial.value(rung)
        others = [other for other in trials if other.key != trial.key and rung in other.at]
        if scheduler.name == "median":
            means = sorted(other.at[rung][1] for other in others)
            median = means[len(means) // 2] if len(means) % 2 else sum(means[len(means) // 2 - 1 :][:2]) / 2 if means else None
            goes_on = median is None or len(means) < scheduler.min_samples or value >= median
            evidence: dict[str, object] = {"value": _finite(value), "median": median, "others": len(means)}
        else:
            num_better = sum(other.value(rung) > value for other in others)
            goes_on = math.isfinite(value) and is_among_best(num_better, len(others) + 1, scheduler.reduction_factor)
            evidence = {"value": _finite(value), "better": num_better, "others": len(others)}
        decisions.append(Decision(trial.key, rung, "promoted" if goes_on else "stopped", evidence))
    return decisions


def _mean(values: Sequence[float]) -> float | None:
    return _finite(sum(values) / len(values))


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _or_worst(value: float | None) -> float:
    return -math.inf if value is None else value
