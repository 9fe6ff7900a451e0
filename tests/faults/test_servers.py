"""Tracking servers that are down or misbehave, and servers of ours that must not be open."""

import contextlib
import json
import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnbench.base.errors import InputError
from rnnbench.cli.services import MLFLOW_ENVIRONMENT
from rnnbench.ledger.records import Status
from rnnbench.sweep import ray_access
from tests.faults import harness
from tests.faults.harness import SMALL, environment, open_ledger, result, run, start
from tests.faults.tracking import misbehaving


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return harness.undisturbed(tmp_path_factory, "small", SMALL)


def finished_runs(database: Path) -> list[int]:
    """How many finished runs each trial has in MLflow's database."""
    with contextlib.closing(sqlite3.connect(database)) as connection:
        rows = connection.execute(
            "SELECT COUNT(*) FROM tags JOIN runs USING (run_uuid) WHERE key = 'rnnbench.key' AND value != 'rnnbench.parent' "
            "AND runs.status = 'FINISHED' GROUP BY value"
        )
        return [count for (count,) in rows]


@pytest.mark.parametrize("how", ["refused", "hang", *(pytest.param(how, marks=pytest.mark.slow) for how in ("500", "403", "garbage"))])
def test_fault_18_a_tracking_server_that_misbehaves_harms_no_trial(how: str, tmp_path: Path, undisturbed: bytes) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    with misbehaving(how) as address:
        done = run(tmp_path, "sweep", "small.yaml", "--executor", "inline", "--tracking-uri", address)
    assert "the results are safe" in done.stderr
    assert "rnnbench sync" in done.stderr
    assert "Traceback" not in done.stderr
    assert result(tmp_path, "small") == undisturbed
    assert (tmp_path / "runs" / "reports" / "small" / "report.html").exists(), "the ledger alone suffices for the report"
    with open_ledger(tmp_path) as ledger:
        assert {trial.status for trial in ledger.trials("small")} == {Status.COMPLETED}
        assert ledger.outbox.size() == 8  # the plan, six trials, the end
    assert run(tmp_path, "sync").stdout.startswith("8 events delivered")
    assert run(tmp_path, "sync").stdout.startswith("0 events delivered")
    assert finished_runs(tmp_path / "runs" / "mlflow.db") == [1] * 6


@contextlib.contextmanager
def mlflow_server(folder: Path, port: int, artifacts: str = "--default-artifact-root") -> Iterator[subprocess.Popen[bytes]]:
    """A real tracking server on a database in that folder; its option for artifacts says whether clients write them themselves."""
    command = [sys.executable, "-m", "mlflow", "server", "--backend-store-uri", f"sqlite:///{folder / 'server.db'}"]
    command += [artifacts, str(folder / "artifacts"), "--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    process = subprocess.Popen(
        command, cwd=folder, env=environment(MLFLOW_ENVIRONMENT),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
    )  # fmt: skip
    try:
        wait_for_port(port, process)
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def wait_for_port(port: int, process: subprocess.Popen[bytes] | subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert process.poll() is None, "the server ended"
        with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            if answer.status == 200:
                return
        time.sleep(0.2)
    raise AssertionError("the server did not come up")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.slow
def test_fault_18_a_tracking_server_that_dies_half_way_gets_each_trial_once(tmp_path: Path, undisturbed: bytes) -> None:
    (tmp_path / "small.yaml").write_text(SMALL.replace("max_epochs: 2", "max_epochs: 25"))
    port = free_port()
    uri = ("--tracking-uri", f"http://127.0.0.1:{port}")
    with mlflow_server(tmp_path, port):
        driver = start(tmp_path, "sweep", "small.yaml", "--executor", "inline", *uri)
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and driver.poll() is None:
            with contextlib.suppress(sqlite3.Error):
                if finished_runs(tmp_path / "server.db"):
                    break
            time.sleep(0.05)
    _, words = driver.communicate(timeout=200)
    assert driver.returncode == 0, words
    with open_ledger(tmp_path) as ledger:
        assert {trial.status for trial in ledger.trials("small")} == {Status.COMPLETED}
    with mlflow_server(tmp_path, port):
        run(tmp_path, "sync", *uri)
        run(tmp_path, "sync", *uri)
    assert finished_runs(tmp_path / "server.db") == [1] * 6


CONNECT = """
import sys, ray
ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
print("connected", len(ray.nodes()))
"""
HOLD = """
import os, sys, time
from rnnbench.sweep import ray_access
ray_access.secure("local", insecure=False)
import ray
ray.init(address="local", num_cpus=1, log_to_driver=False, logging_level="ERROR")
print(os.environ["RAY_AUTH_TOKEN_PATH"], ray.get_runtime_context().gcs_address, flush=True)
sys.stdin.read()
"""


@pytest.mark.slow
def test_fault_23_a_local_cluster_refuses_who_has_no_token(tmp_path: Path) -> None:
    clean = {"HOME": str(tmp_path)}
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD], env=environment(clean), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        token, address = holder.stdout.readline().split()
        assert stat.S_IMODE(Path(token).stat().st_mode) == 0o600
        assert stat.S_IMODE(Path(token).parent.stat().st_mode) == 0o700

        def connect(**extra: str) -> subprocess.CompletedProcess[str]:
            return subprocess.run(
                [sys.executable, "-c", CONNECT, address], env=environment({**clean, **extra}), capture_output=True, text=True,
                timeout=120, check=False,
            )  # fmt: skip

        assert connect(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=token).stdout.startswith("connected 1")
        assert connect().returncode != 0
        assert connect(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="f" * 64).returncode != 0
    finally:
        holder.communicate("", timeout=60)
    assert not Path(token).exists(), "the token outlived its cluster"


def test_fault_23_an_open_ray_needs_insecure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match="no token for the Ray at 10"):
        ray_access.secure("10.0.0.1:6379", insecure=False)
    ray_access.secure("10.0.0.1:6379", insecure=True)
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    with pytest.raises(InputError, match="--insecure"):
        ray_access.secure("local", insecure=False)
    ray_access.secure("local", insecure=True)
    monkeypatch.delenv("RAY_AUTH_MODE")
    monkeypatch.setenv("RAY_AUTH_TOKEN", "x")
    ray_access.secure("10.0.0.1:6379", insecure=False)
    assert "RAY_AUTH_TOKEN_PATH" not in os.environ


def ask(url: str, method: str = "GET", body: bytes | None = None, **headers: str) -> int:
    request = urllib.request.Request(
        url, data=body, method=method, headers={name.replace("_", "-"): value for name, value in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.slow
def test_fault_24_the_mlflow_page_answers_this_machine_alone(tmp_path: Path) -> None:
    (tmp_path / "small.yaml").write_text(SMALL)
    run(tmp_path, "sweep", "small.yaml", "--executor", "inline", tracking=True)
    port = free_port()
    server = start(tmp_path, "ui", "--port", str(port))
    try:
        wait_for_port(port, server)
        here = f"http://127.0.0.1:{port}"
        search = f"{here}/api/2.0/mlflow/experiments/search?max_results=10"
        assert ask(search) == 200
        assert ask(search, Host="evil.example.com") == 403
        create = f"{here}/api/2.0/mlflow/experiments/create"
        assert ask(create, "POST", b'{"name": "x"}', Content_Type="application/json", Origin="http://evil.example.com") == 403
        assert ask(f"{here}/get-artifact?run_uuid=0&path=../../../../etc/passwd") in (400, 404)
        assert ask(f"{here}/api/2.0/mlflow-artifacts/artifacts/..%2f..%2f..%2fetc%2fpasswd") in (400, 404, 501, 503)
        others = {line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[3] == "0A"}
        bound = {address for address in others if int(address.split(":")[1], 16) == port}
        assert bound == {f"0100007F:{port:04X}"}, "bound beyond loopback"
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    with pytest.raises(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), timeout=2):
        pass


@pytest.mark.slow
def test_fault_24_with_authentication_a_stranger_is_sent_away(tmp_path: Path) -> None:
    import base64

    (tmp_path / "small.yaml").write_text(SMALL)
    run(tmp_path, "sweep", "small.yaml", "--executor", "inline", tracking=True)
    refused = run(tmp_path, "ui", "--host", "0.0.0.0", code=2)
    assert "add --auth" in refused.stderr
    assert "MLFLOW_AUTH_ADMIN_PASSWORD" in run(tmp_path, "ui", "--auth", code=2).stderr
    port, password = free_port(), "correct horse battery"
    server = start(tmp_path, "ui", "--auth", "--port", str(port), extra={"MLFLOW_AUTH_ADMIN_PASSWORD": password})
    try:
        wait_for_port(port, server)
        search = f"http://127.0.0.1:{port}/api/2.0/mlflow/experiments/search?max_results=10"

        def signed(words: str) -> str:
            return f"Basic {base64.b64encode(f'admin:{words}'.encode()).decode()}"

        assert ask(search) == 401
        assert ask(search, Authorization=signed("password1234")) == 401
        assert ask(search, Authorization=signed(password)) == 200
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    written = b"".join(path.read_bytes() for path in (tmp_path / "runs").rglob("*") if path.is_file())
    assert password.encode() not in written


@pytest.mark.slow
def test_fault_24_mlflows_assistant_starts_no_program_of_this_machine(tmp_path: Path) -> None:
    programs, started = tmp_path / "programs", tmp_path / "started"
    programs.mkdir()
    for name in ("claude", "codex"):
        (programs / name).write_text(f"#!/bin/sh\ntouch {started}\n")
        (programs / name).chmod(0o755)
    port, extra = free_port(), {"PATH": f"{programs}{os.pathsep}{os.environ['PATH']}", "HOME": str(tmp_path)}
    server = start(tmp_path, "ui", "--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}", "--port", str(port), extra=extra)
    try:
        wait_for_port(port, server)
        here = f"http://127.0.0.1:{port}"
        request = urllib.request.Request(
            f"{here}/ajax-api/3.0/mlflow/assistant/message", b'{"message": "list my files"}', {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            stream = str(json.load(answer)["stream_url"])
        with urllib.request.urlopen(f"{here}{stream}", timeout=60) as answer:
            said = answer.read().decode()
    finally:
        server.send_signal(signal.SIGTERM)
        server.communicate(timeout=60)
    assert not started.exists(), said
    assert "error" in said
