"""What every test shares: one thread for torch, and where real data is."""

import os
import secrets
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import hypothesis
import pytest

from tests.postgresql import create_database, find_binaries, server

if TYPE_CHECKING:
    from tests.s3 import Server

# Read when torch is first imported, by the programs that tests start too: more threads than cores are the usual slowdown.
os.environ["OMP_NUM_THREADS"] = "1"

# A program that a shell starts in the background ignores Ctrl-C, and so would those that its tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)

# Tests do not time: by default an example that takes 200 ms, on a machine that does something else meanwhile, is a failure.
hypothesis.settings.register_profile("rnnbench", deadline=None)
hypothesis.settings.load_profile("rnnbench")


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--long`: the fault suite in full, see `make test-faults`."""
    parser.addoption("--long", action="store_true", help="run the fault suite in full: more kills, more trials")


@pytest.fixture(scope="session")
def long(pytestconfig: pytest.Config) -> bool:
    """Whether the fault suite runs in full."""
    return bool(pytestconfig.getoption("--long"))


ROOT = Path(__file__).resolve().parent.parent
ASKING = ROOT / "tests" / "integration" / "asking"


@pytest.fixture(scope="session")
def data_home() -> Path:
    """The folder of real data sets: $RNNBENCH_DATA, else ../shared/data beside the repository; without either the test is skipped."""
    named = os.environ.get("RNNBENCH_DATA")
    home = Path(named) if named else ROOT.parent / "shared" / "data"
    if not home.is_dir():
        pytest.skip(f"needs real data: {home} is not there, set RNNBENCH_DATA")
    return home.resolve()


@pytest.fixture(scope="module")
def asked_tasks() -> Iterator[None]:
    """Two tasks of another package whose models can be asked, for the tests of one module: asked_letters (lines), asked_series (files)."""
    from rnnbench.task.catalogue import forget_tasks

    forget_tasks()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ASKING))
        # For the processes that a test starts.
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(ASKING), os.environ.get("PYTHONPATH")])))
        yield
    forget_tasks()


@pytest.fixture(scope="session")
def postgresql_address() -> Iterator[str]:
    """A private PostgreSQL server for this test process, or a visible skip."""
    pytest.importorskip("psycopg", reason="needs psycopg: pip install 'rnnbench[postgresql]'")
    binaries = find_binaries()
    if binaries is None:
        pytest.skip("needs PostgreSQL's binaries: apt install postgresql")
    with server(binaries) as address:
        yield address


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of each kind that a ledger may live in."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'ledger.db'}"
    return create_database(request.getfixturevalue("postgresql_address"), f"t{secrets.token_hex(6)}")


@pytest.fixture(scope="session")
def s3_server() -> "Iterator[Server]":
    """An S3 store for this test process, or a visible skip."""
    pytest.importorskip("moto", reason="needs moto: pip install 'rnnbench[test]'")
    from tests.s3 import Server

    server = Server()
    yield server
    server.stop()


@pytest.fixture
def s3(s3_server: "Server", monkeypatch: pytest.MonkeyPatch) -> "Iterator[Server]":
    """The S3 store, empty and answering, named by the environment."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    for name, value in s3_server.environ.items():
        monkeypatch.setenv(name, value)
    s3_server.reset()
    yield s3_server
    s3_server.reset()
