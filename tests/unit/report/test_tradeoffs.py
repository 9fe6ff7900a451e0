"""The Pareto front, against its definition, and when its picture is drawn."""

from dataclasses import replace

import numpy as np
import pytest

from rnnbench.ledger.records import TrialRecord
from rnnbench.report.tables import build_comparisons
from rnnbench.report.tradeoffs import draw_tradeoffs, find_front, find_unbeaten
from tests.unit.report.test_report import confirmed, searched, study


def test_the_front_is_what_no_other_beats() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        costs, goods = rng.integers(0, 12, 40).astype(float), rng.integers(0, 12, 40).astype(float)
        front = find_front(costs.tolist(), goods.tolist())
        beaten = [
            any(costs[o] <= costs[p] and goods[o] >= goods[p] and (costs[o], goods[o]) != (costs[p], goods[p]) for o in range(40))
            for p in range(40)
        ]
        assert {(costs[p], goods[p]) for p in front} == {(costs[p], goods[p]) for p in range(40) if not beaten[p]}
        assert list(costs[front]) == sorted(costs[front])


def test_of_two_parts_the_unbeaten_are_the_front_and_equals_do_not_beat_each_other() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        costs, goods = rng.integers(0, 12, 40).astype(float), rng.integers(0, 12, 40).astype(float)
        unbeaten = find_unbeaten(list(zip(goods, -costs, strict=True)))
        assert {(costs[p], goods[p]) for p in unbeaten} == {(costs[p], goods[p]) for p in find_front(costs.tolist(), goods.tolist())}
    assert find_unbeaten([(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0), (1, 0, 0)]) == [0, 1, 2, 4]


def answering(cell: str, values: list[float], one_ms: float, weights: int, **outcome: object) -> list[TrialRecord]:
    """A cell's search trials and its confirmed seeds, whose network takes so long to answer."""
    latency = {"one_ms": one_ms, "batch_ms": one_ms / 10, "batch": 32, "steps": 8}
    winner = [
        replace(one, outcome={**one.outcome, "num_parameters": weights, "latency": latency, **outcome}) for one in confirmed(cell, values)
    ]
    return [*searched(cell, values), *winner]


def test_winners_are_compared_by_the_time_they_take_to_answer_too() -> None:
    gru, lstm = answering("gru", [0.8, 0.82], 2.0, 300), answering("lstm", [0.9, 0.92], 4.0, 400)
    worse = answering("elman", [0.7, 0.72], 3.0, 350)
    (comparison,) = build_comparisons([study([*gru, *lstm, *worse])])
    drawn = draw_tradeoffs(comparison, "x")
    assert drawn is not None
    assert "ms to answer one sequence" in drawn.svg
    # All search trials have the same number of weights, so that nothing is drawn against it.
    assert ">weights<" not in drawn.svg
    assert drawn.alt == "lstm answers in 4 ms, gru answers in 2 ms, elman answers in 3 ms"
    assert "time together: lstm and gru;" in drawn.caption
    # With fewer weights than any other, the worst is unbeaten too.
    (comparison,) = build_comparisons([study([*gru, *lstm, *answering("elman", [0.7, 0.72], 3.0, 100)])])
    drawn = draw_tradeoffs(comparison, "x")
    assert drawn is not None
    assert "time together: lstm, gru and elman;" in drawn.caption


def test_what_was_measured_on_two_machines_or_of_some_seeds_alone_is_not_compared() -> None:
    gru, lstm = answering("gru", [0.8, 0.82], 2.0, 300), answering("lstm", [0.9, 0.92], 4.0, 400)
    (comparison,) = build_comparisons([study([*gru, *lstm])])
    assert [latency.one_ms for latency in comparison.latencies.values()] == [4.0, 2.0]
    (comparison,) = build_comparisons([study([*gru, *answering("lstm", [0.9, 0.92], 4.0, 400, processor="another")])])
    assert comparison.latencies == {}
    # Trained on a GPU, it answers on the processor all the same.
    (comparison,) = build_comparisons([study([*gru, *answering("lstm", [0.9, 0.92], 4.0, 400, device="NVIDIA H100")])])
    assert set(comparison.latencies) == {"gru", "lstm"}
    older = [*lstm[:-1], replace(lstm[-1], outcome={name: what for name, what in lstm[-1].outcome.items() if name != "latency"})]
    (comparison,) = build_comparisons([study([*gru, *older])])
    assert set(comparison.latencies) == {"gru"}


@pytest.mark.parametrize("what", ["processor", "device"])
def test_seconds_are_compared_on_one_processor_and_device_only(what: str) -> None:
    trials = [
        replace(one, outcome={**one.outcome, "num_parameters": 100 * (place + 1), "epochs": 2, "device": "cpu"})
        for place, one in enumerate(searched("gru", [0.5, 0.7, 0.6]))
    ]
    (comparison,) = build_comparisons([study(trials)])
    drawn = draw_tradeoffs(comparison, "x")
    assert drawn is not None
    assert "seconds of training an epoch" in drawn.svg
    assert "gru with 100 weights 0.5; gru with 200 weights 0.7" in drawn.alt
    trials[0] = replace(trials[0], outcome={**trials[0].outcome, what: "another"})
    (comparison,) = build_comparisons([study(trials)])
    other = draw_tradeoffs(comparison, "x")
    assert other is not None
    assert "seconds of training an epoch" not in other.svg
    (comparison,) = build_comparisons([study(searched("gru", [0.5, 0.7]))])  # of one size
    assert draw_tradeoffs(comparison, "x") is None
