"""Reading people's files: text, tables and archives; what cannot be used is one line with file and row."""

import csv
import gzip
import io
import json
import lzma
import math
import re
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable, suggest

# How the names of tables end, perhaps with .gz behind.
TABLES = (".csv", ".tsv", ".jsonl", ".ndjson")
# A member of an archive that unpacks to more is not data of ours.
MAX_BYTES = 4 * 2**30

# A plain .tar file ends in empty blocks.
_TAR_BLOCK = 512
_QUOTING = 'a field that begins with a mark (") must end with one, and marks in it are doubled: put such fields in marks'
_QUOTED = re.compile(r'"[^"]*"')
_DECIMAL_COMMA = re.compile(r"[+-]?\d+,\d+")
# Numbers as people write them and programs do not: 1,5 and 1.234,50 and 1 000 and $3.20 and 5 %.
_WRITTEN = re.compile(r"[+-]?[$\u20ac\u00a3\u00a5]? ?[+-]?\d+([., '\u00a0\u202f]\d{3})*([.,]\d+)? ?[%$\u20ac\u00a3\u00a5]?")


def kind_of(name: str) -> str:
    """A file's name whose end says what it holds: in small letters and without .gz, for DATA.CSV and data.csv.gz are tables too."""
    return name.lower().removesuffix(".gz")


def read_bytes(path: Path) -> bytes:
    """A whole file, unpacked where its name ends in .gz.

    Raises:
        DataError: it cannot be read, or is no whole gzip file.
    """
    try:
        if path.suffix.lower() != ".gz":
            return path.read_bytes()
        with gzip.open(path) as file:
            content = file.read(MAX_BYTES + 1)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path}: not a whole gzip file ({error}); fetch or copy it again") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    if len(content) > MAX_BYTES:
        raise DataError(f"{path}: unpacks to more than {MAX_BYTES >> 30} GiB")
    return content


def decode(content: bytes, where: str) -> str:
    """UTF-8 text, a byte order mark left out, line ends as they are but for CR LF.

    Raises:
        DataError: it is not UTF-8; the text names the line and the byte.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # Of what was decoded: a byte order mark is not counted.
        row = error.object[: error.start].count(b"\n") + 1
        raise DataError(f"{where}:{row}: not UTF-8 (byte 0x{error.object[error.start]:02x}); save the file as UTF-8") from error
    if "\0" in text:
        row = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{where}:{row}: a zero byte: not a text file")
    return text.replace("\r\n", "\n")


def read_text(path: Path) -> str:
    """The text of a UTF-8 file; see `read_bytes` and `decode`.

    Raises:
        DataError: it cannot be read, is not UTF-8, or holds nothing but white space.
    """
    text = decode(read_bytes(path), str(path))
    if not text.strip():
        raise DataError(f"{path}: the file is empty")
    return text


def read_lines(path: Path) -> list[str]:
    """The lines of a text file; only a line feed ends one, for U+0085 and its like are characters of reviews and tweets."""
    return read_text(path).removesuffix("\n").split("\n")


def read_table(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV (comma, semicolon or tab, the first line names the columns) or JSONL file, every value as text.

    Raises:
        DataError: not such a file, a row with too many or too few fields, no rows; the text names the row.
    """
    name = kind_of(path.name)
    if name.endswith((".jsonl", ".ndjson")):
        rows = [_json_row(line, f"{path}:{number}") for number, line in enumerate(read_lines(path), 1) if line.strip()]
    else:
        rows = list(_csv_rows(path, read_text(path), "\t" if name.endswith(".tsv") else None))
    if not rows:
        raise DataError(f"{path}: no rows below the line that names the columns")
    return rows


def get_column(rows: Sequence[Mapping[str, str]], column: str, path: Path, parameter: str) -> list[str]:
    """One column of a table.

    Args:
        parameter: The parameter that names the column, for the message.
    Raises:
        DataError: there is no such column; the text lists those there are.
    """
    for number, row in enumerate(rows, 1):
        if column not in row:
            known = list(row)
            raise DataError(
                f"{path}, row {number}: no column '{printable(column)}'{suggest(column, known)}; "
                f"set {parameter} to one of {', '.join(map(printable, known))}"
            )
    return [row[column] for row in rows]


def parse_number(text: str, where: str) -> float:
    """A number of a table; an empty field, NA, NaN or null is nan.

    Raises:
        DataError: it is something else.
    """
    if is_missing(text):
        return float("nan")
    try:
        if "_" not in text:  # Python takes 1_000 for a number
            return float(text)
    except ValueError:
        pass
    hint = ""
    if _DECIMAL_COMMA.fullmatch(text.strip()):
        hint = "; write decimals with a point"
    elif is_written_number(text):
        hint = "; write it with a decimal point alone, without a unit or signs between its digits"
    raise DataError(f"{where}: '{printable(text.strip(), 40)}' is not a number{hint}")


def is_number(text: str) -> bool:
    """Whether a field holds a number, not a missing one."""
    try:
        return "_" not in text and math.isfinite(float(text))
    except ValueError:
        return False


def is_written_number(text: str) -> bool:
    """Whether a field is one that a person would call a number: also with a decimal comma, signs between its digits, or a unit."""
    return is_number(text) or _WRITTEN.fullmatch(text.strip()) is not None


def is_missing(text: str) -> bool:
    """Whether a field says that there is no value: empty, NA, NaN, null, none or `?`."""
    return text.strip().lower() in ("", "na", "nan", "null", "none", "?")


@contextmanager
def open_archive(path: Path) -> Iterator[Mapping[str, bytes]]:
    """The members of a .tar, .tar.gz or .zip file by their names; each is unpacked when it is asked for, in memory.

    Raises:
        DataError: not such a file, or damaged; the latter also when a member is asked for.
    """
    with _only_whole(path):
        is_zip = zipfile.is_zipfile(path)
        members: _Zip | _Tar = _Zip(path) if is_zip else _Tar(path)
    with members:
        yield members


@contextmanager
def _only_whole(path: Path) -> Iterator[None]:
    """Turns what an archive's library raises into one line; nothing else may run inside."""
    try:
        yield
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile) as error:
        # tarfile lists in further lines what else it tried.
        reason = str(error).split("\n", 1)[0].rstrip(":")
        raise DataError(f"{path}: not a whole archive ({reason}); fetch or copy it again") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error
    except RuntimeError as error:  # encrypted, or packed in a way that is not known
        raise DataError(f"{path}: cannot be unpacked ({error}); pack it again without a password") from error


class _Zip(Mapping[str, bytes], AbstractContextManager[None]):
    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = zipfile.ZipFile(path)
        self._names = [item.filename for item in self._file.infolist() if not item.is_dir()]

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def __getitem__(self, name: str) -> bytes:
        if self._file.getinfo(name).file_size > MAX_BYTES:
            raise DataError(f"{self._path}: {printable(name)} is larger than {MAX_BYTES >> 30} GiB")
        with _only_whole(self._path):
            return self._file.read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _Tar(Mapping[str, bytes], AbstractContextManager[None]):
    """Read once from front to back, since a compressed archive cannot be read in another order."""

    def __init__(self, path: Path) -> None:
        self._content: dict[str, bytes] = {}
        size_bytes = 0
        with tarfile.open(path) as tar:
            for member in tar:
                if member.isfile():
                    file = tar.extractfile(member)
                    assert file is not None, "a regular file"
                    size_bytes += member.size
                    if size_bytes > MAX_BYTES:
                        raise DataError(f"{path}: unpacks to more than {MAX_BYTES >> 30} GiB, at {printable(member.name)}")
                    self._content[member.name.removeprefix("./")] = file.read()
        # A compressed archive that is cut is noticed when it is unpacked; tarfile takes the end of a plain one for its end.
        if path.suffix == ".tar" and any(_last_bytes(path, _TAR_BLOCK)):
            raise tarfile.ReadError("its end is missing")

    def __exit__(self, *_: object) -> None:
        self._content.clear()

    def __getitem__(self, name: str) -> bytes:
        return self._content[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)


def _last_bytes(path: Path, count: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(max(0, path.stat().st_size - count))
        return stream.read()


def _json_row(line: str, where: str) -> dict[str, str]:
    try:
        row: Any = json.loads(line, object_pairs_hook=partial(_unique, where=where))
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error.msg} at character {error.pos + 1})") from error
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, or brackets within brackets without end
        raise DataError(f"{where}: not JSON that can be read ({printable(str(error))})") from error
    if not isinstance(row, dict):
        raise DataError(f'{where}: not an object, e.g. {{"text": "...", "label": "..."}}')
    return {name: value if isinstance(value, str) else "" if value is None else json.dumps(value) for name, value in row.items()}


def _unique(pairs: list[tuple[str, Any]], where: str) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{where}: '{printable(twice)}' is there twice")
    return found


def _csv_rows(path: Path, text: str, delimiter: str | None) -> Iterator[dict[str, str]]:
    head = next(line for line in text.split("\n") if line.strip())
    delimiter = delimiter or max(",;\t", key=_QUOTED.sub("", head).count)
    start = 1
    # Fields may be texts: the library's limit of 131072 characters is too low for a review.
    before = csv.field_size_limit(2**31 - 1)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        columns = [name.strip() for name in next(fields for fields in reader if any(field.strip() for field in fields))]
        for name in columns:
            if columns.count(name) > 1:
                raise DataError(f"{path}:1: two columns are called '{printable(name)}'")
        blank, start = 0, reader.line_num + 1
        for fields in reader:
            if delimiter == "\t" and any("\t" in field and "\n" in field for field in fields):
                # Tables with tabs are often written without any quoting, and then a mark at the start of a field swallows rows.
                raise DataError(
                    f"{path}:{start}: a quotation mark opens a field that ends in line {reader.line_num}, rows behind; {_QUOTING}"
                )
            start = reader.line_num + 1
            if not fields:
                blank += 1
                continue
            if len(fields) != len(columns):
                raise DataError(f"{path}:{reader.line_num}: {len(fields)} fields, but {len(columns)} columns: {', '.join(columns)}")
            if len(columns) == 1:
                # Between rows of a single column an empty line is a row without a value.
                yield from ({columns[0]: ""} for _ in range(blank))
            blank = 0
            yield dict(zip(columns, fields, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}:{start}: not a table ({error}); {_QUOTING}") from error
    finally:
        csv.field_size_limit(before)
