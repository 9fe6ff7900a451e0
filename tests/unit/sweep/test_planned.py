"""What a sweep is planned on, before anything runs."""

from pathlib import Path

from rnnbench.search.sweepfile import read_sweep
from rnnbench.sweep.planned import plan_sweep

SWEEP = """task: [adding, {name: text_classification, data: {path: own.csv}}]
cells: [gru, lru]
search: {method: random, num_samples: 1}
"""


def test_the_foundation_of_a_lane_is_that_of_its_trials_and_changes_with_the_data(tmp_path: Path) -> None:
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    found = []
    for text in ("text,label\na,b\n", "text,label\na,c\n"):
        (tmp_path / "own.csv").write_text(text)
        planned = plan_sweep(read_sweep(tmp_path / "sweep.yaml"), {})
        assert {spec.lane: spec.foundation for spec in planned.specs} == planned.foundations()
        found.append(planned.foundations())
    assert [lane for lane in found[0] if found[0][lane] != found[1][lane]] == [
        ("text_classification", "path:own.csv", "gru"),
        ("text_classification", "path:own.csv", "lru"),
    ]
