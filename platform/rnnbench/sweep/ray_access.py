"""Who may use a Ray, and what this machine needs for one of its own. No ray here."""

import atexit
import functools
import os
import secrets
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from rnnbench.base.errors import InputError
from rnnbench.base.names import printable

# Linux's limit for the path of a socket, and what Ray puts behind the temporary folder.
MAX_SOCKET_PATH = 107
_SOCKET_TAIL = len("/ray/session_2026-01-01_00-00-00_000000_0000000/sockets/plasma_store")


def check_machine(address: str) -> None:
    """Refuses what a private Ray would fail on later and with more words.

    Raises:
        InputError: a folder that it needs cannot be written, or its path is too long.
    """
    shared = Path("/dev") / "shm"
    if address != "local":
        return
    if shared.is_dir() and not os.access(shared, os.W_OK):
        raise InputError(f"{shared} cannot be written, Ray keeps its objects there; make it writable, or say --executor inline")
    folder = os.environ.get("RAY_TMPDIR") or os.environ.get("TMPDIR") or tempfile.gettempdir()
    if len(os.fsencode(folder)) > MAX_SOCKET_PATH - _SOCKET_TAIL:
        raise InputError(
            f"the temporary folder {printable(folder, 60)} is too long a path for Ray's sockets "
            f"(at most {MAX_SOCKET_PATH - _SOCKET_TAIL} bytes); set RAY_TMPDIR=/tmp"
        )


def secure(address: str, *, insecure: bool) -> None:
    """Sees to it that only who holds a token can run programs on the Ray that is used.

    Raises:
        InputError: it asks for none, or nobody here has one, and `insecure` was not said.
    """
    mode = os.environ.get("RAY_AUTH_MODE", "")
    if mode.lower() == "disabled" and not insecure:
        raise InputError("RAY_AUTH_MODE=disabled lets whoever reaches this Ray run programs on it; unset it, or say --insecure")
    if mode or insecure or has_token(os.environ):
        return
    if address != "local":
        raise InputError(
            f"no token for the Ray at {address} (RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH or ~/.ray/auth_token); "
            "copy the cluster's, or, if it asks for none, say --insecure"
        )
    os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(_own_token())}


def has_token(environ: Mapping[str, str]) -> bool:
    """Whether there is a token for a Ray that is already running."""
    if environ.get("RAY_AUTH_TOKEN") or environ.get("RAY_AUTH_TOKEN_PATH"):
        return True
    try:
        return (Path.home() / ".ray" / "auth_token").exists()
    except RuntimeError:  # no HOME, and no entry for this user
        return False


@functools.cache
def _own_token() -> Path:
    """A token for the private Rays of this process, in a file that nobody else can read."""
    folder = Path(tempfile.mkdtemp(prefix="rnnbench-token-"))  # made for this user alone
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = folder / "token"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
        stream.write(secrets.token_hex(32))
    return path
