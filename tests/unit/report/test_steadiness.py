"""How steady training was: each number on curves written by hand."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from rnnbench.ledger.records import EpochRecord, TrialRecord
from rnnbench.report.pages import write_report
from rnnbench.report.steadiness import (
    find_distance,
    find_exploding,
    find_steadiness,
    order_cells,
    order_trials,
    settled_after,
)
from rnnbench.report.study import Study
from rnnbench.report.tables import build_comparisons
from tests.unit.report.test_report import searched, study


def with_curves(
    trials: Sequence[TrialRecord], curves: Sequence[Sequence[float]], norms: Sequence[float] = (), clipped: Sequence[float] = ()
) -> Study:
    """A study whose trials have these accuracies by epoch, all with the same gradient norms and shares of clipped steps."""
    epochs = {}
    for one, curve in zip(trials, curves, strict=True):
        told = [{"accuracy": accuracy} for accuracy in curve]
        for place, metrics in enumerate(told):
            metrics["grad_norm"] = norms[place] if norms else 1.0
            metrics["clipped_share"] = clipped[place] if clipped else 0.0
        epochs[one.key] = [EpochRecord(place, 0.1 * place, metrics) for place, metrics in enumerate(told, 1)]
    return replace(study(trials), epochs=epochs)


def test_an_epoch_explodes_that_is_far_above_the_trials_median_or_not_finite() -> None:
    assert find_exploding(np.array([1.0, 2.0, 1.5, 16.0, 1.0, np.nan, np.inf, 14.0])).tolist() == [
        False, False, False, False, False, True, True, False,
    ]  # fmt: skip
    assert find_exploding(np.array([1.0, 1.0, 1.0, 10.5, 10.0])).tolist() == [False, False, False, True, False]


def test_the_distance_is_of_the_last_fifth_from_the_best_whichever_way_is_better() -> None:
    # Of five epochs the last three.
    assert find_distance(np.array([0.1, 0.9, 0.6, 0.9, 0.5]), 1.0) == pytest.approx(np.sqrt((0.09 + 0.0 + 0.16) / 3))
    assert find_distance(np.array([9.0, 1.0, 2.0, 1.0, 3.0]), -1.0) == pytest.approx(np.sqrt((1.0 + 0.0 + 4.0) / 3))


CURVE = [0.1, 0.5, 0.8, 0.7, 0.8, 0.8]


def test_shares_of_epochs_are_means_over_trials_and_clipping_is_told_where_something_clips() -> None:
    trials = searched("gru", [0.8] * 4)
    norms, clipped = [1.0, 1.0, 50.0, 1.0, 1.0, 1.0], [0.0, 0.5, 0.1, 0.0, 0.0, 0.0]
    one = with_curves(trials, [CURVE] * 4, norms, clipped)
    (comparison,) = build_comparisons([one])
    found = find_steadiness(comparison.rows[0], one.epochs)
    assert found.clipped is None
    assert found.exploding is not None
    assert found.exploding.value == pytest.approx(1 / 6)
    assert found.exploding.count == 4
    assert found.settled is not None
    assert found.settled.value == pytest.approx(0.1 / np.sqrt(3))

    clipping = [replace(each, spec=replace(each.spec, parameters={**each.spec.parameters, "training.clip_norm": 1.0})) for each in trials]
    again = with_curves(clipping, [CURVE] * 4, norms, clipped)
    (comparison,) = build_comparisons([again])
    of_clipping = find_steadiness(comparison.rows[0], again.epochs).clipped
    assert of_clipping is not None
    assert of_clipping.value == pytest.approx(2 / 6)


def test_short_stopped_and_few_trials_tell_nothing() -> None:
    def settled(trials: Sequence[TrialRecord], curve: Sequence[float]) -> object:
        one = with_curves(trials, [curve] * len(trials))
        (comparison,) = build_comparisons([one])
        return find_steadiness(comparison.rows[0], one.epochs).settled

    trials = searched("gru", [0.8] * 3)
    assert settled(trials, CURVE) is not None
    assert settled(trials, CURVE[:4]) is None
    assert settled(trials[:2], CURVE) is None
    stopped = [replace(trials[0], outcome={**trials[0].outcome, "stopped_at": 6}), *trials[1:]]
    assert settled(stopped, CURVE) is None


def test_the_order_of_trials_is_compared_by_the_best_so_far() -> None:
    # After the first epoch the order is reversed; from the second on it is the final one, whatever a trial falls back to.
    ends = np.linspace(0.5, 0.9, 12)
    curves = [[0.4 - 0.3 * end, end, 0.2 + 0.01 * place, 0.1] for place, end in enumerate(ends)]
    one = with_curves(searched("gru", [max(curve) for curve in curves]), curves)
    (comparison,) = build_comparisons([one])
    order = order_trials(comparison.rows[0], one.epochs)
    assert order is not None
    assert (order.count, order.epochs, order.tau) == (12, (1, 2, 3, 4), (-1.0, 1.0, 1.0, 1.0))
    assert order.low == order.high == (None,) * 4
    assert settled_after(order) == 2
    few = replace(comparison.rows[0], searched=comparison.rows[0].searched[:9])
    assert order_trials(few, one.epochs) is None


def test_the_order_of_enough_trials_has_a_band_until_nothing_moves_it(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    ends = np.linspace(0.5, 0.9, 15)
    one = with_curves(searched("gru", ends.tolist()), [[float(end - rng.uniform(0.1, 0.4)), float(end)] for end in ends])
    (comparison,) = build_comparisons([one])
    order = order_trials(comparison.rows[0], one.epochs)
    assert order is not None
    assert order.low[0] is not None
    assert order.tau[0] is not None
    assert order.high[0] is not None
    assert -1.0 <= order.low[0] < order.tau[0] < order.high[0] <= 1.0
    assert (order.tau[1], order.low[1], order.high[1]) == (1.0, None, None)
    files = write_report([one], tmp_path)
    assert "by the jackknife over trials, for cells with 15 trials or more" in files.html.read_text()
    (cell,) = json.loads(files.json.read_text())["comparisons"][0]["cells"]
    assert cell["order"]["low"] == [order.low[0], None]
    few = replace(one, trials=one.trials[:14])
    told = order_trials(build_comparisons([few])[0].rows[0], few.epochs)
    assert told is not None
    assert told.low == (None, None)


def test_the_order_of_cells_needs_three_and_no_stopped_trials() -> None:
    trials = [*searched("gru", [0.9, 0.9]), *searched("lstm", [0.8, 0.8]), *searched("elman", [0.7, 0.7])]
    # elman leads first; gru and lstm stand in their final order from the start: two of three pairs are reversed.
    curves = [[0.3, 0.9], [0.3, 0.9], [0.2, 0.8], [0.2, 0.8], [0.6, 0.7], [0.6, 0.7]]
    one = with_curves(trials, curves)
    (comparison,) = build_comparisons([one])
    order = order_cells(comparison, one.epochs)
    assert order is not None
    assert (order.count, order.epochs) == (3, (1, 2))
    assert order.tau == pytest.approx([-1 / 3, 1.0])
    (two,) = build_comparisons([replace(one, trials=trials[:4])])
    assert order_cells(two, one.epochs) is None
    halted = [replace(trials[0], outcome={**trials[0].outcome, "stopped_at": 1}), *trials[1:]]
    (stopped,) = build_comparisons([replace(one, trials=halted)])
    assert order_cells(stopped, one.epochs) is None


def test_the_report_says_how_steady_training_was(tmp_path: Path) -> None:
    ends = np.linspace(0.5, 0.9, 12).tolist()
    one = with_curves(searched("gru", ends), [[0.1, 0.2, 0.3, 0.4, end] for end in ends])
    files = write_report([one], tmp_path)
    assert "How steady training was" in files.html.read_text()
    assert "| steadiness | epochs with clipped steps (95 %) |" in files.markdown.read_text()
    assert "orders" in [path.stem.rpartition("-")[2] for path in files.figures]
    (cell,) = json.loads(files.json.read_text())["comparisons"][0]["cells"]
    assert cell["order"]["count"] == 12
    assert cell["order"]["tau"][-1] == 1.0
    assert cell["steadiness"]["exploding"]["value"] == 0.0
