"""`rnnbench submit ray` on a real Ray with a dashboard: to the end, with its state in the status, and refused without the token."""

import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.box import free_ports
from tests.cluster.hosts import write_token
from tests.faults.harness import SMALL, check_history, environment, open_ledger, run

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(importlib.util.find_spec("aiohttp_cors") is None, reason="needs ray[default]: pip install 'rnnbench[cluster]'"),
]
PROGRAMS = Path(sys.executable).parent
# Of a job of Ray that has ended.
ENDED = {"SUCCEEDED", "FAILED", "STOPPED"}


@pytest.fixture
def dashboard(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, dict[str, str]]]:
    """The address of a Ray's dashboard, and the environment that holds its token."""
    control, page, *others = free_ports(8)
    names = ("node-manager", "object-manager", "runtime-env-agent", "dashboard-agent-grpc", "metrics-export", "ray-client-server")
    # Ray's sockets need short paths.
    place = ["--node-ip-address=127.0.0.1", "--num-cpus=2", f"--temp-dir={tmp_path_factory.mktemp('r')}", "--object-store-memory=100000000"]
    ports = [f"--port={control}", "--dashboard-host=127.0.0.1", f"--dashboard-port={page}", "--dashboard-agent-listen-port=0"]
    ports += [f"--{name}-port={port}" for name, port in zip(names, others, strict=True)]
    trusted = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(write_token(tmp_path)), "RAY_USAGE_STATS_ENABLED": "0"}
    env = environment(trusted)
    env["PATH"] = os.pathsep.join([str(PROGRAMS), env["PATH"]])  # where the job finds rnnbench
    words = [str(PROGRAMS / "ray"), "start", "--head", *place, *ports, "--block"]
    with (
        (tmp_path / "head.log").open("wb") as log,
        subprocess.Popen(words, env=env, stdin=subprocess.DEVNULL, stdout=log, stderr=log) as head,
    ):
        try:
            deadline = time.monotonic() + 90
            while "Ray runtime started" not in (tmp_path / "head.log").read_text():
                assert head.poll() is None, (tmp_path / "head.log").read_text()
                assert time.monotonic() < deadline, (tmp_path / "head.log").read_text()
                time.sleep(0.2)
            yield f"http://127.0.0.1:{page}", trusted
        finally:
            head.terminate()
            head.wait(timeout=60)


def test_a_sweep_is_a_job_of_a_ray_that_runs_and_nobody_without_the_token_has_one(
    dashboard: tuple[str, dict[str, str]], tmp_path: Path
) -> None:
    address, trusted = dashboard
    (tmp_path / "small.yaml").write_text(SMALL)
    words = ("submit", "ray", "small.yaml", "--address", address, "--home", str(tmp_path / "runs"), "--tracking-uri", "none")
    refused = run(tmp_path, *words, code=2, extra=trusted | {"RAY_AUTH_TOKEN": "f" * 64})
    assert f"the Ray at {address} does not take the job" in refused.stderr
    assert refused.stderr.count("\n") == 1
    assert not (tmp_path / "runs").exists()

    submitted = run(tmp_path, *words, extra=trusted).stdout
    assert submitted.startswith("submitted small as ray job rnnbench-small-")

    def status() -> dict[str, Any]:
        document: dict[str, Any] = json.loads(run(tmp_path, "status", "small", "--json", extra=trusted).stdout)
        return document

    deadline = time.monotonic() + 240
    while (document := status())["submissions"][0]["state"] not in ENDED:
        assert time.monotonic() < deadline, document
        time.sleep(1)
    assert (document["submissions"][0]["state"], document["status"], document["completed"]) == ("SUCCEEDED", "completed", 6), document
    check_history(tmp_path, "small")
    with open_ledger(tmp_path) as ledger:
        assert {trial.attempts for trial in ledger.trials("small")} == {1}
