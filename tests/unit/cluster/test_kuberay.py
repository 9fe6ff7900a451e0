"""The RayJob manifest."""

import shlex
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from rnnbench.base.errors import InputError
from rnnbench.base.home import Home
from rnnbench.cluster.kuberay import KubeRayRequest, job_name, render_manifest
from tests.cluster.manifests import check_object
from tests.unit.cluster.jobs import EVIL, sweep_job

NOW = datetime(2026, 11, 25, 12, 30, 5, tzinfo=UTC)


def read(text: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(text))


def pods(rayjob: Any) -> list[Any]:
    cluster = rayjob["spec"]["rayClusterSpec"]
    return [cluster["headGroupSpec"]["template"]["spec"], *(group["template"]["spec"] for group in cluster["workerGroupSpecs"])]


def test_the_sweeps_file_is_in_the_configmap_and_the_command_reads_it_there(tmp_path: Path) -> None:
    text = "task: adding  # \"quoted\"\n\tx: 'y'\n" + "".join(EVIL)
    job = sweep_job(tmp_path, text=text, overrides=EVIL)
    configmap, rayjob = read(render_manifest(job, KubeRayRequest(), "small-1"))
    assert configmap["data"] == {"sweep.yaml": text}
    assert shlex.split(rayjob["spec"]["entrypoint"]) == job.arguments("/etc/rnnbench/sweep.yaml", "/runs", "--address", "auto")
    for pod in pods(rayjob):
        assert {"name": "sweep", "configMap": {"name": configmap["metadata"]["name"]}} in pod["volumes"]


def test_nobody_gets_in_without_the_token_and_nothing_runs_as_root_or_without_limits(tmp_path: Path) -> None:
    request = KubeRayRequest(nodes=3, cpus_per_node=8, gpus_per_node=2, memory_per_node="32Gi", seconds=3600)
    _, rayjob = read(render_manifest(sweep_job(tmp_path), request, "small-1"))
    assert (rayjob["apiVersion"], rayjob["kind"]) == ("ray.io/v1", "RayJob")
    assert rayjob["spec"]["activeDeadlineSeconds"] == 3600
    cluster = rayjob["spec"]["rayClusterSpec"]
    assert cluster["authOptions"] == {"mode": "token"}
    group = cluster["workerGroupSpecs"][0]
    assert [group[name] for name in ("replicas", "minReplicas", "maxReplicas")] == [3, 3, 3]
    for pod in [*pods(rayjob), rayjob["spec"]["submitterPodTemplate"]["spec"]]:
        assert pod["securityContext"]["runAsNonRoot"] is True
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
            assert {"cpu", "memory"} <= set(container["resources"]["limits"])
    limits = [pod["containers"][0]["resources"]["limits"] for pod in pods(rayjob)]
    assert limits == [{"cpu": "2", "memory": "8Gi"}, {"cpu": "8", "memory": "32Gi", "nvidia.com/gpu": "2"}]


def test_the_version_of_ray_is_the_one_that_the_tests_ran_with() -> None:
    root = Path(__file__).parents[3]
    from rnnbench.cluster.kuberay import RAY_VERSION

    assert f"ray=={RAY_VERSION}\n" in (root / "constraints.txt").read_text()


@pytest.mark.parametrize("sweep", ["lstm", "My_Sweep.2", "x" * 100, "--", "9"])
def test_any_sweep_gets_a_name_that_kubernetes_accepts(sweep: str) -> None:
    import re

    name = job_name(sweep, NOW)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
    assert len(name) <= 46
    assert name.endswith("-20261125-123005")


@pytest.mark.parametrize("field", ["namespace", "image", "claim", "secret", "memory_per_node"])
@pytest.mark.parametrize("value", [*EVIL, ""])
def test_what_kubernetes_would_refuse_is_refused(field: str, value: str) -> None:
    with pytest.raises(InputError, match="must be"):
        KubeRayRequest(**{field: value}).check()  # type: ignore[arg-type]  # texts, each of them


def test_the_defaults_are_accepted() -> None:
    KubeRayRequest().check()


@pytest.mark.parametrize("gpus", [0, 2])
def test_the_manifest_holds_to_the_pinned_schemas_and_a_misspelt_field_does_not(gpus: int, tmp_path: Path) -> None:
    objects = read(render_manifest(sweep_job(tmp_path), KubeRayRequest(gpus_per_node=gpus), "small-1"))
    assert [check_object(one) for one in objects] == [[], []]
    rayjob = objects[1]
    rayjob["spec"]["entrypont"] = rayjob["spec"].pop("entrypoint")
    assert any("entrypont" in wrong for wrong in check_object(rayjob))


def test_without_a_claim_pods_have_folders_of_their_own_and_the_sweep_is_elsewhere(tmp_path: Path) -> None:
    alone = KubeRayRequest(claim="none")
    alone.check()
    job = sweep_job(tmp_path, db="postgresql://ledger@db/ledger", home=Home(tmp_path / "runs", "s3://bucket/a"))
    _, rayjob = read(render_manifest(job, alone, "small-1"))
    for pod in pods(rayjob):
        assert {"name": "runs", "emptyDir": {"sizeLimit": "20Gi"}} in pod["volumes"]
        assert "persistentVolumeClaim" not in str(pod)
    for lacking in (sweep_job(tmp_path, db="postgresql://ledger@db/ledger"), sweep_job(tmp_path, home=Home(tmp_path, "s3://bucket/a"))):
        with pytest.raises(InputError, match="--claim none needs --db and --checkpoints"):
            render_manifest(lacking, alone, "small-1")
