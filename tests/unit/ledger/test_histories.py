"""Epochs in columns are the epochs that went in."""

import math

from hypothesis import given
from hypothesis import strategies as st

from rnnbench.ledger.histories import History
from rnnbench.ledger.records import EpochRecord

METRICS = st.dictionaries(st.sampled_from(["loss", "accuracy", "grad_norm"]), st.floats(allow_nan=False))


@given(metrics=st.lists(METRICS, max_size=8), cut=st.integers(0, 8))
def test_a_history_gives_back_its_records_whatever_metrics_each_has(metrics: list[dict[str, float]], cut: int) -> None:
    records = [EpochRecord(place, 0.5 * place, each) for place, each in enumerate(metrics, 1)]
    history = History.of(records[:cut])
    history.extend(*([getattr(one, name) for one in records[cut:]] for name in ("epoch", "wall_s", "metrics")))
    assert list(history) == records
    assert len(history) == len(records)
    assert history[1:3] == records[1:3]
    assert list(reversed(history)) == records[::-1]
    for name in ("loss", "accuracy", "unheard"):
        wanted = [each.get(name, math.nan) for each in metrics]
        assert all(
            found == value or (math.isnan(found) and math.isnan(value)) for found, value in zip(history.values(name), wanted, strict=True)
        )


def test_a_metric_that_is_not_a_number_is_kept_and_is_not_missing() -> None:
    history = History.of([EpochRecord(1, 0.1, {"loss": math.nan}), EpochRecord(2, 0.2, {})])
    assert math.isnan(history[0].metrics["loss"])
    assert history[1].metrics == {}
