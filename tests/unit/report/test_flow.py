"""The winners' gradient flow in the report."""

from dataclasses import replace

from rnnbench.ledger.records import TrialRecord
from rnnbench.report.flow import draw_flow, find_flow
from rnnbench.report.tables import build_comparisons
from tests.unit.report.test_report import ELMAN, GRU, study


def flowing(trials: list[TrialRecord], norms: list[float] | None) -> list[TrialRecord]:
    flow = None if norms is None else {"lags": [1.0, 2.0, 8.0, 64.0], "norms": norms}
    return [replace(one, outcome={**one.outcome, "gradient_flow": flow}) for one in trials]


def test_shares_are_of_the_first_step_and_what_has_vanished_is_drawn_at_the_floor() -> None:
    (comparison,) = build_comparisons([study([*flowing(GRU, [2.0, 1.0, 0.5, 0.25]), *flowing(ELMAN, [4.0, 0.4, 0.0, 0.0])])])
    gru, elman = comparison.rows
    assert find_flow(gru) == ([1.0, 2.0, 8.0, 64.0], [1.0, 0.5, 0.25, 0.125])
    assert find_flow(elman) == ([1.0, 2.0, 8.0, 64.0], [1.0, 0.1, 0.0, 0.0])
    drawn = draw_flow(comparison, "x")
    assert drawn is not None
    assert drawn.alt == "gru: 0.12 after 64 steps; elman: 1e-08 after 64 steps"


def test_without_any_there_is_no_figure() -> None:
    (comparison,) = build_comparisons([study([*flowing(GRU, None), *flowing(ELMAN, [0.0, 0.0, 0.0, 0.0])])])
    assert draw_flow(comparison, "x") is None
