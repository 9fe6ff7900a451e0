"""Sets of sequences: every format gives the same sequences, and what cannot be used is one line with file and row."""

import gzip
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rnnbench.base.errors import DataError
from rnnbench.task.sequences import Names, Sequences, parse_targets, read_sequences, split_of

Values = NDArray[np.float64]
NAMES = Names(target="label")

VALUES = [np.array([[1.0, 10.0], [2.0, np.nan], [3.0, 30.0]]), np.array([[4.0, 40.0]]), np.array([[5.0, 50.0], [-0.5, 1e-9]])]
LABELS = ["b", "a", "b"]


def write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def show(value: float) -> str:
    return "" if np.isnan(value) else repr(float(value))


def write_long(path: Path, values: Sequence[Values], labels: Sequence[str]) -> Path:
    rows = [
        ",".join([f"s{number}", str(step), *map(show, row), label])
        for number, (one, label) in enumerate(zip(values, labels, strict=True))
        for step, row in enumerate(one)
    ]
    return write(path, "\n".join(["id,time,u,v,label", *rows]) + "\n")


def write_padded(path: Path, values: Sequence[Values], labels: Sequence[str]) -> Path:
    x = np.zeros((len(values), max(map(len, values)), values[0].shape[1]))
    for row, one in enumerate(values):
        x[row, : len(one)] = one
    np.savez(path, x=x, lengths=np.array([len(one) for one in values]), y=np.array(labels))
    return path


def write_joined(path: Path, values: Sequence[Values], labels: Sequence[str]) -> Path:
    np.savez(path, x=np.concatenate(list(values)), lengths=np.array([len(one) for one in values]), y=np.array(labels))
    return path


def write_ts(path: Path, values: Sequence[Values], labels: Sequence[str]) -> Path:
    def dimension(column: Values) -> str:
        return ",".join("?" if np.isnan(value) else repr(float(value)) for value in column)

    lines = [":".join([*(dimension(column) for column in one.T), label]) for one, label in zip(values, labels, strict=True)]
    classes = " ".join(dict.fromkeys(labels))
    head = f"# a comment\n@problemName Test\n@timeStamps false\n@univariate false\n@equalLength false\n@classLabel true {classes}\n@data\n"
    return write(path, head + "\n".join(lines) + "\n")


def write_folder(path: Path, values: Sequence[Values], labels: Sequence[str]) -> Path:
    path.mkdir()
    for number, one in enumerate(values):
        write(path / f"{number}.csv", "\n".join(["u,v", *(",".join(map(show, row)) for row in one)]) + "\n")
    write(path / "labels.csv", "\n".join(["file,label", *(f"{number}.csv,{label}" for number, label in enumerate(labels))]) + "\n")
    return path


def read(path: Path, names: Names = NAMES) -> Sequences:
    files = {path.name: path} if path.is_file() else {one.name: one for one in sorted(path.iterdir())}
    return read_sequences(files, names)


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises(DataError) as refused:
        call()
    assert "\n" not in str(refused.value)
    return str(refused.value)


WRITERS = {"a.csv": write_long, "a.npz": write_padded, "b.npz": write_joined, "a.ts": write_ts, "folder": write_folder}


@pytest.mark.parametrize("name", WRITERS)
def test_every_format_gives_the_same_sequences(name: str, tmp_path: Path) -> None:
    found = read(WRITERS[name](tmp_path / name, VALUES, LABELS))
    assert list(found.targets) == LABELS
    for one, expected in zip(found.values, VALUES, strict=True):
        np.testing.assert_array_equal(one, expected)


SETS = st.lists(
    st.tuples(st.lists(st.tuples(*[st.floats(-1e6, 1e6)] * 2), min_size=1, max_size=4), st.sampled_from("abc")), min_size=1, max_size=4
)


@given(content=SETS, name=st.sampled_from(["a.csv", "a.npz", "b.npz", "a.ts"]))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
def test_what_is_written_is_read_to_the_last_digit(content: list[tuple[list[tuple[float, float]], str]], name: str, tmp_path: Path) -> None:
    values, labels = [np.array(rows) for rows, _ in content], [label for _, label in content]
    found = read(WRITERS[name](tmp_path / name, values, labels))
    assert list(found.targets) == labels
    assert all(np.array_equal(one, other) for one, other in zip(found.values, values, strict=True))


def test_rows_of_a_long_table_may_be_mixed_and_words_are_no_features(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "label,note,x,id\nup,hm,1,A\ndown,hm,10,B\nup,oh,2,A\n")
    found = read(path)
    assert (found.features, found.names, list(found.targets)) == (("x",), ["A", "B"], ["up", "down"])
    assert [one[:, 0].tolist() for one in found.values] == [[1, 2], [10]]
    assert found.where == [f"{path}, id 'A'", f"{path}, id 'B'"]


def test_spaces_around_a_label_make_no_other_class(tmp_path: Path) -> None:
    assert read(write(tmp_path / "a.csv", "id,x,label\nA,1,yes\nA,2,yes \nB,1, yes\n")).targets == ["yes", "yes"]
    np.savez(tmp_path / "a.npz", x=np.ones((3, 2)), y=np.array([b"yes", b"yes ", b" no"]))
    assert read(tmp_path / "a.npz").targets == ["yes", "yes", "no"]


def test_groups_and_other_names_of_columns_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "trial,person,x,kind\n1,Ann,1,a\n2,Bob,2,b\n")
    found = read(path, Names(target="kind", sequence="trial", group="person"))
    assert (list(found.groups), found.features) == (["Ann", "Bob"], ("x",))
    np.savez(tmp_path / "a.npz", x=np.zeros((2, 3, 1)), y=np.array([0, 1]), groups=np.array([7, 8]))
    assert list(read(tmp_path / "a.npz", Names(target="y", group="groups")).groups) == ["7", "8"]


def test_padding_with_nan_ends_a_sequence_and_one_axis_less_is_one_feature(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", x=np.array([[1, np.nan, 3, np.nan], [4, 5, 6, 7]]), y=np.array([1.5, 2.5]))
    found = read(tmp_path / "a.npz")
    assert [one[:, 0].tolist() for one in found.values][1] == [4, 5, 6, 7]
    np.testing.assert_array_equal(found.values[0][:, 0], [1, np.nan, 3])
    assert parse_targets(found).tolist() == [1.5, 2.5]


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("GunPoint_TRAIN.ts", "train"),
        ("GunPoint_TEST.ts.gz", "test"),
        ("x/test.csv", "test"),
        ("my-valid.npz", "validation"),
        ("data.val.csv", "validation"),
        ("training.csv", None),
        ("latest.csv", None),
        ("traintest.csv", None),
    ],
)
def test_the_split_is_the_end_of_a_files_name(name: str, split: str | None) -> None:
    assert split_of(name) == split


def test_files_of_a_folder_say_their_split(tmp_path: Path) -> None:
    write_ts(tmp_path / "A_TRAIN.ts", VALUES, LABELS)
    write_ts(tmp_path / "A_TEST.ts", VALUES[:1], LABELS[:1])
    found = read(tmp_path)
    assert list(found.splits) == ["test", "train", "train", "train"]
    write_ts(tmp_path / "other.ts", VALUES, LABELS)
    assert "of several files each must say its split in its name" in refusal(lambda: read(tmp_path))
    assert "other.ts says none" in refusal(lambda: read(tmp_path))


def test_a_file_may_be_packed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(write_long(tmp_path / "a.csv", VALUES, LABELS).read_bytes()))
    assert len(read(path)) == 3


def test_targets_are_not_needed_to_be_answered(tmp_path: Path) -> None:
    asked = Names(target=None, features=("u", "v"))
    path = write(tmp_path / "a.csv", "id,time,v,u\nA,0,2,1\n")
    assert read(path, asked).values[0].tolist() == [[1, 2]]
    for name in ("a.npz", "a.ts"):
        found = read(WRITERS[name](tmp_path / name, VALUES, LABELS), asked)
        assert (found.features, list(found.targets)) == (("u", "v"), [])
    assert "a.ts: 2 features, must be 1: u" in refusal(lambda: read(tmp_path / "a.ts", Names(target=None, features=("u",))))


LONG = "id,time,x,label\nA,0,1,a\nA,1,2,a\nB,0,3,b\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "a.csv: the file is empty"),
        (LONG.replace("id,", "name,"), "a.csv, row 1: no column 'id'"),
        (LONG.replace(",label", ",kind"), "row 1: no column 'label'; known: id, kind, time, x; set data.target_column to one of"),
        (LONG.replace("A,1,2,a", "A,1,2,b"), "a.csv, row 2, column 'label': 'b', but row 1 of the same sequence has 'a'"),
        (LONG.replace("A,1", "A,0"), "a.csv, row 2: the same time as row 1 of the same sequence; sort the rows by time"),
        (LONG.replace("A,0", "A,7"), "a.csv, row 2: an earlier time than row 1 of the same sequence"),
        (LONG.replace(",2,a", ",two,a"), "a.csv, row 2, column 'x': 'two' is not a number"),
        (LONG.replace(",2,a", ",inf,a"), "a.csv, row 2, column 'x': inf is no number that can be used"),
        (LONG.replace("B,0,3,b", "B,0,3,"), "a.csv, id 'B': no target"),
        (LONG.replace("B,0,3,b", "B,0,3"), "a.csv:4: 3 fields, but 4 columns"),
        (LONG.replace("B,0", ",0"), "a.csv, row 3: column 'id' is empty"),
        (LONG.replace("time", "start time").replace("A,0", "A,1st"), "a.csv, column 'start time': '1st' is no time"),
        (LONG.replace("x", "x;y").replace("A,0,1", '"A",0,"1,5"'), "a.csv, row 1, column 'x;y': '1,5' is not a number"),
        ("id,label,note\nA,a,hm\n", "a.csv: no column of numbers among id, label, note"),
    ],
)
def test_a_bad_long_table_is_one_line(content: str, expected: str, tmp_path: Path) -> None:
    assert expected in refusal(lambda: read(write(tmp_path / "a.csv", content)))


X, Y = np.arange(12.0).reshape(2, 3, 2), np.array([0, 1])


@pytest.mark.parametrize(
    ("arrays", "expected"),
    [
        ({"y": Y}, "a.npz: holds y, but no array x"),
        ({"x": X}, "a.npz: holds x, but no array y"),
        ({"x": X, "y": Y[:1]}, "y has shape (1,), must have one entry for each of 2 sequences"),
        ({"x": np.array(["a", "b"]), "y": Y}, "x is <U1 with 1 axes, must be numbers"),
        ({"x": X[:0], "y": Y[:0]}, "a.npz: x is 0x3x2: it holds no value"),
        ({"x": X[:, :0], "y": Y}, "a.npz: x is 2x0x2: it holds no value"),
        ({"x": X, "y": np.array([0, np.nan])}, "a.npz, sequence 2: no target"),
        ({"x": X, "lengths": np.array([3, 4]), "y": Y}, "lengths has 2 entries up to 4, but x is 2x3x2"),
        ({"x": X, "lengths": np.array([3, 0]), "y": Y}, "lengths must be whole numbers from 1"),
        ({"x": X[0], "lengths": np.array([1, 3, 1, 1]), "y": Y}, "lengths add up to 6, but x has 3 rows"),
        ({"x": np.where(np.arange(2)[:, None, None] == 1, np.nan, X), "y": Y}, "a.npz, sequence 2: a sequence without a step"),
        ({"x": np.where(X == 7, np.inf, X), "y": Y}, "a.npz, sequence 2, step 1, feature x2: inf is no number that can be used"),
    ],
)
def test_a_bad_npz_file_is_one_line(arrays: dict[str, NDArray[np.generic]], expected: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)  # type: ignore[arg-type]  # its other arguments are no arrays
    assert expected in refusal(lambda: read(path))


def test_objects_that_would_run_code_are_refused_with_the_way_out(tmp_path: Path) -> None:
    x = np.empty(2, dtype=object)
    x[:] = [np.zeros((3, 1)), np.zeros((2, 1))]
    np.savez(tmp_path / "a.npz", x=x, y=Y)
    found = refusal(lambda: read(tmp_path / "a.npz"))
    assert "holds an array of objects, which would run code when read; save x as numbers, padded to (N, T, F) with lengths" in found


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + bytes(50)])
def test_what_is_no_npz_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    assert "not a whole .npz file" in refusal(lambda: read(path))
    write_padded(path, VALUES, LABELS)
    path.write_bytes(path.read_bytes()[:-30])
    assert "not a whole .npz file" in refusal(lambda: read(path))


HEAD = "@problemName A\n@timeStamps false\n@classLabel true a b\n@data\n"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("1,2:a\n", "a.ts:1: '1,2:a' before the line @data"),
        ("@problemName A\n", "a.ts: no line @data; not a .ts file"),
        (HEAD, "a.ts: no sequence behind @data"),
        (HEAD + "1,2:a\n1,x:b\n", "a.ts:6, dimension 1, value 2: 'x' is not a number"),
        (HEAD + "1,2:3,4:a\n1,2:b\n", "a.ts:6: 1 dimensions, but line 5 has 2"),
        (HEAD + "1,2:3:a\n", "a.ts:5: dimension 2 has 1 values, dimension 1 has 2"),
        (HEAD + "1,2:c\n", "a.ts:5: class 'c' is not among those of @classLabel"),
        (HEAD + "a\n", "a.ts:5: a target without values"),
        (HEAD + ":a\n", "a.ts:5: a sequence without a step"),
        (
            HEAD.replace("@timeStamps false", "@timeStamps true") + "(0,1),(1,2):a\n",
            "@timeStamps true: values with times in brackets are not read",
        ),
        (HEAD.replace("@classLabel true a b", "@classLabel false") + "1,2\n", "its head says neither @classLabel nor @targetLabel true"),
    ],
)
def test_a_bad_ts_file_is_one_line(content: str, expected: str, tmp_path: Path) -> None:
    assert expected in refusal(lambda: read(write(tmp_path / "a.ts", content)))


def test_numbers_of_a_ts_file_are_targets(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ts", "@problemName A\n@targetLabel true\n@data\n1,2,?:0.5\n3:7\n")
    found = read(path)
    assert parse_targets(found).tolist() == [0.5, 7]
    assert [len(one) for one in found.values] == [3, 1]


@pytest.mark.parametrize(("text", "expected"), [("high", "'high' is not a number"), ("nan", "no target; leave the sequence out")])
def test_a_target_that_is_no_number_is_refused(text: str, expected: str, tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", LONG.replace(",b", f",{text}").replace(",a", ",1"))
    found = refusal(lambda: parse_targets(read(path)))
    assert found.startswith(f"{path}, id 'B'")
    assert expected in found


def test_a_listed_file_that_is_not_there_and_one_with_other_columns_are_refused(tmp_path: Path) -> None:
    folder = write_folder(tmp_path / "one", VALUES, LABELS)
    write(folder / "1.csv", "u,w\n1,2\n")
    assert "1.csv: columns u, w, but 0.csv has u, v" in refusal(lambda: read(folder))
    (folder / "1.csv").unlink()
    assert "labels.csv, row 2: there is no file 1.csv" in refusal(lambda: read(folder))


def test_an_unknown_kind_of_file_is_refused(tmp_path: Path) -> None:
    assert "sequences are read from .csv, .tsv, .jsonl, .ndjson, .npz and .ts files" in refusal(
        lambda: read(write(tmp_path / "a.txt", "x"))
    )
