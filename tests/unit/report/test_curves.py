"""Curves by second, against what each trial had reached by then."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.ledger.records import EpochRecord
from rnnbench.report.curve_figure import _by_epoch, _by_second
from rnnbench.report.curves import stack_at
from rnnbench.report.tables import build_comparisons
from tests.unit.report.test_report import searched, study


@given(
    gaps=st.lists(st.lists(st.floats(0.01, 5), min_size=1, max_size=6), min_size=1, max_size=4),
    at=st.lists(st.floats(0, 40), min_size=1, max_size=6),
)
def test_a_curve_is_at_each_time_what_its_last_epoch_until_then_was(gaps: list[list[float]], at: list[float]) -> None:
    walls = [np.cumsum(each) for each in gaps]
    curves = [np.arange(1.0, len(each) + 1) for each in gaps]
    found = stack_at(curves, walls, np.array(at))
    for row, wall in zip(found, walls, strict=True):
        for value, time in zip(row, at, strict=True):
            done = int((wall <= time).sum())
            assert np.isnan(value) if done == 0 else value == done


def test_the_median_by_second_counts_a_trial_without_a_value_as_the_worst() -> None:
    trials = searched("gru", [0.9] * 10)
    # The last trial has its first value only at the very end.
    epochs = {
        one.key: [EpochRecord(1, 1.0 if place < 9 else 39.0, {"accuracy": 0.1 * place}), EpochRecord(2, 40.0, {"accuracy": 0.9})]
        for place, one in enumerate(trials)
    }
    (comparison,) = build_comparisons([study(trials)])
    (row,) = comparison.rows
    by_epoch, by_second = _by_epoch(row, epochs, "accuracy", 1.0), _by_second(row, epochs, "accuracy", 1.0)
    assert by_second is not None
    assert (by_epoch.x.tolist(), by_epoch.middle.tolist()) == ([1.0, 2.0], [0.45, 0.9])
    assert (by_second.x[0], by_second.x[-1]) == (1.0, 40.0)
    # Of 0, 0, 0.1 ... 0.8 and not of 0 ... 0.9.
    assert by_second.middle[0] == np.median([0.0, *(0.1 * place for place in range(9))])
    assert by_second.middle[-1] == 0.9
