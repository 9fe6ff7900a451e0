"""Fetching the files of a data set from their public addresses into the data home, each there whole and checked or not at all. No torch."""

import logging
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pooch  # type: ignore[import-untyped]  # it comes without types

from rnnbench.base.errors import DataError
from rnnbench.base.files import is_disk_full
from rnnbench.task.cards import DataFile, TaskCard
from rnnbench.task.download import Patience, Watcher, download
from rnnbench.task.part import Part, hold_part
from rnnbench.task.sources import OWN, checksum, find_file, find_files, get_data_card, is_published


@dataclass(frozen=True)
class Fetched:
    """A file of a data set that is here now.

    Attributes:
        verdict: checked: its checksum is one of the card's; unchecked: the card has none; other: it was here before, and is not a
            published file (nobody's file is replaced, so it stays).
        is_new: Whether it was fetched just now.
    """

    file: DataFile
    path: Path
    sha256: str
    verdict: Literal["checked", "unchecked", "other"]
    is_new: bool


def fetch(card: TaskCard, data: str, home: Path, watcher: Watcher, patience: Patience | None = None) -> list[Fetched]:
    """Fetches what is missing of a data set; where all of it is here, in whatever form, nothing.

    Raises:
        UnknownNameError: the task has no such set.
        DataError: there is nothing to fetch, or it cannot be had: the text says why in one line. What was fetched before stays.
    """
    item = get_data_card(card, data)
    if data.startswith(OWN):
        raise DataError(f"'{data}' is your own: there is nothing to fetch")
    if item.embedded:
        raise DataError(f"data set '{data}' of task '{card.name}' is embedded: it needs no fetch")
    if (found := find_files(item, home)) is not None:
        return [_here(card, data, file, place, is_new=False) for file, place in found]
    if not item.files:
        raise DataError(f"data set '{data}' of task '{card.name}' is not published; see rnnbench data list for where its files go")
    return [_fetch_file(card, data, file, item.files, home, watcher, patience or Patience()) for file in item.files]


def list_fetchable(card: TaskCard) -> list[str]:
    """The data sets of a task that have something to fetch."""
    return [name for name, item in card.data.items() if any(file.url for file in item.files)]


def total_bytes(files: Sequence[DataFile]) -> int | None:
    """The size of some files together; None where the card does not know it of each."""
    sizes = [file.size_bytes for file in files]
    return sum(size for size in sizes if size is not None) if files and None not in sizes else None


def _fetch_file(
    card: TaskCard, data: str, file: DataFile, among: Sequence[DataFile], home: Path, watcher: Watcher, patience: Patience
) -> Fetched:
    place = find_file(file, among, home)
    if place is not None:
        return _here(card, data, file, place, is_new=False)
    target = home / file.path
    if not file.url:
        raise DataError(f"{file.path} is not published; put it into {target.parent} by hand")
    try:
        with hold_part(target, lambda: watcher.say(f"{file.path}: another process fetches it; waiting")) as part:
            is_new = not target.is_file()
            if is_new:
                _bring(file, part, watcher, patience)
    except OSError as error:
        raise _refused(error, file, target, home) from error
    if is_new and file.sha256 is not None:
        return Fetched(file, target, file.sha256, "checked", is_new=True)
    return _here(card, data, file, target, is_new=is_new)


def _bring(file: DataFile, part: Part, watcher: Watcher, patience: Patience) -> None:
    """Downloads and checks a file, then gives it its name.

    pooch compares the checksum and moves the file; it would download from the start each time, so that is done for it.
    """
    pooch.get_logger().setLevel(logging.WARNING)  # what it tells at INFO is told here, to whoever watches

    def give(_url: str, output_file: str, _pooch: object) -> None:
        # A second name and not a move: the part is ours, and locked, until its checksum was seen.
        Path(output_file).unlink()
        try:
            os.link(part.path, output_file)
        except OSError:  # a file system where a file has one name only
            shutil.copyfile(part.path, output_file)

    while True:
        pieced = download(file, part, watcher, patience)
        try:
            pooch.retrieve(file.url, file.sha256, fname=part.target.name, path=part.target.parent, downloader=give)
        except ValueError as error:  # pooch's way to say that the checksum is another
            found = checksum(part.path)
            part.forget()
            if not pieced:
                raise DataError(
                    f"{file.url}: wrong checksum: got sha256 {found}, expected {file.sha256}; what came was removed. "
                    "Its publisher has changed the file, or it was changed on the way"
                ) from error
            watcher.say(f"{file.path}: the parts are not of one file; once more from the beginning")
        else:
            return


def _here(card: TaskCard, data: str, file: DataFile, place: Path, *, is_new: bool) -> Fetched:
    verdict: Literal["checked", "unchecked", "other"] = "unchecked" if file.sha256 is None else "checked"
    return Fetched(file, place, checksum(place), verdict if is_published(card, data, file, place) else "other", is_new)


def _refused(error: OSError, file: DataFile, target: Path, home: Path) -> DataError:
    if is_disk_full(error):
        return DataError(f"no room left for {file.path} in {target.parent}; free some, then the same command goes on from where it was")
    reason = error.strerror or str(error)
    return DataError(f"the data home {home} cannot be written ({reason}); set RNNBENCH_DATA to a folder of your own")
