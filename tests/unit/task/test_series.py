"""Tables of numbers in time: which columns, which times, what is missing, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.base.errors import DataError
from rnnbench.task.series import Columns, Series, Table, read_numbers, read_series, regular
from rnnbench.task.times import Stamps, Step, find_step, looks_like_times, parse_times, places_of, show_time, step_of, times_after


def row(number: int) -> str:
    return f"row {number + 1}"


def stamps_of(texts: list[str]) -> Stamps:
    return parse_times(texts, row)


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def read(path: Path, columns: Columns | None = None) -> Table:
    return read_series({path.name: path}, columns or Columns())


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as refused:
        call()
    assert "\n" not in str(refused.value)
    return str(refused.value)


# Times


# Microseconds since 1970 of the years 1900 to 2100.
MOMENTS = st.integers(-2_208_988_800_000_000, 4_102_444_800_000_000)


@given(st.lists(MOMENTS, min_size=1, max_size=5))
def test_iso_times_are_read_to_the_microsecond_and_shown_again(moments: list[int]) -> None:
    found = stamps_of([str(np.datetime64(moment, "us")) for moment in moments])
    assert found.are_dates
    assert found.values.tolist() == moments
    again = stamps_of([str(found.show(place)) for place in range(len(moments))])
    assert again.values.tolist() == moments


@pytest.mark.parametrize(
    ("text", "iso"),
    [
        ("2016-07-01T05:00:00", "2016-07-01 05:00:00"),
        ("2016-07-01T05:00:00Z", "2016-07-01 05:00:00"),
        ("2016-07-01 05:00:00+02:00", "2016-07-01 03:00:00"),
        ("20160701", "2016-07-01"),
        ("2016/07/01 05:30", "2016-07-01 05:30:00"),
        ("01.07.2016 05:30:10", "2016-07-01 05:30:10"),
        ("Jul 1 2016", "2016-07-01"),
        ("July 1, 2016", "2016-07-01"),
        ("1 Jul 2016", "2016-07-01"),
        ("13/07/2016", "2016-07-13"),
        ("07/13/2016 1:05 PM", "2016-07-13 13:05:00"),
        ("2016-07-13 01:05:09 PM", "2016-07-13 13:05:09"),
        ("2016-07-01 05:00:00 UTC", "2016-07-01 05:00:00"),
        ("13-07-2016 05:30", "2016-07-13 05:30:00"),
        ("07-13-2016", "2016-07-13"),
        ("07/13/16", "2016-07-13"),
        ("13.07.16 05:30", "2016-07-13 05:30:00"),
        ("13 July 2016", "2016-07-13"),
        ("2016-07", "2016-07-01"),
        ("Jul 2016", "2016-07-01"),
        ("2016-Q3", "2016-07-01"),
        ("2016q3", "2016-07-01"),
        ("1467331200", "2016-07-01"),
        ("1467331200000", "2016-07-01"),
    ],
)
def test_forms_of_times_that_tables_have(text: str, iso: str) -> None:
    found = stamps_of([text])
    assert found.are_dates
    assert found.show(0) == iso


def test_plain_numbers_are_times_without_a_calendar() -> None:
    found = stamps_of(["0.0", "0.5", "1.0"])
    assert not found.are_dates
    assert find_step(found) == Step("numbers", 0.5)
    assert times_after(1.0, Step("numbers", 0.5), 2, are_dates=False).tolist() == [1.5, 2.0]


def test_months_before_days_or_behind_them_are_told_apart_by_the_order_of_the_rows() -> None:
    european = stamps_of(["30/01/2020", "01/02/2020"])
    assert [european.show(0), european.show(1)] == ["2020-01-30", "2020-02-01"]
    # 5 January comes before 1 February, but May 1 not before January 2.
    assert stamps_of(["05/01/2020", "01/02/2020"]).show(0) == "2020-01-05"
    assert "can be" in refusal(lambda: stamps_of(["01/02/2020"]))
    assert stamps_of(["30/01/20", "01/02/20"]).show(0) == "2020-01-30"
    assert stamps_of(["20/01/30", "20/02/01"]).show(0) == "2020-01-30"
    assert "can be" in refusal(lambda: stamps_of(["01-02-2020"]))


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["2020-01-01", ""], "row 2: no time"),
        (["2020-01-01", "soon"], "row 2: 'soon' is not a time, and the rows before are (ISO)"),
        (["soon"], "row 1: 'soon' is not a time; write times as 2024-01-31 or 2024-01-31 12:00:00"),
        (["2020-01-01", "2020-02-30"], "row 2: '2020-02-30' is not a time"),
        (["2020-01-01T00:00:00Z", "2020-01-01T01:00:00"], "row 2: '2020-01-01T01:00:00' is not a time"),
    ],
)
def test_a_bad_time_is_one_line_with_its_row(texts: list[str], expected: str) -> None:
    assert expected in refusal(lambda: stamps_of(texts))


def test_numbers_are_times_only_under_a_name_for_time() -> None:
    assert looks_like_times("timestamp", ["1", "2"])
    assert not looks_like_times("height", ["1", "2"])
    assert looks_like_times("when", ["2020-01-01"])
    assert not looks_like_times("words", ["rain", "sun"])


FREQUENCIES = ["D", "h", "15min", "W-WED", "MS", "ME", "QS", "YS", "B", "7D", "2MS", "90s"]


@pytest.mark.parametrize("frequency", FREQUENCIES)
@pytest.mark.parametrize("start", ["2019-12-30", "2024-02-28 06:00"])
def test_times_go_on_as_pandas_continues_them(frequency: str, start: str) -> None:
    whole = pd.date_range(start, periods=60, freq=frequency)
    stamps = stamps_of([str(time) for time in whole[:40]])
    step = find_step(stamps)
    assert step_of(step.to_plain()) == step
    ahead = times_after(stamps.values[-1], step, 20, are_dates=True)
    assert [pd.Timestamp(show_time(time, are_dates=True)) for time in ahead] == list(whole[40:])
    assert places_of(stamps, step, row).tolist() == list(range(40))


@given(st.sets(st.integers(1, 58), max_size=20), st.sampled_from(FREQUENCIES))
def test_times_that_are_left_out_are_found_and_put_back(missing: set[int], frequency: str) -> None:
    whole = pd.date_range("2020-01-06", periods=60, freq=frequency)
    kept = [place for place in range(60) if place not in missing]
    stamps = stamps_of([str(whole[place]) for place in kept])
    step = find_step(stamps_of([str(time) for time in whole]))
    assert places_of(stamps, step, row).tolist() == kept
    series = Series("", Path("a.csv"), ("x",), np.array(kept, dtype=np.float64)[:, None], np.arange(1, len(kept) + 1), stamps)
    found = regular(series, "insert", step)
    assert len(found) == 60
    assert np.isnan(found.values_TC[:, 0]).nonzero()[0].tolist() == sorted(missing)
    assert [number for number in found.rows.tolist() if number > 0] == list(range(1, len(kept) + 1))
    assert found.stamps is not None
    assert [pd.Timestamp(found.stamps.show(place)) for place in range(60)] == list(whole)


def test_a_month_without_the_day_has_its_last_day_instead() -> None:
    stamps = stamps_of(["2019-12-30", "2020-01-30"])
    step = find_step(stamps)
    assert step == Step("months", 1)
    ahead = times_after(stamps.values[-1], step, 2, are_dates=True)
    assert [show_time(time, are_dates=True) for time in ahead] == ["2020-02-29", "2020-03-30"]


@pytest.mark.parametrize(
    ("step", "words"),
    [
        (Step("microseconds", 3_600_000_000), "1 hour"),
        (Step("months", 3), "3 months"),
        (Step("business days", 1), "1 business day"),
        (Step("microseconds", 1_500_000), "1.5 s"),
    ],
)
def test_a_step_reads_as_words(step: Step, words: str) -> None:
    assert str(step) == words


# Tables

PLAIN = "date,sky,a,b\n2020-01-01,rain,1,10\n2020-01-02,sun,2,\n2020-01-03,sun,3,30\n"


def test_the_times_and_every_column_of_numbers_are_found(tmp_path: Path) -> None:
    table = read(write(tmp_path / "a.csv", PLAIN))
    (series,) = table.series
    assert (table.time, table.left_out, table.num_targets) == ("date", ("sky",), 2)
    assert series.columns == ("a", "b")
    np.testing.assert_array_equal(series.values_TC, [[1, 10], [2, np.nan], [3, 30]])
    assert series.rows.tolist() == [1, 2, 3]


def test_targets_come_first_and_named_columns_alone_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", PLAIN)
    table = read(path, Columns(targets=("b",)))
    assert (table.series[0].columns, table.num_targets) == (("b", "a"), 1)
    assert read(path, Columns(values=(), targets=("b",))).series[0].columns == ("b",)
    assert read(path, Columns(values=("a",))).num_targets == 1


def test_the_row_numbers_that_some_programs_write_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    pd.DataFrame({"x": [1.5, 2.5]}).to_csv(path)
    assert read(path).series[0].columns == ("x",)
    for first, second in (("", ""), ("dry", "wet"), ("7", "8")):
        assert read(write(path, f"x,\n1,{first}\n2,{second}\n")).series[0].columns == ("x",)


@pytest.mark.parametrize("head", [",0,1", "0,1,2", "2019,2020,2021", "1,2,c"])
def test_columns_may_be_called_by_numbers_that_count(head: str, tmp_path: Path) -> None:
    assert len(read(write(tmp_path / "a.csv", f"{head}\n5,7,8\n6,9,9\n")).series[0]) == 2


def test_a_column_of_words_with_numbers_in_them_is_left_out(tmp_path: Path) -> None:
    table = read(write(tmp_path / "a.csv", "date,x,room,version,note\n2020-01-01,1,B 12,1.2.3,at 10:30\n2020-01-02,2,B 13,1.2.4,at 9\n"))
    assert table.left_out == ("room", "version", "note")


def test_rows_follow_each_other_where_times_of_no_known_form_are_not_asked_for(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "date,x\nday 2 of spring,1\nday 1 of spring,2\n")
    assert read(path, Columns(time="none")).series[0].stamps is None


def test_series_of_one_file_are_told_apart_in_any_order_of_rows(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "who,date,x\nB,2020-01-01,10\nA,2020-01-01,1\nB,2020-01-02,20\nA,2020-01-02,2\n")
    series = read(path, Columns(series="who")).series
    assert [(one.name, one.values_TC[:, 0].tolist(), one.rows.tolist()) for one in series] == [
        ("B", [10, 20], [1, 3]),
        ("A", [1, 2], [2, 4]),
    ]


def test_every_file_of_a_folder_is_a_series(tmp_path: Path) -> None:
    files = {name: write(tmp_path / name, f"x\n{number}\n2\n") for number, name in enumerate(("a.csv", "b.csv"))}
    table = read_series(files, Columns())
    assert [(one.name, one.values_TC[0, 0]) for one in table.series] == [("a.csv", 0), ("b.csv", 1)]
    files["c.csv"] = write(tmp_path / "c.csv", "y\n1\n")
    assert "c.csv: its columns of numbers are y, those of" in refusal(lambda: read_series(files, Columns()))


@pytest.mark.parametrize(
    ("text", "columns", "expected"),
    [
        ("date,x\n2020-01-01,1\n2020-01-02,oops\n2020-01-03,3\n", Columns(), "row 2, column 'x': 'oops' is not a number"),
        ("date,x\n2020-01-01,1\n2020-01-02,inf\n", Columns(), "row 2, column 'x': inf is no number that can be used"),
        ("date,x\n2020-01-01,1\n2020-01-02,-1e40\n", Columns(), "row 2, column 'x': -1e+40 is no number that can be used"),
        ("date,x,y\n2020-01-01,1,\n2020-01-02,2,NaN\n", Columns(), "column 'y': not one number in 2 rows"),
        (
            "date,x\n2020-01-02,1\n2020-01-03,1\n2020-01-01,2\n",
            Columns(),
            "row 3, column 'date': 2020-01-01 comes after 2020-01-03; sort the rows by time",
        ),
        ("date,x\n2020-01-02,1\n2020-01-01,2\n", Columns(), "the newest row comes first: sort the rows by time"),
        (
            "date,x\n2020-01-01,1\n2020-01-01,2\n",
            Columns(),
            "row 2, column 'date': the time 2020-01-01 is there twice; if the file holds several series",
        ),
        ("date,sky\n2020-01-01,rain\n", Columns(), "no column of numbers among date, sky"),
        ("date,x\n2020-01-01,1\n", Columns(targets=("y",)), "row 1: no column 'y'; known: date, x; set data.targets to one of date, x"),
        ("date,x\n2020-01-01,1\n", Columns(time="day"), "set data.time_column to one of date, x"),
        ("date,x\n2020-01-01,1\n", Columns(series="who"), "set data.series_column to one of date, x"),
        ("date,x\n2020-01-01,1\n", Columns(targets=("date",)), "column 'date' is the one of times; it cannot be a value"),
        ("x,Order Date\n1,Monday 1 Jan\n", Columns(), "a.csv, column 'Order Date': 'Monday 1 Jan' is no time that is known; write times"),
        ("when,x\n2020.13.01,1\n", Columns(), "a.csv, column 'when': '2020.13.01' is no time that is known"),
        ("x;y\n1,5;2\n", Columns(), "a.csv, row 1, column 'x': '1,5' is not a number; write decimals with a point"),
        ("x;y\n1.234,5;2\n", Columns(), "a.csv, row 1, column 'x': '1.234,5' is not a number; write it with a decimal point alone"),
        ("x;y\n5 %;2\n", Columns(), "a.csv, row 1, column 'x': '5 %' is not a number; write it with a decimal point alone"),
        ("0.5,0.25\n1,2\n", Columns(), "a.csv:1: the first line must name the columns, but holds values (0.5, 0.25)"),
        ("2020-01-01,5\n2020-01-02,6\n", Columns(), "a.csv:1: the first line must name the columns"),
        (
            "s,date,x\na,01/02/2020,1\na,02/01/2020,2\nb,03/12/2020,1\nb,02/01/2021,2\nb,01/02/2021,2\n",
            Columns(series="s"),
            "a.csv, column 'date': times of series 'a' are %m/%d/%Y, those of 'b' %d/%m/%Y; write all as 2024-01-31",
        ),
        (",x\n5,1\n3,2\n", Columns(), "a.csv:1: a column of numbers without a name (5, 3, ...); name it"),
        ("112\n118\n", Columns(), "a.csv:1: the first line must name the columns, but holds values (112)"),
        ("date,x\n,1\n", Columns(time="date"), "row 1, column 'date': no time"),
        (
            "date,sky\n2020-01-01,1\n2020-01-02,rain\n2020-01-03,sun\n",
            Columns(targets=("sky",)),
            "row 2, column 'sky': 'rain' is not a number",
        ),
    ],
)
def test_a_bad_table_is_one_line_with_file_row_and_column(text: str, columns: Columns, expected: str, tmp_path: Path) -> None:
    found = refusal(lambda: read(write(tmp_path / "a.csv", text), columns))
    assert found.startswith(str(tmp_path / "a.csv"))
    assert expected in found


def test_a_file_without_times_is_read_in_the_order_of_its_rows(tmp_path: Path) -> None:
    (series,) = read(write(tmp_path / "a.csv", "x,y\n3,1\n1,2\n")).series
    assert series.stamps is None
    assert regular(series, "insert") is series


def gap(tmp_path: Path) -> Series:
    return read(write(tmp_path / "a.csv", "date,x\n2020-01-01,1\n2020-01-02,2\n2020-01-05,5\n2020-01-06,6\n")).series[0]


def test_a_gap_is_filled_passed_over_or_refused(tmp_path: Path) -> None:
    series = gap(tmp_path)
    np.testing.assert_array_equal(regular(series, "insert").values_TC[:, 0], [1, 2, np.nan, np.nan, 5, 6])
    np.testing.assert_array_equal(regular(series, "rows").values_TC[:, 0], [1, 2, 5, 6])
    found = refusal(lambda: regular(series, "refuse"))
    assert "a.csv, row 3: 2020-01-05 comes 3 steps (1 day) after the row before; 2 of 6 times are missing" in found


def test_rows_between_two_steps_and_mostly_missing_times_are_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "date,x\n2020-01-01,1\n2020-01-02,2\n2020-01-03 07:00,3\n2020-01-04 07:00,3\n")
    assert "row 3: 2020-01-03 07:00:00 is not a whole number of steps (1 day) after the first time; set data.gaps to rows" in refusal(
        lambda: regular(read(path).series[0], "insert")
    )
    path = write(tmp_path / "b.csv", "date,x\n2020-01-01,1\n2020-01-02,2\n2020-03-01,3\n")
    assert "row 3: 2020-03-01 comes 59 steps (1 day) after the row before; 58 of 61 times would be missing" in refusal(
        lambda: regular(read(path).series[0], "insert")
    )


@given(st.lists(st.one_of(st.floats(-1e29, 1e29), st.just(float("nan"))), min_size=1, max_size=20))
def test_numbers_of_a_column_are_read_as_python_wrote_them(numbers: list[float]) -> None:
    texts = ["" if np.isnan(number) else repr(number) for number in numbers]
    np.testing.assert_array_equal(read_numbers(texts, row), numbers)


@pytest.mark.parametrize(
    "name", ["stocks.csv", "daily-min-temperatures.csv", "weather.csv", "monthly-sunspots.csv", "finance-charts-apple.csv"]
)
def test_real_tables_are_read_as_pandas_reads_them(name: str, data_home: Path) -> None:
    path = data_home / "ts_misc" / name
    frame = pd.read_csv(path)
    series_column = {"stocks.csv": "symbol", "weather.csv": "location"}.get(name, "none")
    table = read(path, Columns(series=series_column))
    groups = [frame] if series_column == "none" else [part for _, part in frame.groupby(series_column, sort=False)]
    assert len(table.series) == len(groups)
    for series, group in zip(table.series, groups, strict=True):
        np.testing.assert_array_equal(series.values_TC, group[list(series.columns)].to_numpy(dtype=np.float64))
        assert series.stamps is not None
        times = pd.to_datetime(group[table.time], format="mixed")
        assert [pd.Timestamp(series.stamps.show(place)) for place in range(len(series))] == list(times)
