"""Schedulers as pure functions: rungs, cohorts, who goes on."""

import math
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.search.schedulers import Scheduler, Standing, cohorts, decide, is_among_best, kept, next_rung, rungs

ASHA = Scheduler("asha", grace_period=1, reduction_factor=3, cohort_size=9)


def waiting(key: str, rung: int, value: float | None, *, group: str = "") -> Standing:
    at = {} if value is None else {rung: (value, value)}
    return Standing(key, group or key, rung, ended=False, best=value, at=at)


def ended(key: str, value: float | None) -> Standing:
    return Standing(key, key, 0, ended=True, best=value)


def verdicts(scheduler: Scheduler, groups: Sequence[Sequence[Standing]], total: int | None = None, max_epochs: int = 27) -> dict[str, str]:
    return {each.key: each.verdict for each in decide(scheduler, max_epochs, total or len(groups), groups)}


@pytest.mark.parametrize(
    ("scheduler", "max_epochs", "expected"),
    [
        (Scheduler("asha", 1, 3), 27, (1, 3, 9)),
        (Scheduler("asha", 2, 3), 10, (2, 6)),
        (Scheduler("asha", 5, 2), 5, ()),
        (Scheduler("median", 3), 10, (3, 6, 9)),
    ],
)
def test_rungs_lie_below_the_budget(scheduler: Scheduler, max_epochs: int, expected: tuple[int, ...]) -> None:
    assert rungs(scheduler, max_epochs) == expected


def test_hyperbands_brackets_are_those_of_the_paper() -> None:
    # Li et al. 2018, table 1: R = 81, eta = 3, brackets s = 4 ... 0 with n = 81, 34, 15, 8, 5 and first rungs r = 1, 3, 9, 27, 81.
    found = list(cohorts(Scheduler("hyperband", 1, 3), 81, 81 + 34 + 15 + 8 + 5))
    assert [cohort.size for cohort in found] == [81, 34, 15, 8, 5]
    assert [cohort.rungs[:1] for cohort in found] == [(1,), (3,), (9,), (27,), ()]


@given(st.sampled_from(["asha", "halving", "hyperband"]), st.integers(2, 4), st.integers(1, 5), st.integers(2, 60), st.integers(1, 300))
def test_every_draw_is_in_one_cohort(name: str, eta: int, grace: int, max_epochs: int, total: int) -> None:
    scheduler = Scheduler(name, grace, eta, cohort_size={"asha": eta**2, "halving": total}.get(name))
    found = list(cohorts(scheduler, max_epochs, total))
    assert [cohort.start for cohort in found] == [sum(each.size for each in found[:number]) for number in range(len(found))]
    assert sum(cohort.size for cohort in found) == total
    assert all(rung < max_epochs for cohort in found for rung in cohort.rungs)
    if scheduler.name == "asha":
        # A longer sweep begins with the same cohorts, but for the last.
        assert list(cohorts(scheduler, max_epochs, total + 5))[: len(found) - 1] == found[:-1]


def test_the_best_third_goes_on_and_ties_go_to_the_earlier() -> None:
    values = [0.1, 0.9, 0.5, 0.9, 0.2, 0.9, 0.3, 0.9, 0.0]
    groups = [[waiting(str(number), 1, value)] for number, value in enumerate(values)]
    assert [key for key, verdict in verdicts(ASHA, groups).items() if verdict == "promoted"] == ["1", "3", "5"]


def test_a_cohort_waits_for_its_last_member_and_not_for_another_cohort() -> None:
    groups = [[waiting(str(number), 1, 0.1 * number)] for number in range(8)]
    running = [Standing("8", "8", 0, ended=False, best=None)]
    assert verdicts(ASHA, [*groups, running]) == {}
    second = [[waiting(f"b{number}", 1, 0.1 * number)] for number in range(9)]
    assert {key[0] for key in verdicts(ASHA, [*groups, running, *second])} == {"b"}


def test_slots_that_are_not_drawn_hold_their_cohort_back() -> None:
    groups = [[waiting(str(number), 1, 0.1)] for number in range(5)]
    assert verdicts(ASHA, groups, total=9) == {}
    assert len(verdicts(ASHA, groups, total=5)) == 5


def test_nan_is_worst_and_takes_no_place() -> None:
    groups = [[ended("nan", None)], *([waiting(str(number), 1, 0.1 * number)] for number in range(8))]
    found = verdicts(ASHA, groups)
    assert "nan" not in found
    assert [key for key, verdict in found.items() if verdict == "promoted"] == ["5", "6", "7"]


def test_a_trial_that_ended_by_its_patience_takes_a_place_among_the_best() -> None:
    groups = [[ended("early", 5.0)], *([waiting(str(number), 1, 0.1 * number)] for number in range(8))]
    assert [key for key, verdict in verdicts(ASHA, groups).items() if verdict == "promoted"] == ["6", "7"]


def test_replicates_are_judged_by_their_mean() -> None:
    scheduler = Scheduler("halving", 1, 2, cohort_size=2)
    good_on_average = [waiting("a0", 1, 0.5, group="a"), waiting("a1", 1, 0.5, group="a")]
    one_lucky = [waiting("b0", 1, 0.8, group="b"), waiting("b1", 1, 0.1, group="b")]
    assert verdicts(scheduler, [good_on_average, one_lucky]) == {"a0": "promoted", "a1": "promoted", "b0": "stopped", "b1": "stopped"}
    one_diverged = [waiting("b0", 1, 0.8, group="b"), Standing("b1", "b", 0, ended=True, best=None)]
    assert verdicts(scheduler, [good_on_average, one_diverged])["b0"] == "stopped"


def test_what_was_decided_stays_when_a_cohort_grows() -> None:
    stopped = Standing("x", "x", 0, ended=True, best=9.0, at={1: (9.0, 9.0)}, verdicts={1: "stopped"})
    promoted = Standing("y", "y", 0, ended=False, best=0.0, at={1: (0.0, 0.0)}, verdicts={1: "promoted"})
    late = [[waiting(f"late{number}", 1, 0.5)] for number in range(4)]
    scheduler = Scheduler("halving", 1, 2, cohort_size=6)
    assert {"x", "y"}.isdisjoint(verdicts(scheduler, [[stopped], [promoted], *late]))


def test_later_rungs_compare_only_those_that_went_on() -> None:
    first = [Standing(str(n), str(n), 0, ended=True, best=9.0, at={1: (0.0, 0.0)}, verdicts={1: "stopped"}) for n in range(6)]
    second = [
        Standing(f"s{n}", f"s{n}", 3, ended=False, best=n / 10, at={1: (1.0, 1.0), 3: (n / 10, 0.0)}, verdicts={1: "promoted"})
        for n in range(3)
    ]
    assert verdicts(ASHA, [*([each] for each in first), *([each] for each in second)]) == {
        "s0": "stopped",
        "s1": "stopped",
        "s2": "promoted",
    }


def test_async_asha_goes_by_what_is_there() -> None:
    scheduler = Scheduler("asha", 1, 3, mode="async")
    assert verdicts(scheduler, [[waiting("only", 1, 0.1)]]) == {"only": "promoted"}
    there = [[Standing(str(n), str(n), 0, ended=False, best=n / 10, at={1: (n / 10, 0.0)}, verdicts={1: "promoted"})] for n in range(5)]
    assert verdicts(scheduler, [*there, [waiting("low", 1, 0.25)]]) == {"low": "stopped"}
    assert verdicts(scheduler, [*there, [waiting("high", 1, 0.35)]]) == {"high": "promoted"}


def test_median_compares_the_best_with_the_others_means() -> None:
    scheduler = Scheduler("median", 1, mode="async", min_samples=3)
    others = [[Standing(str(n), str(n), 0, ended=True, best=1.0, at={2: (1.0, n / 10)})] for n in (2, 4, 6)]
    assert verdicts(scheduler, [*others, [waiting("below", 2, 0.3)]]) == {"below": "stopped"}
    assert verdicts(scheduler, [*others, [waiting("above", 2, 0.5)]]) == {"above": "promoted"}
    assert verdicts(scheduler, [*others[:2], [waiting("few", 2, 0.0)]]) == {"few": "promoted"}


@given(st.lists(st.one_of(st.none(), st.integers(-5, 5).map(float)), min_size=1, max_size=30), st.integers(2, 4))
def test_kept_is_the_best_share_and_never_empty(values: list[float | None], eta: int) -> None:
    named = {str(number): value for number, value in enumerate(values)}
    best = kept(named, eta)
    assert len(best) == max(1, len(values) // eta)
    worst_kept = min(-math.inf if named[key] is None else float(named[key] or 0.0) for key in best)
    assert all((-math.inf if value is None else value) <= worst_kept for key, value in named.items() if key not in best)


def test_the_next_rung_follows_the_last_decision() -> None:
    assert [next_rung(ASHA, 27, 9, 0, decided) for decided in (0, 1, 3, 9)] == [1, 3, 9, None]
    hyperband = Scheduler("hyperband", 1, 3)
    assert next_rung(hyperband, 81, 143, 142, 0) is None
    assert next_rung(hyperband, 81, 143, 81, 0) == 3


def test_a_single_value_is_among_the_best() -> None:
    assert is_among_best(0, 1, 3)
    assert not is_among_best(1, 3, 3)
    assert is_among_best(1, 4, 3)
