"""Sentence pairs from files: Multi30k, two columns of a table, or two aligned text files."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from rnnbench.base.errors import DataError
from rnnbench.base.names import listed, printable
from rnnbench.task.files import TABLES, get_column, kind_of, read_lines, read_table
from rnnbench.task.splits import SHARES, split_groups

# How the first letters of a part's name say its split.
_BEGINNINGS = {"train": "train", "val": "validation", "dev": "validation", "test": "test"}
_PLAIN = (".gz", ".txt")


@dataclass(frozen=True)
class Corpus:
    """Sentence pairs of every split.

    Attributes:
        splits: Pairs by split, in the order of the files.
        origin: How the splits were made, in words.
    """

    splits: Mapping[str, Sequence[tuple[str, str]]]
    origin: str


def read_multi30k(files: Mapping[str, Path], direction: str, test: str) -> Corpus:
    """The official splits.

    Args:
        direction: en-de or de-en.
        test: Year of the test set, 2016 or 2017.
    Raises:
        DataError: a file is damaged, or two files are not aligned.
    """
    source, target = direction.split("-")
    parts = {"train": "train", "validation": "val", "test": f"test_{test}_flickr"}
    missing = [name for part in parts.values() for side in (source, target) if (name := f"{part}.{side}.gz") not in files]
    if missing:
        raise DataError(f"data.test is {test}, but there is no {missing[0]} beside {next(iter(files.values()))}; fetch it, or use 2016")
    read = {split: read_aligned(files[f"{part}.{source}.gz"], files[f"{part}.{target}.gz"]) for split, part in parts.items()}
    return Corpus(read, f"official, test is {parts['test']}")


def read_own(files: Mapping[str, Path], source: str, target: str, seed: int) -> Corpus:
    """A person's own pairs: tables with columns of these names, or pairs of text files that end in them.

    Splits are those that the files' names begin with (train, val or dev, test); what is missing is taken from the training pairs, or
    from all pairs where they are one part: a tenth for validation, a tenth for the test, all pairs of one source in one split.

    Args:
        source, target: `data.source_column` and `data.target_column`.
    Raises:
        DataError: files that do not fit together, or a pair that is half empty; the text names file and row.
    """
    parts = {part: read_aligned(*sides) for part, sides in _find_sides(files, source, target).items()}
    tables = {name: path for name, path in files.items() if kind_of(name).endswith(TABLES)}
    if not parts:
        parts = {_stem(name): _read_columns(path, source, target) for name, path in tables.items()}
    if not parts:
        raise DataError(
            f"{_folder(files)}: no two files of one name that end in .{source} and .{target} (such as train.{source} and train.{target}), "
            f"and no table with these columns; set data.source_column and data.target_column. Found: {', '.join(list(files)[:6])}"
        )
    if len(parts) == 1:
        whole, given = next(iter(parts.values())), {}
    else:
        given = _name_splits(parts)
        if "train" not in given:
            raise DataError(f"{_folder(files)} has no part for training: call its files train.{source} and train.{target}")
        whole = given["train"]
    missing = [name for name in SHARES if name != "train" and name not in given]
    if not missing:
        return Corpus(given, "as the files' names say")
    if (count := len({pair[0] for pair in whole})) < len(missing) + 1:
        raise DataError(f"{next(iter(files.values()))}: {count} different sources, too few for train, {', '.join(missing)}")
    shares = {"train": 1 - sum(SHARES[name] for name in missing), **{name: SHARES[name] for name in missing}}
    rows = split_groups([pair[0] for pair in whole], shares, seed)
    made = {name: [whole[row] for row in index] for name, index in rows.items()}
    return Corpus({**given, **made}, f"{listed(missing)} drawn by data.seed, all pairs of one source in one split")


def read_aligned(source: Path, target: Path) -> list[tuple[str, str]]:
    """The pairs of two text files, line by line, without white space at their ends; where both lines are empty there is none.

    Raises:
        DataError: the files have different numbers of lines, or of two lines one is empty.
    """
    lines = read_lines(source), read_lines(target)
    if len(lines[0]) != len(lines[1]):
        raise DataError(
            f"{source} has {len(lines[0])} lines, but {target} has {len(lines[1])}; "
            "line n of one must be the translation of line n of the other"
        )
    return _pairs(lines[0], lines[1], [f"{target}:{number}" for number in range(1, len(lines[0]) + 1)])


def _read_columns(path: Path, source: str, target: str) -> list[tuple[str, str]]:
    rows = read_table(path)
    columns = get_column(rows, source, path, "data.source_column"), get_column(rows, target, path, "data.target_column")
    return _pairs(columns[0], columns[1], [f"{path}, row {number}" for number in range(1, len(rows) + 1)])


def _pairs(sources: Sequence[str], targets: Sequence[str], places: Sequence[str]) -> list[tuple[str, str]]:
    found = []
    for source, target, place in zip(sources, targets, places, strict=True):
        # A line end within a field of a table is white space to a translator.
        source, target = " ".join(source.split("\n")).strip(), " ".join(target.split("\n")).strip()
        if bool(source) != bool(target):
            empty, other = ("target", source) if source else ("source", target)
            raise DataError(f"{place}: the {empty} of '{printable(other, 40)}' is empty; fill it in or take out both")
        if source:
            found.append((source, target))
    return found


def _find_sides(files: Mapping[str, Path], source: str, target: str) -> dict[str, tuple[Path, Path]]:
    """The two files of each part: train.en and train.de are part `train`, source.txt and target.txt part ``."""
    sides: dict[str, dict[str, Path]] = {}
    for name, path in files.items():
        while name.lower().endswith(_PLAIN):
            name = str(PurePosixPath(name).with_suffix(""))
        part, _, side = name.replace("/", ".").rpartition(".")
        if side in (source, target):
            if side in sides.setdefault(part, {}):
                raise DataError(f"{path} and {sides[part][side]} are the same part; keep one of them")
            sides[part][side] = path
    for found in sides.values():
        for side, other in ((source, target), (target, source)):
            if other not in found:
                raise DataError(
                    f"{found[side]} has no file beside it that ends in .{other}; data.source_column and data.target_column name the endings"
                )
    return {part: (found[source], found[target]) for part, found in sides.items()}


def _name_splits(parts: Mapping[str, list[tuple[str, str]]]) -> dict[str, list[tuple[str, str]]]:
    named: dict[str, str] = {}
    for part in parts:
        last = part.rpartition(".")[2].lower()
        split = next((split for beginning, split in _BEGINNINGS.items() if last.startswith(beginning)), None)
        if split is None:
            raise DataError(
                f"part '{printable(part)}' of {', '.join(map(printable, parts))}: its name must begin with train, val, dev or test"
            )
        if split in named.values():
            raise DataError(f"two parts for {split}: {', '.join(map(printable, parts))}; keep one of them")
        named[part] = split
    return {split: parts[part] for part, split in named.items()}


def _stem(name: str) -> str:
    """The name of a table's part: its path without endings."""
    return name.removesuffix(".gz").rpartition(".")[0].replace("/", ".")


def _folder(files: Mapping[str, Path]) -> Path:
    return next(iter(files.values())).parent
