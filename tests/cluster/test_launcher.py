"""The file of Ray's cluster launcher holds to Ray's own schema, and the Ray it starts asks for a token."""

import json
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import files
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.manifests import DEPLOY, find_errors, read_documents

RAY_FILE = DEPLOY / "ray" / "cluster.yaml"
TAKE = """
import json, sys
from ray.autoscaler._private.util import prepare_config, validate_config
config = prepare_config(json.load(sys.stdin))
validate_config(config)
print(config["max_workers"])
"""


@pytest.fixture
def launcher() -> dict[str, Any]:
    (document,) = read_documents(RAY_FILE.read_text(encoding="utf-8"))
    return document


@pytest.fixture(scope="module")
def launcher_schema() -> dict[str, Any]:
    """Ray's own, out of its wheel; Ray itself is not imported."""
    (found,) = [path for path in files("ray") or [] if path.name == "ray-schema.json"]
    loaded: dict[str, Any] = json.loads(Path(str(found.locate())).read_text(encoding="utf-8"))
    return loaded


def test_the_cluster_launcher_file_holds_to_rays_schema(launcher: dict[str, Any], launcher_schema: dict[str, Any]) -> None:
    assert find_errors(launcher, launcher_schema) == []
    assert launcher["max_workers"] == len(launcher["provider"]["worker_ips"])


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda it: it.update(head_start_command=it.pop("head_start_ray_commands")), "'head_start_command' was unexpected"),
        (lambda it: it["provider"].pop("type"), "'type' is a required property"),
        (lambda it: it["provider"].update(worker_ips="10.0.0.2"), "is not of type 'array'"),
        (lambda it: it["auth"].update(user="rnnbench"), "'user' was unexpected"),
    ],
    ids=["a misspelt field", "a missing type", "a wrong type", "a misspelt field within"],
)
def test_a_mistake_in_the_launcher_file_is_found(
    spoil: Callable[[dict[str, Any]], object], words: str, launcher: dict[str, Any], launcher_schema: dict[str, Any]
) -> None:
    spoil(launcher)
    found = find_errors(launcher, launcher_schema)
    assert any(words in wrong for wrong in found), found


def test_every_host_asks_for_the_token_and_the_dashboard_answers_its_own_host(launcher: dict[str, Any]) -> None:
    lines = [*launcher["head_start_ray_commands"], *launcher["worker_start_ray_commands"]]
    starts = [line for line in lines if "/bin/ray start " in line]
    assert len(starts) == 2
    assert all("RAY_AUTH_MODE=token " in line for line in starts)
    assert "--dashboard-host=127.0.0.1 " in starts[0]
    assert "~/.ray/auth_token" in launcher["file_mounts"]


@pytest.mark.slow
def test_ray_itself_takes_the_launcher_file(launcher: dict[str, Any]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", TAKE], input=json.dumps(launcher), capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stdout.split()[-1:]) == (0, ["2"]), done.stderr
