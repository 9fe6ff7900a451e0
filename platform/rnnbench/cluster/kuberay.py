"""KubeRay: a sweep as a RayJob manifest, applied by kubectl."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from rnnbench.base.errors import InputError
from rnnbench.base.names import printable
from rnnbench.base.version import __version__
from rnnbench.cluster.job import SweepJob
from rnnbench.cluster.programs import complaint, run_program
from rnnbench.cluster.render import render

# Of Kubernetes: a DNS label. KubeRay puts up to 16 characters behind the name of a RayJob.
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_AMOUNT = re.compile(r"\d{1,9}(\.\d{1,3})?(Ki|Mi|Gi|Ti|K|k|M|G|T)?")
_IMAGE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/@-]{0,300}")
MAX_NAME = 46
NO_CLAIM = "none"
# Where the claim and the sweep's file are in the containers.
HOME, FILE = "/runs", "/etc/rnnbench/sweep.yaml"
RAY_VERSION = "2.60.0"


@dataclass(frozen=True)
class KubeRayRequest:
    """What a sweep asks of Kubernetes.

    Attributes:
        nodes: Worker pods; the head trains nothing.
        cpus_per_node, gpus_per_node: None: those of the trials that run at once, where the file says how many, else of one trial.
        memory_per_node: As Kubernetes writes it: 8Gi.
        image: With rnnbench and Ray in the versions of constraints.txt.
        claim: A persistent volume claim that every node can write (ReadWriteMany): the results folder; `none`: each pod has one of its own.
        secret: Its values become environment variables; it need not exist.
        seconds: After so many the job is ended; None: never.
    """

    nodes: int = 1
    cpus_per_node: int | None = None
    gpus_per_node: int | None = None
    memory_per_node: str = "8Gi"
    namespace: str = "rnnbench"
    image: str = f"rnnbench:{__version__}"
    claim: str = "rnnbench-runs"
    secret: str = "rnnbench"  # noqa: S105 - the name of one
    seconds: int | None = None

    def check(self) -> None:
        """Refuses names and amounts that Kubernetes would.

        Raises:
            InputError: a value; the text says what is allowed.
        """
        for option, value, allowed, words in (
            ("--namespace", self.namespace, _LABEL, "lower-case letters, digits and -"),
            ("--claim", self.claim, _SUBDOMAIN, "lower-case letters, digits, - and ."),
            ("--secret", self.secret, _SUBDOMAIN, "lower-case letters, digits, - and ."),
            ("--memory-per-node", self.memory_per_node, _AMOUNT, "an amount of Kubernetes: 8Gi, 512Mi"),
            ("--image", self.image, _IMAGE, "the name of an image: registry.example.org/rnnbench:0.1.0"),
        ):
            if not allowed.fullmatch(value):
                raise InputError(f"{option} is {printable(value)!r}, must be {words}")


def job_name(sweep: str, now: datetime) -> str:
    """A name that Kubernetes accepts, of a sweep and a time."""
    stamp = f"{now:%Y%m%d-%H%M%S}"
    clean = re.sub(r"[^a-z0-9]+", "-", sweep.lower()).strip("-")[: MAX_NAME - len(stamp) - 1].strip("-")
    return f"{clean or 'sweep'}-{stamp}"


def render_manifest(job: SweepJob, request: KubeRayRequest, name: str) -> str:
    """The manifest: a ConfigMap with the sweep's file, and the RayJob.

    Raises:
        InputError: a trial needs more than a pod was to have, or without a claim nothing would be left of the sweep.
    """
    if request.claim == NO_CLAIM and (job.db is None or job.home.store_address is None):
        raise InputError("--claim none needs --db and --checkpoints: what a pod has in a folder of its own is gone with it")
    cpus, gpus = job.of_node(request.nodes, request.cpus_per_node, request.gpus_per_node)
    return render(
        "kuberay/rayjob.yaml.j2",
        name=name,
        label=re.sub(r"[^A-Za-z0-9]+$", "", job.sweep[:63]),
        namespace=request.namespace,
        text=job.text,
        command=job.arguments(FILE, HOME, "--address", "auto"),
        seconds=request.seconds,
        ray_version=RAY_VERSION,
        image=request.image,
        claim=None if request.claim == NO_CLAIM else request.claim,
        secret=request.secret,
        home=HOME,
        nodes=request.nodes,
        cpus=cpus,
        memory=request.memory_per_node,
        gpus=gpus,
        head_cpus=2,
        head_memory="8Gi",
    )


def apply_manifest(manifest: Path) -> None:
    """Hands the manifest to the cluster of kubectl's current context.

    Raises:
        ProgramMissing: there is no kubectl here.
        InputError: Kubernetes refused it; the text says why.
    """
    done = run_program(["kubectl", "apply", "-f", str(manifest)])
    if done.returncode:
        raise InputError(f"Kubernetes refuses the job: {complaint(done)}")
