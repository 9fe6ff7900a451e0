"""Every trial as a row: the tables beside a report, and the data frames of a program."""

import csv
import io
import json
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from rnnbench.report.frames import epoch_frame, trial_frame
from rnnbench.report.pages import write_report
from rnnbench.report.rows import to_columns, to_csv, to_parquet, trial_rows
from tests.unit.report.test_report import GRU, LSTM, study


def test_the_tables_hold_every_trial_with_what_it_was_and_reached(tmp_path: Path) -> None:
    files = write_report([study([*GRU, *LSTM])], tmp_path)
    assert [path.name for path in files.tables] == ["trials.csv", "trials.parquet"]
    told = list(csv.DictReader(files.tables[0].read_text().splitlines()))
    table = pq.read_table(files.tables[1]).to_pylist()
    assert [row["trial"] for row in told] == [row["trial"] for row in table] == [one.key for one in (*GRU, *LSTM)]
    assert {row["sweep"] for row in told} == {"mine"}
    first, last = table[0], table[-1]
    assert (first["cell"], first["stage"], first["best"], first["test.accuracy"], first["optimizer.lr"]) == (
        "gru",
        "search",
        0.8,
        None,
        0.001,
    )
    assert (last["cell"], last["stage"], last["test.accuracy"]) == ("lstm", "confirm", 0.92)
    assert told[-1]["test.accuracy"] == "0.92"
    assert first["data.train_fraction"] == 1.0  # a parameter that came later and that the trial does not mention


def test_kinds_are_kept_where_a_column_has_one_and_words_where_it_has_several() -> None:
    one, other = GRU[0], GRU[1]
    parameters = {**other.spec.parameters, "data.horizon": "auto", "optimizer.lr": 1}
    other = replace(other, spec=replace(other.spec, parameters=parameters, seed=2**64 - 1))
    one = replace(one, spec=replace(one.spec, parameters={**one.spec.parameters, "data.horizon": 3}))
    columns = to_columns(trial_rows([one, other]))
    table = pq.read_table(io.BytesIO(to_parquet(columns)))
    assert table.column("data.horizon").to_pylist() == ["3", "auto"]
    assert table.column("optimizer.lr").to_pylist() == [0.001, 1.0]
    assert table.column("seed").to_pylist() == ["0", str(2**64 - 1)]
    assert list(csv.DictReader(io.StringIO("".join(to_csv(columns)))))[1]["seed"] == str(2**64 - 1)


def test_frames_have_a_row_a_trial_and_a_row_an_epoch() -> None:
    one = study([*GRU, *LSTM])
    trials, epochs = trial_frame(one.trials, "mine"), epoch_frame(one.epochs)
    assert trials.groupby("cell")["best"].max().to_dict() == {"gru": 0.92, "lstm": 0.92}
    assert len(epochs) == 2 * len(trials)
    last = epochs[epochs["epoch"] == 2].set_index("trial")["accuracy"]
    pd.testing.assert_series_equal(last, trials.set_index("trial")["best"], check_names=False)
    assert list(epoch_frame({}).columns) == ["trial", "epoch", "seconds"]
    assert trial_frame([]).empty


def test_the_latex_tables_have_a_line_a_cell_and_a_pair_and_escape_what_they_show(tmp_path: Path) -> None:
    odd = [replace(one, spec=replace(one.spec, cell="50%_of{\\it}~^$#&")) for one in LSTM]
    files = write_report([study([*GRU, *odd])], tmp_path)
    text = files.latex.read_text()
    (comparison,) = json.loads(files.json.read_text())["comparisons"]
    lines = [line.split(" & ") for line in text.splitlines() if line.endswith("\\\\") and "Interval" not in line]
    shown = r"50\%\_of\{\textbackslash{}it\}\textasciitilde{}\textasciicircum{}\$\#\&"
    *lines, pair = lines
    assert pair[:3] == ["gru", shown, "seeds"]
    assert [line[0] for line in lines] == ["gru", shown]
    assert [line[1] for line in lines] == ["0.91", "0.9067"]
    assert {len(line) for line in lines} == {6}
    p = comparison["cells"][1]["leader_minus_this"]["p_holm"]
    assert float(lines[1][3]) == round(p, 4)
    assert text.count("\\begin{table}") == text.count("\\end{table}") == 2


def test_columns_are_written_as_pyarrow_itself_would_write_them() -> None:
    rows: list[dict[str, Any]] = [
        {"a": 1, "b": 0.5, "c": "word", "e": None},
        {"b": None, "c": "w\u00f6rter", "d": True},
        {"a": -3, "c": None, "d": None, "b": 2.0},
        {},
    ]
    columns = to_columns(rows)
    assert columns == {name: [row.get(name) for row in rows] for name in ("a", "b", "c", "e", "d")}
    table = pq.read_table(io.BytesIO(to_parquet(columns)))
    assert table.equals(pa.table({name: pa.array(values) for name, values in columns.items()}))


@pytest.mark.slow
def test_a_small_sweeps_report_imports_nothing_that_it_does_not_need() -> None:
    told = """
import sys
from pathlib import Path
from tests.unit.report.test_report import searched, study
from rnnbench.report.pages import write_report
heavy = ("pandas", "sklearn", "scipy.stats", "torch")
already = {name for name in heavy if name in sys.modules}
write_report([study(searched("gru", [0.8, 0.9, 0.7]))], Path(sys.argv[1]))
print(already, [name for name in heavy if name in sys.modules])
"""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run([sys.executable, "-c", told, folder], capture_output=True, text=True, check=True)
    assert done.stdout == "set() []\n"
