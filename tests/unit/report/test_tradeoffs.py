"""The Pareto front, against its definition, and when its picture is drawn."""

from dataclasses import replace

import numpy as np
import pytest

from rnnbench.report.tables import build_comparisons
from rnnbench.report.tradeoffs import draw_tradeoffs, find_front
from tests.unit.report.test_report import searched, study


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


@pytest.mark.parametrize("what", ["processor", "device"])
def test_seconds_are_compared_on_one_processor_and_device_only(what: str) -> None:
    trials = [
        replace(one, outcome={**one.outcome, "num_parameters": 100 * (place + 1), "epochs": 2, "device": "cpu"})
        for place, one in enumerate(searched("gru", [0.5, 0.7, 0.6]))
    ]
    (comparison,) = build_comparisons([study(trials)])
    drawn = draw_tradeoffs(comparison, "x")
    assert drawn is not None
    assert "seconds an epoch" in drawn.svg
    assert "gru with 100 weights 0.5; gru with 200 weights 0.7" in drawn.alt
    trials[0] = replace(trials[0], outcome={**trials[0].outcome, what: "another"})
    (comparison,) = build_comparisons([study(trials)])
    other = draw_tradeoffs(comparison, "x")
    assert other is not None
    assert "seconds an epoch" not in other.svg
    (comparison,) = build_comparisons([study(searched("gru", [0.5, 0.7]))])  # of one size
    assert draw_tradeoffs(comparison, "x") is None
