"""Mistakes that people make in manifests, for each kind that is applied: a misspelt field, a wrong type, a missing image."""

from collections.abc import Callable
from typing import Any

from tests.cluster.manifests import find_pods

Document = dict[str, Any]


def misspell(document: Document, key: str) -> None:
    """A field of the specification with one letter more."""
    document["spec"][f"{key}x"] = document["spec"].pop(key)


def change(document: Document, **fields: object) -> None:
    """Other values in the specification."""
    document["spec"].update(fields)


def pod(document: Document) -> Document:
    """The first pod's specification."""
    return next(find_pods(document))


def container(document: Document) -> Document:
    """The first container."""
    first: Document = pod(document)["containers"][0]
    return first


CLUSTER, JOB = ("RayCluster", "rnnbench"), ("RayJob", "lstm")
DEPLOYMENT, DATABASE = ("Deployment", "mlflow"), ("StatefulSet", "postgresql")
SERVICE, POLICY, CLAIM = ("Service", "mlflow"), ("NetworkPolicy", "ray-job"), ("PersistentVolumeClaim", "rnnbench-runs")

# The object, what is done to it, and what is then said.
MISTAKES: dict[str, tuple[tuple[str, str], Callable[[Document], object], str]] = {
    "misspelt in a RayCluster": (CLUSTER, lambda it: misspell(it, "headGroupSpec"), "'headGroupSpecx' was unexpected"),
    "left out of a RayCluster": (CLUSTER, lambda it: it["spec"].pop("headGroupSpec"), "'headGroupSpec' is a required property"),
    "misspelt in its pods": (CLUSTER, lambda it: container(it).update(volumeMount=[]), "'volumeMount' was unexpected"),
    "no such authentication": (CLUSTER, lambda it: change(it, authOptions={"mode": "password"}), "'password' is not one of"),
    "a number as text": (CLUSTER, lambda it: it["spec"]["workerGroupSpecs"][0].update(replicas="2"), "not of type 'integer'"),
    "a text as number": (CLUSTER, lambda it: it["spec"]["headGroupSpec"].update(rayStartParams={"num-cpus": 0}), "not of type 'string'"),
    "a Ray without an image": (CLUSTER, lambda it: container(it).pop("image"), "image None names no version"),
    "misspelt in a RayJob": (JOB, lambda it: misspell(it, "entrypoint"), "'entrypointx' was unexpected"),
    "a wrong type in a RayJob": (JOB, lambda it: change(it, ttlSecondsAfterFinished="600"), "not of type 'integer'"),
    "a RayJob of the newest image": (JOB, lambda it: container(it).update(image="rnnbench:latest"), "names no version"),
    "misspelt in a Deployment": (DEPLOYMENT, lambda it: misspell(it, "strategy"), "'strategyx' was unexpected"),
    "a wrong type in a Deployment": (DEPLOYMENT, lambda it: change(it, replicas="one"), "'one' is not of type"),
    "a Deployment without an image": (DEPLOYMENT, lambda it: container(it).pop("image"), "names no version"),
    "a Deployment as root": (DEPLOYMENT, lambda it: pod(it)["securityContext"].pop("runAsNonRoot"), "may run as root"),
    "a Deployment without limits": (DEPLOYMENT, lambda it: container(it).pop("resources"), "no limit"),
    "a container that gains rights": (DEPLOYMENT, lambda it: container(it).pop("securityContext"), "may gain rights"),
    "misspelt in a StatefulSet": (DATABASE, lambda it: misspell(it, "serviceName"), "'serviceNamex' was unexpected"),
    "a wrong type in a StatefulSet": (DATABASE, lambda it: change(it, template=[]), "[] is not of type 'object'"),
    "a StatefulSet without an image": (DATABASE, lambda it: container(it).pop("image"), "names no version"),
    "misspelt in a Service": (SERVICE, lambda it: misspell(it, "ports"), "'portsx' was unexpected"),
    "a wrong type in a Service": (SERVICE, lambda it: it["spec"]["ports"][0].update(port="http"), "'http' is not of type"),
    "misspelt in a NetworkPolicy": (POLICY, lambda it: misspell(it, "podSelector"), "'podSelectorx' was unexpected"),
    "a wrong type in a NetworkPolicy": (POLICY, lambda it: change(it, ingress={}), "{} is not of type"),
    "misspelt in a claim": (CLAIM, lambda it: misspell(it, "accessModes"), "'accessModesx' was unexpected"),
    "a wrong type in a claim": (CLAIM, lambda it: change(it, accessModes="ReadWriteMany"), "is not of type 'array'"),
    "misspelt in a Secret": (("Secret", "mlflow"), lambda it: it.update(datas={}), "'datas' was unexpected"),
    "a wrong type in a ConfigMap": (
        ("ConfigMap", "rnnbench-sweep"),
        lambda it: it["data"].update({"sweep.yaml": 1}),
        "not of type 'string'",
    ),
    "misspelt in a Namespace": (("Namespace", "rnnbench"), lambda it: it["metadata"].update(label={}), "'label' was unexpected"),
    "a kind without a schema": (("Namespace", "rnnbench"), lambda it: it.update(kind="Namespaces"), "no schema"),
}
