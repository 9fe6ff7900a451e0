"""One file over HTTP: asked for again where that may help, gone on with where it was cut, refused where it is another. No torch."""

import re
import shutil
import time
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

import requests

from rnnbench.base.errors import DataError
from rnnbench.task.cards import DataFile
from rnnbench.task.part import Part
from rnnbench.task.ranges import ask_for_rest, is_rest, validators_of

# What is read at once is lost where the connection ends within it.
CHUNK_BYTES = 1 << 14
# So much more of a file is worth another full round of tries.
PROGRESS_BYTES = 1 << 20
MAX_REDIRECTS = 10
MAX_PAUSE_S = 60.0
# A file of unknown size is cut off here, for some servers never end; one without a checksum may have grown to twice what it was.
MAX_BYTES, MAX_GROWTH = 64 * 2**30, 2
_PASSING = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS)
_USABLE = (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE)


@dataclass(frozen=True)
class Patience:
    """How long a server may take to connect and may be silent, and how often it is asked; the pause doubles from try to try."""

    connect_s: float = 20.0
    silent_s: float = 60.0
    tries: int = 4
    pause_s: float = 1.0


class Watcher(Protocol):
    """Somebody who sees how it goes."""

    def start(self, name: str, done_bytes: int, size_bytes: int | None) -> None:
        """A file comes, so much of it is here; again for each try."""

    def advance(self, num_bytes: int) -> None:
        """So much more of it is here."""

    def say(self, words: str) -> None:
        """Something worth a line."""


class _PassingError(Exception):
    """What may be gone at the next try; `pause_s` is the server's own wish."""

    def __init__(self, words: str, pause_s: float = 0.0) -> None:
        super().__init__(words)
        self.pause_s = pause_s


def download(file: DataFile, part: Part, watcher: Watcher, patience: Patience) -> bool:
    """Brings the part of a file to the whole of it; its checksum is not looked at.

    Returns:
        Whether it was put together from several answers, so that it could be no file at all.
    Raises:
        DataError: it cannot be had, or is not what the card says; what has come is kept where it may be of use.
    """
    furthest, failures = part.size_bytes, 0
    with requests.Session() as session:
        session.max_redirects = MAX_REDIRECTS
        # Bytes as they are: a range of a file that was packed for the way means nothing.
        session.headers.update({"User-Agent": "rnnbench", "Accept-Encoding": "identity"})
        while True:
            try:
                return _receive(session, file, part, watcher, patience)
            except _PassingError as error:
                size = part.size_bytes
                failures = 0 if size >= furthest + PROGRESS_BYTES else failures + 1
                furthest = max(furthest, size)
                if failures >= patience.tries:
                    raise DataError(f"{file.url}: {error}; tried {patience.tries} times. {_what_now(part)}") from error
                pause_s = min(MAX_PAUSE_S, max(error.pause_s, patience.pause_s * 2 ** max(0, failures - 1)))
                watcher.say(f"{file.path}: {error}; trying again in {pause_s:.3g} s")
                time.sleep(pause_s)
            except requests.TooManyRedirects as error:
                raise DataError(f"{file.url}: leads on and on (more than {MAX_REDIRECTS} redirects)") from error
            except requests.exceptions.InvalidSchema as error:
                raise DataError(f"{file.url}: leads to an address that is neither http nor https") from error
            except requests.exceptions.SSLError as error:
                hint = "behind a proxy with a certificate of its own, set REQUESTS_CA_BUNDLE"
                raise DataError(f"{file.url}: {_reason(error, patience)}; {hint}") from error
            except requests.RequestException as error:
                raise DataError(f"{file.url}: {_reason(error, patience)}") from error


def _receive(session: requests.Session, file: DataFile, part: Part, watcher: Watcher, patience: Patience) -> bool:
    """One request and all of its answer; whether the part was gone on with."""
    offset, record = part.size_bytes, part.description(file.url)
    if offset and offset == record.get("size_bytes"):
        return True  # it was cut between its last byte and its checksum
    headers = ask_for_rest(file, offset, record)
    try:
        with session.get(file.url, headers=headers, stream=True, timeout=(patience.connect_s, patience.silent_s)) as answer:
            _require_answer(answer, file)
            goes_on = bool(headers) and is_rest(answer, offset, record)
            if not goes_on:
                part.forget()
            if answer.status_code != HTTPStatus.OK and not goes_on:
                raise _PassingError("the part that is here does not fit the file that is there")
            if offset and not goes_on:
                watcher.say(f"{file.path}: starts from the beginning (the server cannot go on, or has another file now)")
            offset = part.size_bytes
            size_bytes = _announced(answer, file, offset)
            _require_room(file, part, offset, size_bytes)
            if not goes_on and "Content-Encoding" not in answer.raw.headers:
                part.describe(file.url, {"size_bytes": size_bytes, **validators_of(answer)})
            watcher.start(file.path, offset, size_bytes or file.size_bytes)
            _append(answer, file, part, watcher)
    except requests.exceptions.SSLError as error:
        if "CERTIFICATE_VERIFY_FAILED" in str(error):
            raise
        raise _PassingError(_reason(error, patience)) from error
    except (requests.ConnectionError, requests.Timeout, requests.exceptions.ChunkedEncodingError) as error:
        raise _PassingError(_reason(error, patience)) from error
    return goes_on


def _require_answer(answer: requests.Response, file: DataFile) -> None:
    status = answer.status_code
    words = f"HTTP {status} ({answer.reason or 'no reason given'})"
    if status in _PASSING or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        wish = answer.headers.get("Retry-After", "")
        raise _PassingError(words, float(wish) if re.fullmatch(r"\d{1,6}", wish) else 0.0)
    if status not in _USABLE:
        raise DataError(f"{file.url}: {words}")
    if file.sha256 is not None:
        return
    # Without a checksum nothing else would notice.
    if file.url.startswith("https:") and not answer.url.startswith("https:"):
        raise DataError(
            f"{file.url}: leads to an address that is not https, and the file has no checksum that would show a change on the way"
        )
    kind = answer.headers.get("Content-Type", "")
    if kind.startswith("text/html") and not file.path.endswith((".html", ".htm")):
        raise DataError(f"{file.url}: the server answers with a web page, not with the file (it may ask for a login, or for consent)")


def _announced(answer: requests.Response, file: DataFile, offset: int) -> int | None:
    """The size of the whole file by the answer; None: it does not say."""
    if answer.headers.get("Content-Encoding", "identity") != "identity":
        if not urlsplit(file.url).path.endswith((".gz", ".tgz")):
            return None  # packed against our wish: unpacked on arrival, to a size that nobody told
        # A .gz file that a server believes to be packed for the way: its bytes are the file's own.
        answer.raw.headers.pop("Content-Encoding", None)
    length = answer.headers.get("Content-Length", "")
    size_bytes = offset + int(length) if length.isdecimal() else None
    if size_bytes is not None and file.sha256 is not None and file.size_bytes not in (None, size_bytes):
        raise DataError(f"{file.url}: the server has {size_bytes} bytes, the published file {file.size_bytes}; it has been replaced")
    return size_bytes


def _require_room(file: DataFile, part: Part, offset: int, size_bytes: int | None) -> None:
    needed = (size_bytes or file.size_bytes or 0) - offset
    folder = part.target.parent
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise DataError(
            f"no room for {file.path}: it needs {needed / 1e6:.1f} MB more, and {folder} has {free / 1e6:.1f} MB; "
            "free some, or set RNNBENCH_DATA to a folder with room"
        )


def _append(answer: requests.Response, file: DataFile, part: Part, watcher: Watcher) -> None:
    size, most = part.size_bytes, MAX_BYTES
    if file.size_bytes is not None:
        most = file.size_bytes if file.sha256 else MAX_GROWTH * file.size_bytes
    try:
        for chunk in answer.iter_content(CHUNK_BYTES):
            size += len(chunk)
            if size > most:
                part.forget()
                raise DataError(f"{file.url}: sends more than the {most} bytes that the file may have; nothing of it is kept")
            part.stream.write(chunk)
            watcher.advance(len(chunk))
    finally:
        part.settle()


def _what_now(part: Part) -> str:
    if size := part.size_bytes:
        return f"{size} bytes of it are kept: the same command goes on from there"
    return f"Without a network, copy the file to {part.target} by hand"


def _reason(error: BaseException, patience: Patience) -> str:
    """The innermost words: what the system said is wrapped several times."""
    seen = [error]
    while (inner := seen[-1].__cause__ or seen[-1].__context__) is not None and inner not in seen:
        seen.append(inner)
    if any(isinstance(one, TimeoutError) for one in seen):
        return f"no answer within {patience.silent_s:g} s"
    said = [one.strerror for one in seen if isinstance(one, OSError) and one.strerror]
    if isinstance(error, requests.exceptions.ChunkedEncodingError):
        return f"the connection was cut{f' ({said[-1]})' if said else ''}"
    if isinstance(error, requests.ConnectionError):
        return f"no connection ({said[-1] if said else 'the server ended it'})"
    return said[-1] if said else " ".join(str(error).split())
