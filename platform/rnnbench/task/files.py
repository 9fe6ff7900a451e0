"""Reading people's files: text, tables and archives; what cannot be used is one line with file and row."""

import csv
import gzip
import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable, suggest

# A member of an archive that unpacks to more is not data of ours.
MAX_BYTES = 4 * 2**30


def read_bytes(path: Path) -> bytes:
    """A whole file, unpacked where its name ends in .gz.

    Raises:
        DataError: it cannot be read, or is no whole gzip file.
    """
    try:
        if path.suffix != ".gz":
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
        row = content[: error.start].count(b"\n") + 1
        raise DataError(f"{where}:{row}: not UTF-8 (byte 0x{content[error.start]:02x}); save the file as UTF-8") from error
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
    name = path.name.removesuffix(".gz")
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
    text = text.strip()
    if text.lower() in ("", "na", "nan", "null", "none", "?"):
        return float("nan")
    try:
        return float(text)
    except ValueError as error:
        raise DataError(f"{where}: '{printable(text, 40)}' is not a number") from error


@contextmanager
def open_archive(path: Path) -> Iterator[Mapping[str, bytes]]:
    """The members of a .tar, .tar.gz or .zip file by their names; each is unpacked when it is asked for, in memory.

    Raises:
        DataError: not such a file, or damaged.
    """
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as file:
                yield _Zip(file)
        else:
            with tarfile.open(path) as tar:
                yield _Tar(tar)
    except (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error) as error:
        raise DataError(f"{path}: not a whole archive ({error}); fetch or copy it again") from error
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}") from error


class _Zip(Mapping[str, bytes]):
    def __init__(self, file: zipfile.ZipFile) -> None:
        self._file = file
        self._names = [item.filename for item in file.infolist() if not item.is_dir()]

    def __getitem__(self, name: str) -> bytes:
        if self._file.getinfo(name).file_size > MAX_BYTES:
            raise DataError(f"{self._file.filename}: {printable(name)} is larger than {MAX_BYTES >> 30} GiB")
        return self._file.read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _Tar(Mapping[str, bytes]):
    """Read once from front to back, since a compressed archive cannot be read in another order."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._content: dict[str, bytes] = {}
        for member in tar:
            if member.isfile():
                file = tar.extractfile(member)
                assert file is not None, "a regular file"
                if member.size > MAX_BYTES:
                    raise DataError(f"{tar.name!r}: {printable(member.name)} is larger than {MAX_BYTES >> 30} GiB")
                self._content[member.name.removeprefix("./")] = file.read()

    def __getitem__(self, name: str) -> bytes:
        return self._content[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._content)

    def __len__(self) -> int:
        return len(self._content)


def _json_row(line: str, where: str) -> dict[str, str]:
    try:
        row: Any = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{where}: not JSON ({error.msg} at character {error.pos + 1})") from error
    if not isinstance(row, dict):
        raise DataError(f'{where}: not an object, e.g. {{"text": "...", "label": "..."}}')
    return {name: value if isinstance(value, str) else "" if value is None else json.dumps(value) for name, value in row.items()}


def _csv_rows(path: Path, text: str, delimiter: str | None) -> Iterator[dict[str, str]]:
    head = text.split("\n", 1)[0]
    delimiter = delimiter or max(",;\t", key=head.count)
    # Fields may be texts: the library's limit of 131072 characters is too low for a review.
    before = csv.field_size_limit(2**31 - 1)
    try:
        reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        columns = [name.strip() for name in next(reader)]
        for name in columns:
            if columns.count(name) > 1:
                raise DataError(f"{path}:1: two columns are called '{printable(name)}'")
        for fields in reader:
            if not fields:
                continue
            if len(fields) != len(columns):
                raise DataError(f"{path}:{reader.line_num}: {len(fields)} fields, but {len(columns)} columns: {', '.join(columns)}")
            yield dict(zip(columns, fields, strict=True))
    except csv.Error as error:
        raise DataError(f"{path}:{reader.line_num}: not a table ({error})") from error
    finally:
        csv.field_size_limit(before)
