"""What kustomize makes of deploy/kuberay holds to the pinned schemas of Kubernetes and KubeRay and to our own rules; a mistake is found."""

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.manifests import DEPLOY, check_object, find_pods, reaches, read_documents, run
from tests.cluster.mistakes import MISTAKES

Objects = dict[tuple[str, str], dict[str, Any]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Objects]:
    """What kustomize makes of each overlay, with secrets as secrets.sh writes them."""
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl, to build the overlays")
    folder = tmp_path_factory.mktemp("kuberay") / "kuberay"
    shutil.copytree(DEPLOY / "kuberay", folder, ignore=shutil.ignore_patterns("secrets"))
    made = run("bash", folder / "secrets.sh")
    assert made.returncode == 0, made.stderr
    found = {}
    for overlay in ("cpu", "gpu"):
        done = run("kubectl", "kustomize", folder / "overlays" / overlay)
        assert done.returncode == 0, done.stderr
        found[overlay] = {(each["kind"], each["metadata"]["name"]): each for each in read_documents(done.stdout)}
    return found


@pytest.mark.parametrize("overlay", ["cpu", "gpu"])
def test_every_object_of_an_overlay_is_valid_and_safe(overlay: str, built: dict[str, Objects]) -> None:
    assert len(built[overlay]) >= 20
    assert {key: wrong for key, each in built[overlay].items() if (wrong := check_object(each))} == {}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_in_an_object_is_found(mistake: str, built: dict[str, Objects]) -> None:
    key, spoil, words = MISTAKES[mistake]
    document = copy.deepcopy(built["cpu"][key])
    spoil(document)
    found = check_object(document)
    assert any(words in wrong for wrong in found), found


def test_every_kind_that_is_applied_has_a_mistake_above(built: dict[str, Objects]) -> None:
    assert {kind for kind, _ in built["cpu"]} == {key[0] for key, *_ in MISTAKES.values()}


def test_every_ray_asks_for_a_token(built: dict[str, Objects]) -> None:
    for overlay in built.values():
        specs = [overlay["RayCluster", "rnnbench"]["spec"], overlay["RayJob", "lstm"]["spec"]["rayClusterSpec"]]
        assert [spec["authOptions"] for spec in specs] == [{"mode": "token"}] * 2


def test_gpus_are_asked_for_by_the_workers_of_the_gpu_overlay_alone(built: dict[str, Objects]) -> None:
    def gpus(overlay: str, key: tuple[str, str]) -> list[str]:
        containers = [each for pod in find_pods(built[overlay][key]) for each in pod["containers"]]
        return [each["name"] for each in containers if "nvidia.com/gpu" in each["resources"]["limits"]]

    for key in (("RayCluster", "rnnbench"), ("RayJob", "lstm")):
        assert (gpus("cpu", key), gpus("gpu", key)) == ([], ["ray-worker"])


def test_a_ray_is_reached_by_its_own_pods_and_by_kuberay_alone(built: dict[str, Objects]) -> None:
    policies = [each for (kind, _), each in built["cpu"].items() if kind == "NetworkPolicy"]
    ours = {"app.kubernetes.io/name": "rnnbench"}
    standing, job, submitted = (
        {**ours, "rnnbench/cluster": "standing"},
        {**ours, "rnnbench/cluster": "job"},
        {**ours, "rnnbench/sweep": "lstm"},
    )
    operator, mlflow, postgresql = ({"app.kubernetes.io/name": name} for name in ("kuberay-operator", "mlflow", "postgresql"))
    for head in (standing, job, submitted):
        for port in (6379, 8265, 10001):
            assert [reaches(policies, ("rnnbench", other), head, port) for other in (standing, job, submitted)] == [
                other is head for other in (standing, job, submitted)
            ]
            assert not reaches(policies, ("rnnbench", {"app": "stranger"}), head, port)
            assert not reaches(policies, ("elsewhere", dict(head)), head, port), "labels are free to choose in another namespace"
            assert reaches(policies, ("kuberay", operator), head, port) == (port == 8265)
    for port, target, callers in ((5000, mlflow, (standing, job, submitted)), (5432, postgresql, (standing, job, submitted, mlflow))):
        assert all(reaches(policies, ("rnnbench", caller), target, port) for caller in callers)
        assert not reaches(policies, ("rnnbench", {"app": "stranger"}), target, port)
        assert not reaches(policies, ("elsewhere", dict(standing)), target, port)
    assert not reaches(policies, ("rnnbench", dict(standing)), {"app": "anything else"}, 80)


def test_without_secrets_nothing_is_built(tmp_path: Path) -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("needs kubectl, to build the overlays")
    shutil.copytree(DEPLOY / "kuberay", tmp_path / "kuberay", ignore=shutil.ignore_patterns("secrets"))
    done = run("kubectl", "kustomize", tmp_path / "kuberay" / "overlays" / "cpu")
    assert done.returncode != 0
    assert "secrets" in done.stderr
