"""Every MLflow server that we start or describe runs with what keeps one from doing more than showing results."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from rnnbench.cli.services import MLFLOW_ENVIRONMENT
from tests.architecture.source_files import find_texts, shown
from tests.cluster.manifests import DEPLOY, find_pods, read_documents

# As a list of words in Python or YAML, or one after the other in a list of lines.
STARTS = re.compile(r"""["\[,\s-]mlflow["']?,?\s+(?:-\s+)?["']?server\b(?!:)""")


def of_image() -> dict[str, str]:
    """The variables that the image sets, which both kinds of deployment run."""
    text = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    lines = [line.removeprefix("ENV ") for line in text.splitlines() if line.startswith("ENV ")]
    return dict(pair.split("=", 1) for line in lines for pair in line.split())


def of_deployments() -> Iterator[tuple[str, dict[str, str]]]:
    """The variables of each MLflow server in deploy/."""
    for path in sorted(DEPLOY.rglob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        for document in read_documents(text) if "mlflow" in text else ():
            for name, service in document.get("services", {}).items():
                if service.get("command", [])[:2] == ["mlflow", "server"]:
                    yield f"{shown(path)} {name}", service["environment"]
            for container in [each for pod in find_pods(document) for each in pod["containers"]]:
                if container.get("args", [])[:2] == ["mlflow", "server"]:
                    given = {each["name"]: each.get("value", "") for each in container["env"]}
                    yield f"{shown(path)} {container['name']}", given


DEPLOYMENTS = dict(of_deployments())


@pytest.mark.parametrize("server", DEPLOYMENTS)
def test_a_server_of_deploy_runs_with_what_rnnbench_ui_sets(server: str) -> None:
    given = of_image() | DEPLOYMENTS[server]
    assert {name: given.get(name) for name in MLFLOW_ENVIRONMENT} == MLFLOW_ENVIRONMENT


def test_every_other_place_that_starts_a_server_takes_what_rnnbench_ui_sets() -> None:
    texts = {shown(path): path.read_text(encoding="utf-8", errors="replace") for path in find_texts()}
    starting = {name for name, text in texts.items() if STARTS.search(text)} - {shown(Path(__file__))}
    described = {name.partition(" ")[0] for name in DEPLOYMENTS}
    assert len(described) == 2
    assert described < starting, "the pattern finds what it is for"
    assert [name for name in starting - described if "MLFLOW_ENVIRONMENT" not in texts[name]] == []
