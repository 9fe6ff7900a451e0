"""Reading the manifests of deploy/, and saying what is wrong with one: by its pinned schema, and by the rules we hold our own to."""

import functools
import json
import re
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import referencing
from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
SCHEMAS = Path(__file__).parent / "schemas"
KUBERNETES, KUBERAY, COMPOSE = "kubernetes-1.37.json", "kuberay-1.7.json", "compose-spec.json"


def run(*command: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """A program that ends soon, with what it said."""
    return subprocess.run([str(word) for word in command], cwd=cwd, capture_output=True, text=True, timeout=60, check=False)


def read_documents(text: str) -> list[dict[str, Any]]:
    """Every document of a YAML text, by the rules of YAML 1.1, which kubectl and docker follow."""
    yaml = YAML(typ="safe", pure=True)
    yaml.version = (1, 1)
    return [document for document in yaml.load_all(text) if document is not None]


@functools.cache
def read_schema(name: str) -> dict[str, Any]:
    """A pinned schema."""
    loaded: dict[str, Any] = json.loads((SCHEMAS / name).read_text(encoding="utf-8"))
    return loaded


def find_errors(document: Mapping[str, Any], schema: Mapping[str, Any]) -> list[str]:
    """Where a document breaks a schema, each as `place: what`."""
    pinned = [(name, referencing.Resource.from_contents(read_schema(name))) for name in (KUBERNETES, KUBERAY)]
    registry: referencing.Registry[Any] = referencing.Registry().with_resources(pinned)
    kind = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
    found = kind(schema, registry=registry).iter_errors(document)
    return [f"{'/'.join(map(str, error.absolute_path))}: {error.message}" for error in found]


def check_object(document: Mapping[str, Any]) -> list[str]:
    """What is wrong with an object for Kubernetes: by the schema of its kind, and where its pods are less safe than ours are."""
    name = KUBERAY if document.get("apiVersion") == "ray.io/v1" else KUBERNETES
    if f"kind.{document.get('kind')}" not in read_schema(name)["$defs"]:
        return [f"kind: no schema of {document.get('apiVersion')} {document.get('kind')}"]
    return [*find_errors(document, {"$ref": f"{name}#/$defs/kind.{document['kind']}"}), *_check_pods(document)]


def find_pods(node: Any) -> Iterator[dict[str, Any]]:
    """Every pod's specification within an object."""
    if isinstance(node, dict):
        if isinstance(node.get("containers"), list):
            yield node
        for child in node.values():
            yield from find_pods(child)
    elif isinstance(node, list):
        for child in node:
            yield from find_pods(child)


def is_pinned(image: object) -> bool:
    """Whether the name of an image ends in a version."""
    return isinstance(image, str) and re.fullmatch(r"[\w./-]+:\d[\w.-]*", image) is not None


def _check_pods(document: Mapping[str, Any]) -> list[str]:
    wrong = []
    for pod in find_pods(document):
        mine = pod.get("securityContext", {})
        if mine.get("runAsNonRoot") is not True or mine.get("seccompProfile") != {"type": "RuntimeDefault"}:
            wrong.append("securityContext: a pod may run as root, or without a filter of system calls")
        if pod.get("automountServiceAccountToken") is not False:
            wrong.append("automountServiceAccountToken: a pod holds a key to Kubernetes that it does not need")
        for container in [*pod["containers"], *pod.get("initContainers", [])]:
            called = container.get("name")
            if not is_pinned(container.get("image")):
                wrong.append(f"{called}: image {container.get('image')!r} names no version")
            if set(container.get("resources", {}).get("limits", {})) < {"cpu", "memory"}:
                wrong.append(f"{called}: no limit on CPU or memory")
            held = container.get("securityContext", {})
            if held.get("allowPrivilegeEscalation") is not False or held.get("capabilities") != {"drop": ["ALL"]}:
                wrong.append(f"{called}: may gain rights")
    return wrong


def check_compose(document: Mapping[str, Any]) -> list[str]:
    """What is wrong with a compose file."""
    wrong = find_errors(document, read_schema(COMPOSE))
    for name, service in document.get("services", {}).items():
        if not is_pinned(service.get("image")):
            wrong.append(f"services/{name}: image {service.get('image')!r} names no version")
        # The image of ours names its user itself.
        if not str(service.get("image")).startswith("rnnbench:") and not re.fullmatch(r"[1-9]\d*:[1-9]\d*", str(service.get("user"))):
            wrong.append(f"services/{name}: runs as whom its image likes")
    return wrong


def reaches(policies: Sequence[Mapping[str, Any]], source: tuple[str, Mapping[str, str]], target: Mapping[str, str], port: int) -> bool:
    """Whether NetworkPolicies let a pod, given as namespace and labels, open a port of a pod of their own namespace."""
    selecting = [policy["spec"] for policy in policies if _selects(policy["spec"]["podSelector"], target)]
    if not selecting:
        return True
    return any(
        (not rule.get("ports") or port in [each["port"] for each in rule["ports"]])
        and any(
            ("namespaceSelector" in peer or source[0] == policies[0]["metadata"]["namespace"])
            and _selects(peer.get("podSelector", {}), source[1])
            for peer in rule["from"]
        )
        for spec in selecting
        for rule in spec.get("ingress", [])
    )


def _selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    assert all(rule["operator"] == "Exists" for rule in selector.get("matchExpressions", []))
    return all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items()) and all(
        rule["key"] in labels for rule in selector.get("matchExpressions", [])
    )
