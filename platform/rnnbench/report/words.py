"""The answer in words, generated from the numbers and never saying more than they do."""

import statistics
from collections.abc import Mapping, Sequence

from rnnbench.base.names import listed
from rnnbench.base.parameters import Value
from rnnbench.ledger.records import Status
from rnnbench.report.across import LEAST_DATA_SETS, Across
from rnnbench.report.budgets import UNITS, Unit, find_crossings
from rnnbench.report.costs import flops_of, median_of, seconds_of
from rnnbench.report.examined import find_verdict
from rnnbench.report.solved import say_better
from rnnbench.report.statistics import seeds_needed
from rnnbench.report.tables import Comparison, Summary, sign_of, value
from rnnbench.search.space import full_parameters
from rnnbench.task.cards import MetricCard

ALPHA = 0.05
# How a search is named that is smaller than a budget.
SMALLER: dict[Unit, str] = {
    "trials": "fewer than {} trials",
    "seconds": "less than {} s in all",
    "flops": "less than {} FLOPs",
}


def number(quantity: float | None) -> str:
    """A number for a table: four significant digits, a dash for none."""
    if quantity is None:
        return "-"
    if quantity == 0 or 1e-3 <= abs(quantity) < 1e5:
        text = f"{quantity:.4g}"
        return f"{quantity:.0f}" if "e" in text else text
    return f"{quantity:.2e}"


def measured(quantity: float | None, unit: str) -> str:
    """A number with its unit, where it has one."""
    return f"{number(quantity)} {unit}".rstrip()


def say_value(given: Value) -> str:
    """The value of a parameter."""
    if isinstance(given, float):
        return number(given)
    return "null" if given is None else str(given).lower() if isinstance(given, bool) else str(given)


def axis_title(metric: MetricCard) -> str:
    """A metric's name with its unit, for an axis."""
    return f"{metric.title} ({metric.unit})" if metric.unit else metric.title


def answer(comparison: Comparison) -> list[str]:
    """Sentences: who leads, by how much, how sure, at what budget, and what stands beside it."""
    rows = comparison.rows
    leader = rows[0]
    if leader.best is None:
        return [f"No trial of {comparison.task.title} on {comparison.about} has a result yet, so there is nothing to compare."]
    sentences = [_lead(comparison, leader)]
    if len(rows) > 1:
        sentences.append(_certainty(comparison))
    sentences.append(_winner(comparison, leader))
    sentences += _better(comparison)
    sentences += [f"{row.cell} on the test split: {verdict}." for row in rows if (verdict := find_verdict(row))]
    sentences.append(_budget(comparison))
    sentences += _crossings(comparison)
    if comparison.tested and comparison.test_baselines:
        mean = statistics.fmean(leader.test_values)
        sentences.append(_beside(comparison, comparison.test_baselines, mean, "test", "the mean of the best cell"))
    elif comparison.baselines:
        sentences.append(_beside(comparison, comparison.baselines, value(leader.best), "validation", "the best trial"))
    sentences += _warnings(comparison)
    return sentences


def _beside(comparison: Comparison, baselines: Mapping[str, float], ours: float, split: str, what: str) -> str:
    """What is reached without a recurrent network, and whether that is as good."""
    pick = max if comparison.task.metric.direction == "max" else min
    name, best = pick(baselines.items(), key=lambda item: item[1])
    better = sign_of(comparison.task) * (ours - best) > 0
    verdict = "" if better else f"; {what} here is not better than that"
    return f"Without a recurrent network, {name} reaches {number(best)} on the {split} data{verdict}."


def say_across(across: Across) -> list[str]:
    """Sentences on cells over several data sets."""
    ranks = ", ".join(f"{cell} {number(rank)}" for cell, rank in across.ranks.items())
    sentences = [f"Mean ranks over {len(across.data_sets)} data sets, 1 is best: {ranks}."]
    if across.p is None or across.critical_difference is None:
        sentences.append(f"No test is made of ranks on fewer than {LEAST_DATA_SETS} data sets or three cells.")
        return sentences
    verdict = "The cells differ" if across.p < ALPHA else "That the cells are all equal cannot be ruled out"
    sentences.append(f"{verdict} (Friedman's test, p = {number(across.p)}).")
    leader, *others = across.ranks
    apart = [cell for cell in others if across.ranks[cell] - across.ranks[leader] > across.critical_difference]
    if across.p < ALPHA:
        told = f"{leader} is told apart from {', '.join(apart)}" if apart else f"{leader} is told apart from no other"
        sentences.append(f"With Nemenyi's critical difference of {number(across.critical_difference)} at the 5 % level {told}.")
    return sentences


def _lead(comparison: Comparison, leader: Summary) -> str:
    metric = comparison.task.metric
    assert leader.best is not None, "checked by the caller"
    place = f"on {comparison.task.title.lower()} ({comparison.about})"
    one = "is the only cell here" if len(comparison.rows) == 1 else "leads"
    if comparison.tested and leader.test_values:
        mean = statistics.fmean(leader.test_values)
        interval = f", 95 % interval {number(leader.test.low)} to {number(leader.test.high)}" if leader.test else ""
        if leader.test is None and len(leader.test_values) > 1:
            interval = ", all with this value, which gives no interval"
        seeds = f"mean of {len(leader.test_values)} fresh seeds{interval}"
        return f"{leader.cell} {one} {place}: test {metric.title} {measured(mean, metric.unit)} ({seeds})."
    return (
        f"{leader.cell} {one} {place}: best validation {metric.title} {measured(value(leader.best), metric.unit)}. "
        "No winner was confirmed with fresh seeds, so this report has no test values, and a best-of-many validation value flatters."
    )


def _certainty(comparison: Comparison) -> str:
    leader, others = comparison.rows[0], comparison.rows[1:]
    if not comparison.tested:
        return "Which cell is better cannot be decided from this: confirm the winners with fresh seeds (confirm: {top_k: 1, seeds: 5})."
    behind, tied = [], []
    for row in others:
        test = comparison.differences[row.cell]
        if test is not None and test.p_holm < ALPHA:
            near, far = sorted((abs(test.low), abs(test.high)))
            behind.append(f"{row.cell} by {number(abs(test.value))} ({number(near)} to {number(far)})")
        else:
            tied.append(row.cell)
    parts = []
    if behind:
        parts.append(f"It is better than {listed(behind)}")
    if tied:
        parts.append(f"{'the' if behind else 'The'} data cannot separate it from {listed(tied)}")
    more = _seeds_that_would_decide(leader, [row for row in others if row.cell in tied])
    return f"{', and '.join(parts)} (Welch's t-test on {len(leader.test_values)} seeds each, Holm-corrected, 5 % level).{more}"


def _seeds_that_would_decide(leader: Summary, tied: Sequence[Summary]) -> str:
    found = {row.cell: seeds_needed(leader.test_values, row.test_values, ALPHA / max(1, len(tied))) for row in tied}
    parts = [f"{cell} about {number}" for cell, number in found.items() if number is not None]
    if not parts:
        return ""
    return f" If the differences are what they seem, so many seeds each would show them four times out of five: {', '.join(parts)}."


def _winner(comparison: Comparison, leader: Summary) -> str:
    """What the leader's best configuration is, of what was searched, and what it costs."""
    chosen = leader.winner or ((leader.best,) if leader.best else ())
    given = full_parameters(chosen[0].task, chosen[0].cell, chosen[0].spec.parameters)
    settings = [f"{name} {say_value(given[name])}" for name in leader.searched_parameters if name in given]
    costs = []
    if weights := leader.parameters():
        costs.append(f"{weights} weights")
    if comparison.timed and (seconds := median_of(chosen, seconds_of)):
        costs.append(f"{number(seconds)} s of training")
    if flops := median_of(chosen, flops_of):
        costs.append(f"{number(flops)} FLOPs of training")
    if latency := comparison.latencies.get(leader.cell):
        costs.append(f"{number(latency.one_ms)} ms to answer one sequence of {latency.steps} steps")
    won = f"{leader.cell}'s best configuration: {', '.join(settings)}" if settings else f"Every setting of {leader.cell} was given"
    return f"{won}. It costs {', '.join(costs)}." if costs else f"{won}."


def _better(comparison: Comparison) -> list[str]:
    if comparison.bar is None:
        return []
    bar, unit = comparison.bar, comparison.task.metric.unit
    level = measured(bar.test_level if comparison.tested else bar.level, unit)
    counts = [(row.cell, *comparison.beating(row)) for row in comparison.rows]
    said = say_better(counts, bar, level, tested=comparison.tested)
    return [said] if said else []


def _budget(comparison: Comparison) -> str:
    trials = {row.cell: len(row.searched) for row in comparison.rows}
    if len(set(trials.values())) == 1:
        each = " each" if len(trials) > 1 else ""
        return f"Budget: {next(iter(trials.values()))} search trials{each}, the same tuner and the same space{_stopped(comparison)}."
    counts = ", ".join(f"{cell} {count}" for cell, count in trials.items())
    return f"The budgets differ ({counts} search trials): a cell with more trials has an advantage, so this is no fair comparison."


def _crossings(comparison: Comparison) -> list[str]:
    """Of the leader and each other cell whose expected best changes places with a larger search, from which budget on."""
    leader, maximize = comparison.rows[0], sign_of(comparison.task) > 0
    # By the cell that is ahead at the end, which with another unit may be another, and the unit: the cell ahead before, and until when.
    ahead: dict[str, dict[Unit, dict[str, float]]] = {}
    for row in comparison.rows[1:]:
        if leader.budget is None or row.budget is None:
            continue
        names = leader.cell, row.cell
        for unit in UNITS:
            changes = find_crossings(leader.budget, row.budget, maximize=maximize, unit=unit)
            if len(changes) > 1 and (unit != "seconds" or comparison.timed):
                budget, better = changes[-1]
                ahead.setdefault(names[better], {}).setdefault(unit, {})[names[1 - better]] = budget
    parts = [_say_ahead(last, of_units) for last, of_units in ahead.items()]
    return [f"The budget matters: {'; '.join(parts)}."] if parts else []


def _say_ahead(last: str, before: Mapping[Unit, Mapping[str, float]]) -> str:
    """Which cells are expected to be ahead of one in a search of less than so much; units of the same cells together."""
    sizes: dict[tuple[str, ...], list[str]] = {}
    for unit, until in before.items():
        low, high = number(min(until.values())), number(max(until.values()))
        sizes.setdefault(tuple(until), []).append(SMALLER[unit].format(low if low == high else f"{low} to {high}"))
    first, *more = ((listed(cells), "is" if len(cells) == 1 else "are", " and of ".join(found)) for cells, found in sizes.items())
    said = f"{first[0]} {first[1]} expected to be ahead of {last} in a search of {first[2]}"
    return "; ".join([said, *(f"{cells} in one of {size}" for cells, _, size in more)])


def _stopped(comparison: Comparison) -> str:
    stopped = {row.cell: row.num_stopped for row in comparison.rows if row.num_stopped}
    if not stopped:
        return ""
    counts = listed([f"{number} of {cell}'s" for cell, number in stopped.items()])
    return f"; a scheduler stopped {counts} early, so only best and confirmed values are compared"


def _warnings(comparison: Comparison) -> list[str]:
    waiting = sum(row.waiting for row in comparison.rows)
    bad = sum(row.counts[Status.FAILED] for row in comparison.rows)
    diverged = sum(row.counts[Status.DIVERGED] for row in comparison.rows)
    found = [f"{waiting} planned trials have not ended yet; the numbers will change."] if waiting else []
    found += [f"{bad} trials failed and are left out of every number; they are listed below."] if bad else []
    found += [f"{diverged} trials diverged; they count as trials and have no value."] if diverged else []
    if not comparison.timed:
        found.append(f"Seconds are not compared, since the trials ran on {listed(comparison.machines)}.")
    return found
