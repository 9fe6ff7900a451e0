"""The chance to lead: against drawing again and again, and at its edges."""

import numpy as np
import pytest

from rnnbench.sweep.leading import chances_to_lead


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_it_is_what_drawing_again_gives(sign: float) -> None:
    rng = np.random.default_rng(0)
    values = {"gru": rng.normal(0.3, 1, 12), "lstm": rng.normal(0, 1, 20), "elman": rng.normal(-0.5, 1, 7)}
    drawn = np.stack([(sign * rng.choice(given, (100_000, len(given)))).max(axis=1) for given in values.values()])
    counted = np.bincount(drawn.argmax(axis=0), minlength=3) / 100_000
    found = chances_to_lead({cell: given.tolist() for cell, given in values.items()}, sign)
    assert found is not None
    assert list(found.values()) == pytest.approx(counted.tolist(), abs=0.01)


def test_a_cell_that_is_always_better_leads_for_sure_and_equal_cells_share() -> None:
    assert chances_to_lead({"a": [1, 2, 3], "b": [4, 5, 6]}, 1.0) == {"a": 0.0, "b": 1.0}
    assert chances_to_lead({"a": [1, 1, 1], "b": [1, 1, 1]}, -1.0) == {"a": 0.5, "b": 0.5}
    assert chances_to_lead({"a": [1, 2, 3], "b": [1, 2, 3], "c": [0, 0, 0]}, 1.0) == pytest.approx({"a": 0.5, "b": 0.5, "c": 0.0})


def test_with_few_trials_or_one_cell_nothing_is_said() -> None:
    assert chances_to_lead({"a": [1, 2, 3]}, 1.0) is None
    assert chances_to_lead({"a": [1, 2, 3], "b": [4, 5]}, 1.0) is None
