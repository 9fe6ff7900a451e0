"""Two hosts with addresses of their own: who has no token or password is refused, who has one is served, and nothing else listens."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.hosts import Host, two_hosts, write_token
from tests.cluster.manifests import DEPLOY, ROOT, read_documents
from tests.faults.harness import COMMAND, SMALL, check_history, environment, open_ledger

pytestmark = pytest.mark.slow

RAY = str(Path(sys.executable).parent / "ray")
DASHBOARD = 8265
# Of Ray with ray[default]: the agent's page, and metrics of the host, of the autoscaler and of the dashboard.
METRICS = (6385, 6386, 6387)
PAGES = (6384, *METRICS)
PASSWORD = "correct horse battery"
NODES = """
import ray
ray.init(address={address!r}, log_to_driver=False)
print(sorted(node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]))
"""
# The status that a request gets, or the name of the error.
ASK = """
import base64, json, sys, urllib.error, urllib.request
address, user, *body = sys.argv[1:]
headers = {"Content-Type": "application/json"}
if user:
    headers["Authorization"] = "Basic " + base64.b64encode(user.encode()).decode()
try:
    with urllib.request.urlopen(urllib.request.Request(address, body[0].encode() if body else None, headers), timeout=20) as answer:
        print(answer.status)
except urllib.error.HTTPError as error:
    print(error.code)
except OSError as error:
    print(type(error.reason).__name__)
"""


@pytest.fixture
def hosts() -> Iterator[tuple[Host, Host]]:
    with two_hosts() as made:
        yield made


def start_line(key: str, head: Host, temp: Path) -> list[str]:
    """The command of deploy/ray/cluster.yaml that starts Ray on a host, with this test's addresses and folders."""
    (document,) = read_documents((DEPLOY / "ray" / "cluster.yaml").read_text(encoding="utf-8"))
    line = document[key][-1].replace("/opt/rnnbench/bin/ray", RAY).replace("10.0.0.1", head.address).replace("$RAY_HEAD_IP", head.address)
    line = line.replace("--autoscaling-config=~/ray_bootstrap_config.yaml", "")
    return ["bash", "-c", f"{line} --temp-dir={temp} --object-store-memory=100000000 --block"]


def wait_for(host: Host, port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 90
    while port not in host.listening():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.2)


def documented_ports() -> set[int]:
    """Those of the table in docs/deployment.md, ranges spread out."""
    text = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
    found: set[int] = set()
    for first, last in re.findall(r"^ *\| (\d+)(?:-(\d+))? \|", text, re.MULTILINE):
        found |= set(range(int(first), int(last or first) + 1))
    return found


def test_a_ray_takes_in_who_has_its_token_and_nobody_else(
    hosts: tuple[Host, Host], tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    head, other = hosts
    # Ray's sockets need short paths.
    short = tmp_path_factory.mktemp("r")
    bare = environment({"HOME": str(short), "RAY_USAGE_STATS_ENABLED": "0"})
    trusted = {**bare, "RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(write_token(tmp_path))}
    address = f"{head.address}:6379"

    def nodes() -> str:
        return head.run([sys.executable, "-c", NODES.format(address=address)], trusted).stdout

    started = head.spawn(start_line("head_start_ray_commands", head, short / "h"), trusted, tmp_path / "head.log")
    wait_for(head, 6379, started, tmp_path / "head.log")
    wait_for(head, 6380, started, tmp_path / "head.log")

    # Refused: one that knows of no token, and one with a wrong one.
    strangers = []
    for name, env in (("none", bare), ("wrong", {**trusted, "RAY_AUTH_TOKEN": "f" * 64})):
        words = start_line("worker_start_ray_commands", head, short / name)
        if name == "none":
            words[-1] = words[-1].replace("RAY_AUTH_MODE=token", "")
        strangers.append((other.spawn(words, env, tmp_path / f"{name}.log"), tmp_path / f"{name}.log"))
    for process, log in strangers:
        assert process.wait(timeout=120) != 0
        assert "InvalidAuthToken" in log.read_text()
    assert nodes() == f"['{head.address}']\n"

    # With the token the other host joins, and trains: the head holds no CPU for trials.
    worker = other.spawn(start_line("worker_start_ray_commands", head, short / "w"), trusted, tmp_path / "worker.log")
    wait_for(other, 6380, worker, tmp_path / "worker.log")
    (tmp_path / "small.yaml").write_text(SMALL)
    words = [
        *COMMAND,
        "sweep",
        str(tmp_path / "small.yaml"),
        "--address",
        address,
        "--home",
        str(tmp_path / "runs"),
        "--tracking-uri",
        "none",
    ]
    refused = head.run(words, bare)
    assert (refused.returncode, "no token for the Ray at" in refused.stderr) == (2, True), refused.stderr
    done = head.run([*words, "--json"], trusted, timeout_s=200)
    assert done.returncode == 0, done.stderr[-3000:]
    assert json.loads(done.stdout)["completed"] == 6
    check_history(tmp_path, "small")
    with open_ledger(tmp_path) as ledger:
        assert {trial.attempts for trial in ledger.trials("small")} == {1}
    assert nodes() == f"['{head.address}', '{other.address}']\n"

    # Pages ask for the token; metrics, the only exception that the documents name, go to whoever asks.
    pages = {port: other.run([sys.executable, "-c", ASK, f"http://{head.address}:{port}/metrics", ""], bare) for port in (6382, *PAGES)}
    said = {port: done.stdout.strip() for port, done in pages.items() if port in head.listening()}
    assert said == {port: "200" if port in METRICS else "401" for port in said}, said

    # What listens is what the documents say, and the dashboard answers its own host.
    for host in hosts:
        open_to_others = {port for port, addresses in host.listening().items() if addresses != {"loopback"}}
        assert open_to_others
        assert open_to_others <= documented_ports() - {DASHBOARD}


def test_mlflow_answers_its_own_host_alone_unless_it_asks_for_a_password(hosts: tuple[Host, Host], tmp_path: Path) -> None:
    server, other = hosts
    env = environment({"HOME": str(tmp_path), "MLFLOW_AUTH_ADMIN_PASSWORD": PASSWORD})
    common = ["--home", str(tmp_path / "runs"), "--tracking-uri", f"sqlite:///{tmp_path / 'mlflow.db'}"]
    (tmp_path / "runs").mkdir()

    def ask(host: Host, port: int, user: str) -> str:
        address = f"http://{server.address}:{port}/api/2.0/mlflow/experiments/create"
        return host.run([sys.executable, "-c", ASK, address, user, '{"name": "from afar"}'], env).stdout.strip()

    alone = server.spawn([*COMMAND, "ui", "--port", "5000", *common], env, tmp_path / "alone.log")
    wait_for(server, 5000, alone, tmp_path / "alone.log")
    assert server.listening() == {5000: {"loopback"}}
    assert ask(other, 5000, f"admin:{PASSWORD}") == "ConnectionRefusedError"
    server.end()

    refused = server.run([*COMMAND, "ui", "--host", server.address, *common], env)
    assert (refused.returncode, "add --auth" in refused.stderr) == (2, True)
    shared = server.spawn([*COMMAND, "ui", "--auth", "--host", server.address, "--port", "5001", *common], env, tmp_path / "shared.log")
    wait_for(server, 5001, shared, tmp_path / "shared.log")
    assert server.listening() == {5001: {server.address}}
    assert ask(other, 5001, "") == "401"
    assert ask(other, 5001, "admin:password1234") == "401"
    assert ask(other, 5001, f"admin:{PASSWORD}") == "200"
    assert ask(other, 5001, f"admin:{PASSWORD}") == "400", "the first one was not written"
