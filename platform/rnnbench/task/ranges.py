"""The rest of a file of which a part is here, if the server still has the same file (RFC 9110, sections 13.1.5 and 14). No torch."""

import re
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import requests

from rnnbench.task.cards import DataFile


def validators_of(answer: requests.Response) -> dict[str, str | None]:
    """What tells this file from another under its address; a weak etag does not, to the byte."""
    etag = answer.headers.get("ETag", "")
    return {"etag": etag if etag.startswith('"') else None, "last_modified": answer.headers.get("Last-Modified")}


def ask_for_rest(file: DataFile, offset: int, record: Mapping[str, Any]) -> dict[str, str]:
    """Headers that ask for what comes after `offset` bytes; none where only the whole file is safe.

    Args:
        record: The size and validators that the file had when the part came; empty where they are not known.
    """
    validator = record.get("etag") or record.get("last_modified")
    if not offset or not record or not (validator or file.sha256):
        return {}
    return {"Range": f"bytes={offset}-", **({"If-Range": validator} if validator else {})}


def is_rest(answer: requests.Response, offset: int, record: Mapping[str, Any]) -> bool:
    """Whether an answer is the rest of the file that the part is a part of; not every server heeds If-Range."""
    if answer.status_code != HTTPStatus.PARTIAL_CONTENT:
        return False
    span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", answer.headers.get("Content-Range", ""))
    if span is None or int(span[1]) != offset:
        return False
    known = record.get("size_bytes")
    same_size = known is None or span[2] == "*" or int(span[2]) == known
    now = validators_of(answer)
    return same_size and all(now[name] is None or record.get(name) in (None, now[name]) for name in now)
