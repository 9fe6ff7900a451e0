"""People's files: what is read, and what is refused in one line that names file and row."""

import bz2
import csv
import gzip
import io
import json
import lzma
import math
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnbench.base.errors import DataError
from rnnbench.task.files import decode, get_column, is_missing, open_archive, parse_number, read_bytes, read_lines, read_table, read_text

# Whatever UTF-8 can say; a zero byte is not text to us.
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20)
NAME = st.text(st.characters(categories=["L", "N"]), min_size=1, max_size=8)


def write(path: Path, content: bytes | str) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def message(path: Path) -> str:
    """What a table is refused with: one line."""
    with pytest.raises(DataError) as refused:
        read_table(path)
    assert "\n" not in str(refused.value)
    return str(refused.value)


@given(rows=st.lists(st.lists(TEXT, min_size=2, max_size=2), min_size=1, max_size=5), delimiter=st.sampled_from(",;\t"))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_table_is_read_as_the_csv_writer_of_the_library_wrote_it(rows: list[list[str]], delimiter: str, tmp_path: Path) -> None:
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([["first", "second"], *rows])
    found = read_table(write(tmp_path / "a.csv", stream.getvalue()))
    # Line ends of Windows are line ends, also within a field.
    assert [list(row.values()) for row in found] == [[field.replace("\r\n", "\n") for field in row] for row in rows]
    assert list(found[0]) == ["first", "second"]


@given(rows=st.lists(st.dictionaries(NAME, TEXT, min_size=1, max_size=3), min_size=1, max_size=4))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_json_lines_are_read_as_the_library_wrote_them(rows: list[dict[str, str]], tmp_path: Path) -> None:
    assert read_table(write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, rows)) + "\n")) == rows


def test_values_of_json_lines_become_text(tmp_path: Path) -> None:
    path = write(tmp_path / "a.ndjson", '{"a": 1.5, "b": null, "c": true, "d": [1, 2]}\n\n{"a": "x"}\n')
    assert read_table(path) == [{"a": "1.5", "b": "", "c": "true", "d": "[1, 2]"}, {"a": "x"}]


def test_a_gzip_file_a_byte_order_mark_and_line_ends_of_windows_change_nothing(tmp_path: Path) -> None:
    plain = "name;value\na;1\nb;2\n"
    expected = [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]
    assert read_table(write(tmp_path / "a.csv", plain)) == expected
    assert read_table(write(tmp_path / "b.csv", b"\xef\xbb\xbf" + plain.replace("\n", "\r\n").encode())) == expected
    assert read_table(write(tmp_path / "c.csv.gz", gzip.compress(plain.encode()))) == expected


def test_a_next_line_character_does_not_end_a_line(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "one\u0085still one\u2028and\x0bone\ntwo")
    assert read_lines(path) == ["one\u0085still one\u2028and\x0bone", "two"]


def test_the_delimiter_is_the_commonest_outside_of_quotes(tmp_path: Path) -> None:
    assert read_table(write(tmp_path / "a.csv", '"size, cm, or so";weight\n1,5;2\n')) == [{"size, cm, or so": "1,5", "weight": "2"}]
    assert read_table(write(tmp_path / "a.tsv", "a,b\tc\n1,2\t3\n")) == [{"a,b": "1,2", "c": "3"}]


def test_blank_lines_are_passed_over_but_a_missing_value_of_a_single_column_is_kept(tmp_path: Path) -> None:
    assert read_table(write(tmp_path / "a.csv", "\n\na,b\n1,2\n\n3,4\n\n")) == [{"a": "1", "b": "2"}, {"a": "3", "b": "4"}]
    assert [row["a"] for row in read_table(write(tmp_path / "b.csv", "a\n1\n\n3\n\n\n"))] == ["1", "", "3"]


def test_a_review_longer_than_the_librarys_limit_is_a_field(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    text = "x" * (before + 1)
    assert read_table(write(tmp_path / "a.csv", f"a,b\n{text},1\n"))[0]["a"] == text
    assert csv.field_size_limit() == before


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "a.csv: the file is empty"),
        (" \n\n", "a.csv: the file is empty"),
        ("a,b\n", "a.csv: no rows below the line that names the columns"),
        ("a,b\n1,2\n1,2,3\n", "a.csv:3: 3 fields, but 2 columns: a, b"),
        ("a,b\n1,2\n1\n", "a.csv:3: 1 fields, but 2 columns: a, b"),
        ("a,b,a\n1,2,3\n", "a.csv:1: two columns are called 'a'"),
        ('a,b\n1,"2\n', "a.csv:2: not a table"),
        ('a,b\n1,2\n3,"4" or so\n', "a.csv:3: not a table (',' expected after '\"'); a field that begins with a mark"),
        ('a\tb\n1\t2\n"Oh\t3\nno\t4\nno"\t5\n', "a.csv:3: a quotation mark opens a field that ends in line 5, rows behind; a field that"),
        (b"a,b\n1,\xe9\n", "a.csv:2: not UTF-8 (byte 0xe9); save the file as UTF-8"),
        (b"\xef\xbb\xbfa,b\n1,2\n3,\xff\n", "a.csv:3: not UTF-8 (byte 0xff); save the file as UTF-8"),
        (b"a,b\n1,\0\n", "a.csv:2: a zero byte: not a text file"),
        (b"PK\x03\x04\0\0", "a.csv:1: a zero byte: not a text file"),
    ],
)
def test_a_bad_table_is_one_line_with_file_and_line(content: str | bytes, expected: str, tmp_path: Path) -> None:
    assert expected in message(write(tmp_path / "a.csv", content))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"a": 1}\n{"a": \n', "a.jsonl:2: not JSON (Expecting value at character 7)"),
        ("[1, 2]\n", "a.jsonl:1: not an object"),
        ('{"a": 1, "a": 2}\n', "a.jsonl:1: 'a' is there twice"),
        ('{"a": ' + "[" * 100_000 + "\n", "a.jsonl:1: not JSON that can be read"),
        ('{"a": ' + "9" * 5000 + "}\n", "a.jsonl:1: not JSON that can be read"),
    ],
)
def test_bad_json_is_one_line_with_file_and_line(content: str, expected: str, tmp_path: Path) -> None:
    assert expected in message(write(tmp_path / "a.jsonl", content))


def test_a_file_that_is_not_there_or_a_folder_is_one_line(tmp_path: Path) -> None:
    assert "No such file" in message(tmp_path / "a.csv")
    with pytest.raises(DataError, match="Is a directory"):
        read_bytes(tmp_path)


@pytest.mark.parametrize(
    "content", [b"", b"hello", gzip.compress(b"hello" * 100, mtime=0)[:-9], gzip.compress(b"a", mtime=0)[:10] + b"\xff" * 20]
)
def test_what_is_no_whole_gzip_file_is_refused(content: bytes, tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt.gz", content)
    with pytest.raises(DataError, match=r"a\.txt\.gz: (not a whole gzip file|the file is empty)"):
        read_text(path)


def test_a_file_that_unpacks_to_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnbench.task.files.MAX_BYTES", 1000)
    with pytest.raises(DataError, match="unpacks to more than"):
        read_bytes(write(tmp_path / "a.gz", gzip.compress(b"0" * 1001)))
    assert len(read_bytes(write(tmp_path / "b.gz", gzip.compress(b"0" * 1000)))) == 1000


@given(number=st.floats(allow_nan=False))
def test_a_number_is_read_as_python_wrote_it(number: float) -> None:
    assert parse_number(f" {number!r} ", "here") == number


@pytest.mark.parametrize("text", ["", " ", "NA", "nan", "NULL", "None", "?"])
def test_the_signs_of_a_missing_number_are_nan(text: str) -> None:
    assert math.isnan(parse_number(text, "here"))
    assert is_missing(text)


@pytest.mark.parametrize("text", ["1_000", "1,5", "twelve", "1 2", "0x10", "--1", "N/A"])
def test_what_is_no_number_is_refused_with_its_place(text: str) -> None:
    with pytest.raises(DataError, match=f"here: '{text}' is not a number"):
        parse_number(text, "here")


def test_a_decimal_comma_gets_a_hint() -> None:
    with pytest.raises(DataError, match="write decimals with a point"):
        parse_number("-12,5", "here")


def test_a_missing_column_is_refused_with_the_nearest_name(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": "b"}]
    assert get_column(rows, "label", tmp_path, "data.label_column") == ["b"]
    with pytest.raises(DataError, match=r"row 1: no column 'lable'; did you mean 'label'\?; set data.label_column to one of text, label"):
        get_column(rows, "lable", tmp_path, "data.label_column")
    with pytest.raises(DataError, match="row 2: no column 'label'"):
        get_column([*rows, {"text": "a"}], "label", tmp_path, "data.label_column")


@given(content=st.binary(max_size=60))
def test_decoding_gives_text_or_one_line(content: bytes) -> None:
    is_text = b"\0" not in content and content.decode("utf-8-sig", errors="replace") == content.decode("utf-8-sig", errors="ignore")
    if is_text:
        assert decode(content, "here") == content.decode("utf-8-sig").replace("\r\n", "\n")
    else:
        with pytest.raises(DataError, match=r"here:\d+: (not UTF-8|a zero byte)[^\n]*$"):
            decode(content, "here")


MEMBERS = {"a.txt": b"one", "folder/b.txt": b"\0two", "folder/c.txt": b""}


def pack(path: Path) -> Path:
    if path.suffix == ".zip":
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            file.mkdir("folder")
            for name, content in MEMBERS.items():
                file.writestr(name, content)
        return path
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        for name, content in MEMBERS.items():
            member = tarfile.TarInfo(f"./{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    compress: dict[str, Callable[[bytes], bytes]] = {".tar": bytes, ".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}
    path.write_bytes(compress[path.suffix](stream.getvalue()))
    return path


KINDS = ("a.zip", "a.tar", "a.tar.gz", "a.tar.bz2", "a.tar.xz")


@pytest.mark.parametrize("name", KINDS)
def test_an_archive_is_read_member_by_member(name: str, tmp_path: Path) -> None:
    with open_archive(pack(tmp_path / name)) as members:
        assert dict(members) == MEMBERS
        assert len(members) == 3
        assert "none" not in members


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("damage", ["cut", "empty", "noise"])
def test_a_damaged_archive_is_one_line(name: str, damage: str, tmp_path: Path) -> None:
    path = pack(tmp_path / name)
    whole = path.read_bytes()
    # Half of the small .tar is empty blocks: it is cut within its second member.
    end = 1300 if name == "a.tar" else len(whole) // 2
    noise = whole[:20] + bytes(255 - byte for byte in whole[20:])
    path.write_bytes({"cut": whole[:end], "empty": b"", "noise": noise}[damage])
    with pytest.raises(DataError) as refused:
        read_all(path)
    assert str(refused.value).startswith(f"{path}: not a whole archive")
    assert "\n" not in str(refused.value)


def read_all(path: Path) -> dict[str, bytes]:
    with open_archive(path) as members:
        return dict(members)


def test_a_plain_tar_file_cut_between_two_members_is_noticed(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.tar")
    path.write_bytes(path.read_bytes()[:1024])
    with pytest.raises(DataError, match=r"a\.tar: not a whole archive \(its end is missing\)"):
        read_all(path)


def test_an_archive_with_a_password_is_one_line(tmp_path: Path) -> None:
    path = pack(tmp_path / "a.zip")
    with zipfile.ZipFile(path) as file:
        place = file.getinfo("a.txt").header_offset
    content = bytearray(path.read_bytes())
    content[place + 6] |= 1
    central = content.index(b"PK\x01\x02", content.index(b"folder/c.txt"))
    for start in (central, content.index(b"PK\x01\x02", central + 4)):
        content[start + 8] |= 1
    path.write_bytes(bytes(content))
    with open_archive(path) as members, pytest.raises(DataError, match=r"a\.zip: cannot be unpacked .*without a password"):
        members["a.txt"]


def test_a_member_damaged_inside_a_whole_zip_file_is_found_when_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as file:
        file.writestr("a.txt", b"hello hello")
    path.write_bytes(path.read_bytes().replace(b"hello hello", b"hello jello"))
    with open_archive(path) as members:
        assert list(members) == ["a.txt"]
        with pytest.raises(DataError, match=r"a\.zip: not a whole archive"):
            members["a.txt"]


def test_an_error_of_the_readers_own_is_not_taken_for_one_of_the_archive(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="mine"), open_archive(pack(tmp_path / "a.zip")):
        raise OSError("mine")


def test_an_archive_that_is_not_there_or_too_large_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match="No such file"):
        read_all(tmp_path / "a.tar")
    monkeypatch.setattr("rnnbench.task.files.MAX_BYTES", 4)
    with pytest.raises(DataError, match="unpacks to more than"):
        read_all(pack(tmp_path / "b.tar.gz"))
    monkeypatch.setattr("rnnbench.task.files.MAX_BYTES", 3)
    with open_archive(pack(tmp_path / "c.zip")) as members:
        assert members["a.txt"] == b"one"
        with pytest.raises(DataError, match=r"folder/b\.txt is larger than"):
            members["folder/b.txt"]
