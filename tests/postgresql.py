"""A private PostgreSQL server from this machine's binaries, on a socket in a temporary folder; ended by its own id."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def find_binaries() -> Path | None:
    """The folder of initdb and postgres: on the path, or where Debian puts them."""
    found = shutil.which("initdb")
    if found:
        return Path(found).parent
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return versions[-1].parent if versions else None


@contextmanager
def server(binaries: Path) -> Iterator[str]:
    """Runs a server; gives the address of its databases up to the name: append one."""
    # The server refuses to run as root.
    user = _other_user() if os.geteuid() == 0 else None
    folder = Path(tempfile.mkdtemp(prefix="rnnbench-pg-"))
    if user is not None:
        os.chown(folder, pwd.getpwnam(user).pw_uid, pwd.getpwnam(user).pw_gid)
    options = {"user": user, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "cwd": folder}
    initdb = [binaries / "initdb", "-D", folder / "data", "-A", "trust", "-U", "rnnbench", "-E", "UTF8", "--no-sync"]
    subprocess.run(initdb, check=True, **options)  # type: ignore[call-overload]
    settings = {"listen_addresses": "", "unix_socket_directories": str(folder), "fsync": "off", "max_connections": "60"}
    arguments = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    process = subprocess.Popen([binaries / "postgres", "-D", folder / "data", *arguments], **options)  # type: ignore[call-overload]
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if b"ready to accept connections" in line:
                break
        else:
            raise RuntimeError("the PostgreSQL server ended before it was ready")
        yield f"postgresql://rnnbench@/{{}}?host={folder}"
    finally:
        process.terminate()
        process.communicate(timeout=30)
        shutil.rmtree(folder, ignore_errors=True)


def create_database(address: str, name: str) -> str:
    """Creates an empty database and gives its address."""
    import psycopg

    with psycopg.connect(address.format("postgres"), autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"'.encode())
    return address.format(name)


def _other_user() -> str:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name).pw_name
        except KeyError:
            continue
    raise RuntimeError("no user to run PostgreSQL as")
