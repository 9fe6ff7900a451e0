"""The compose files of deploy/ hold to the compose specification's schema and to our own rules, and publish nothing but MLflow."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rnnbench.base.store import Address
from tests.cluster.manifests import COMPOSE, DEPLOY, check_compose, find_errors, read_documents, read_schema, run

COMPOSE_FILE = DEPLOY / "compose" / "compose.yaml"


@pytest.fixture
def compose() -> dict[str, Any]:
    (document,) = read_documents(COMPOSE_FILE.read_text(encoding="utf-8"))
    return document


def test_the_compose_file_is_valid_and_its_opt_in_too(compose: dict[str, Any]) -> None:
    assert check_compose(compose) == []
    for name in ("compose.ledger.yaml", "compose.checkpoints.yaml"):
        (more,) = read_documents((DEPLOY / "compose" / name).read_text(encoding="utf-8"))
        assert find_errors(more, read_schema(COMPOSE)) == []


COMPOSE_MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "a misspelt field": (
        lambda services: services["db"].update(heathcheck=services["db"].pop("healthcheck")),
        "'heathcheck' was unexpected",
    ),
    "a missing image": (lambda services: services["s3"].pop("image"), "image None names no version"),
    "the newest image": (lambda services: services["db"].update(image="postgres:latest"), "names no version"),
    "a wrong type": (lambda services: services["mlflow"].update(ports="5000:5000"), "'5000:5000' is not of type 'array'"),
    "a service as root": (lambda services: services["db"].update(user="0:0"), "runs as whom"),
    "a word that restart does not know": (lambda services: services["db"].update(secrets=[1]), "is not valid under any"),
}


@pytest.mark.parametrize("mistake", COMPOSE_MISTAKES)
def test_a_mistake_in_the_compose_file_is_found(mistake: str, compose: dict[str, Any]) -> None:
    spoil, words = COMPOSE_MISTAKES[mistake]
    spoil(compose["services"])
    found = check_compose(compose)
    assert any(words in wrong for wrong in found), found


def test_only_mlflow_is_published_and_on_a_named_address(compose: dict[str, Any]) -> None:
    published = {name: service["ports"] for name, service in compose["services"].items() if "ports" in service}
    assert list(published) == ["mlflow"]
    assert all(re.match(r"\$\{RNNBENCH_ADDRESS:\?[^}]+\}:5000:5000$", port) for port in published["mlflow"])
    assert all(compose["networks"][network].get("internal") for network in compose["services"]["db"]["networks"])
    assert all(compose["networks"][network].get("internal") for network in compose["services"]["s3"]["networks"])


def test_every_service_that_stays_restarts_and_says_how_it_is(compose: dict[str, Any]) -> None:
    for name, service in compose["services"].items():
        stays = service["restart"] != "no"
        assert stays == (name in ("db", "s3", "mlflow")), name
        assert not stays or ("healthcheck" in service and service["restart"] == "unless-stopped"), name
        assert service["cap_drop"] == ["ALL"], name
        assert "no-new-privileges:true" in service["security_opt"], name


def test_every_name_that_the_compose_file_asks_for_is_in_the_file_of_secrets(tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "compose" / "secrets.sh", tmp_path)
    assert run("bash", tmp_path / "secrets.sh", "10.0.0.5").returncode == 0
    given = dict(line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines())
    text = COMPOSE_FILE.read_text(encoding="utf-8") + (DEPLOY / "compose" / "compose.checkpoints.yaml").read_text(encoding="utf-8")
    asked = set(re.findall(r"\$\{(\w+):\?", text)) | set(re.findall(r"\{environment: (\w+)\}", text))
    assert asked == {*given, "RNNBENCH_STORE_ADDRESS"}
    assert given["RNNBENCH_ADDRESS"] == "10.0.0.5"


def test_the_key_of_checkpoints_opens_their_bucket_alone_and_only_the_port_of_s3_is_published() -> None:
    (more,) = read_documents((DEPLOY / "compose" / "compose.checkpoints.yaml").read_text(encoding="utf-8"))
    identities = json.loads(more["configs"]["s3"]["content"])["identities"]
    (own,) = (each for each in identities if each["name"] == "checkpoints")
    assert {action.partition(":")[2] for action in own["actions"]} == {"checkpoints"}
    assert "checkpoints" in more["services"]["bucket"]["environment"]["BUCKETS"].split()
    environ = more["services"]["rnnbench"]["environment"]
    assert Address.parse(environ["RNNBENCH_CHECKPOINTS"], environ) == Address("checkpoints/team", "http://s3:8333", "us-east-1")
    (port,) = more["services"]["s3"]["ports"]
    assert re.match(r"\$\{RNNBENCH_STORE_ADDRESS:\?[^}]+\}:8333:8333$", port)
