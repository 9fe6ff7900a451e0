"""Where checkpoints and trained models are kept: in the folders that trials work in, or in an S3 store that every machine reaches."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs, urlsplit

from rnnbench.base.errors import InputError
from rnnbench.base.names import printable
from rnnbench.base.secrets import redact

SCHEME = "s3"
FORM = "s3://BUCKET/PREFIX, with ?endpoint_override=http://HOST:PORT and &region=NAME where the environment does not say them"
# Begins the name of a copy, on this machine, of a file that a store keeps.
COPY = "kept."
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "MLFLOW_S3_ENDPOINT_URL")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


class Store(Protocol):
    """Keeps files of trials, each whole or not at all. A file is named by its place in its trial's folder on this machine.

    Every method may raise StoreError: the store does not answer, or refuses.
    """

    def put(self, file: Path, before: Path | None = None) -> None:
        """Keeps a file that has just been written.

        Args:
            before: Under this name the one that it replaces is kept.
        """

    def get(self, file: Path) -> Path | None:
        """Where a file that is kept can be read on this machine; None: it is not kept."""

    def sizes(self, files: list[Path]) -> dict[Path, int]:
        """Bytes of those of the files that are kept, or lie on this machine."""

    def list_all(self, folder: Path) -> dict[Path, int]:
        """Bytes of every file that is kept, and of what lies on this machine beside it, by its place below the folder of all trials."""

    def delete(self, *files: Path) -> None:
        """Removes files, where they are kept and on this machine; those that are not there count as removed."""

    def where(self, file: Path) -> str:
        """Where a file is kept, for people."""

    def check(self) -> None:
        """Tries whether files can be kept."""


class FolderStore:
    """Files are kept where trials write them: every machine that works on a sweep sees that folder."""

    def put(self, file: Path, before: Path | None = None) -> None:
        """See Store: it is there."""

    def get(self, file: Path) -> Path | None:
        """See Store."""
        return file if file.is_file() else None

    def sizes(self, files: list[Path]) -> dict[Path, int]:
        """See Store."""
        found = {}
        for file in files:
            try:
                found[file] = file.stat().st_size
            except FileNotFoundError:
                continue
        return found

    def list_all(self, folder: Path) -> dict[Path, int]:
        """See Store."""
        return self.sizes([file for file in folder.glob("*/*/*") if file.is_file()])

    def delete(self, *files: Path) -> None:
        """See Store."""
        for file in files:
            file.unlink(missing_ok=True)

    def where(self, file: Path) -> str:
        """See Store."""
        return str(file)

    def check(self) -> None:
        """See Store: whoever opens a results folder has tried."""


@dataclass(frozen=True)
class Address:
    """An S3 store, as `--checkpoints` names it.

    Attributes:
        base: Bucket and prefix.
        endpoint: Of a store that is not Amazon's; None: Amazon's.
    """

    base: str
    endpoint: str | None
    region: str | None

    @classmethod
    def parse(cls, text: str, environ: Mapping[str, str]) -> "Address":
        """What an address says, else the environment.

        Raises:
            InputError: it is none, or holds a key, which would stand in lists of processes, job files and logs.
        """
        shown = printable(redact(text.partition("?")[0], {}), 200)
        try:
            parts = urlsplit(text)
            given = parse_qs(parts.query, strict_parsing=bool(parts.query))
        except ValueError as error:
            raise InputError(f"--checkpoints is {shown!r}, must be {FORM}") from error
        if "@" in parts.netloc:
            raise InputError(
                f"--checkpoints {shown} holds a key: leave it out and set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or use ~/.aws/credentials"
            )
        if parts.scheme != SCHEME or not parts.netloc or parts.fragment or given.keys() - {"endpoint_override", "region"}:
            raise InputError(f"--checkpoints is {shown!r}, must be {FORM}")

        def first(name: str, variables: tuple[str, ...]) -> str | None:
            return next(iter(given.get(name, [])), None) or next((environ[each] for each in variables if environ.get(each)), None)

        endpoint = first("endpoint_override", _ENDPOINTS)
        # Without a region the library would ask a service of Amazon's machines, for seconds.
        region = first("region", _REGIONS) or ("us-east-1" if endpoint else None)
        return cls(f"{parts.netloc}{parts.path}".rstrip("/"), endpoint, region)


def open_store(address: str | None) -> Store:
    """The store at an address; None: the folders that trials work in.

    Raises:
        InputError: it is no such address.
    """
    return FolderStore() if address is None else _open(Address.parse(address, os.environ), address)


@cache
def _open(address: Address, shown: str) -> Store:
    from rnnbench.base.object_store import ObjectStore, connect

    return ObjectStore(connect(address), address.base, shown.partition("?")[0])
