"""What a dry run prints."""

from pathlib import Path

import pytest
from rich.console import Console

from rnnbench.cli import plan_table
from rnnbench.cli.plan_table import print_plan
from rnnbench.search.sweepfile import read_sweep
from rnnbench.sweep.planned import plan_sweep

TEXT = """
task: [{name: adding, length: 20, num_train: 100}, {name: copy_memory, length: 10}]
cells: [elman, lstm]
search: {method: random, num_samples: 6, seed: 0}
space:
  network.hidden_size: {choice: [8, 16]}
  network.dropout: 0.25
  optimizer.lr: {loguniform: [1e-4, 1e-1]}
  optimizer.name: {choice: [adam, sgd]}
  optimizer.momentum: {one_minus_loguniform: [0.01, 1.0], when: {optimizer.name: [sgd]}}
  cell.forget_bias: {choice: [0.0, 1.0], when: {cell: [lstm]}}
"""
"""Two tasks whose options differ from each other, and from trial to trial in nothing."""


def test_a_plan_in_a_pipe_is_not_cut_and_shows_what_was_searched_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    (tmp_path / "two.yaml").write_text(TEXT)
    planned = plan_sweep(read_sweep(tmp_path / "two.yaml"), {})
    print_plan(planned, as_json=False)
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.split()[:4] == ["#", "trial", "task", "cell"]
    assert {*title.split()[4:]} == {"forget_bias", "hidden_size", "lr", "momentum", "name"}
    assert "\N{HORIZONTAL ELLIPSIS}" not in "".join(rows)
    shown = [row.split() for row in rows[: len(planned.specs)]]
    assert [row[1] for row in shown] == [spec.key()[:8] for spec in planned.specs]
    column = title.split().index("lr")
    assert [float(row[column]) for row in shown] == pytest.approx([spec.parameters["optimizer.lr"] for spec in planned.specs], rel=1e-3)


def test_on_a_narrow_terminal_whole_columns_are_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "two.yaml").write_text(TEXT)
    planned = plan_sweep(read_sweep(tmp_path / "two.yaml"), {})
    monkeypatch.setattr(plan_table, "output", lambda: Console(width=50, force_terminal=True, color_system=None))
    print_plan(planned, as_json=False)
    title, *rows = capsys.readouterr().out.splitlines()
    assert title.split() == ["trial", "task", "cell", "forget_bias"]
    assert rows[0].split()[0] == planned.specs[0].key()[:8]
    assert "no room here for hidden_size, lr, momentum, name" in " ".join(rows)
