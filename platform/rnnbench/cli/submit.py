"""`rnnbench submit slurm | kuberay | ray`: a sweep as a job of a cluster."""

from pathlib import Path
from typing import Annotated

import typer

from rnnbench.base.version import __version__
from rnnbench.cli.options import (
    CheckpointsOption,
    DbOption,
    FileArgument,
    HomeOption,
    NameOption,
    SamplesOption,
    SetOption,
    TrackingOption,
    people,
)
from rnnbench.cli.submitted import Given, handing_over, new_file, now, read_job, read_setup, record_job, show_job, write_file

CpusOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="CPUs of each node (default: of the trials that run at once on it, where the file says max_concurrent; else of one trial).",
        show_default=False,
    ),
]
GpusOption = Annotated[int | None, typer.Option(min=0, help="GPUs of each node (default: as of CPUs).", show_default=False)]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Print the job file and the command that would submit it; write nothing.")]


def register(app: typer.Typer) -> None:
    """Adds the group."""
    group = typer.Typer(help="Hand a sweep to a cluster; `rnnbench status` then shows where it stands in the queue.", no_args_is_help=True)
    group.command("slurm")(slurm)
    group.command("kuberay")(kuberay)
    group.command("ray")(ray)
    app.add_typer(group, name="submit")


def slurm(
    file: FileArgument,
    nodes: Annotated[int, typer.Option(min=1, help="Nodes; more than one run a Ray of the job's own.")] = 1,
    gpus_per_node: GpusOption = None,
    cpus_per_node: CpusOption = None,
    time: Annotated[str | None, typer.Option(help="Time limit as Slurm writes it: 90, 8:00:00, 2-12.", show_default=False)] = None,
    partition: Annotated[str | None, typer.Option(help="Partition (default: the site's).", show_default=False)] = None,
    array: Annotated[
        int | None,
        typer.Option(min=1, max=10_000, help="So many jobs that share the sweep, without Ray; needs PostgreSQL.", show_default=False),
    ] = None,
    sbatch: Annotated[
        list[str] | None, typer.Option("--sbatch", metavar="KEY=VALUE", help="One more option of sbatch: account=physics, mem=16G.")
    ] = None,
    setup: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Shell lines that a job runs first: modules, an environment.", show_default=False),
    ] = None,
    name: NameOption = None,
    changes: SetOption = None,
    num_samples: SamplesOption = None,
    db: DbOption = None,
    tracking_uri: TrackingOption = None,
    checkpoints: CheckpointsOption = None,
    home: HomeOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Run a sweep as a Slurm job. Ended by its time limit or pre-empted, it saves, waits in the queue again and goes on.

    Example: rnnbench submit slurm lstm --nodes 2 --cpus-per-node 16 --time 8:00:00 --partition long
    """
    from rnnbench.cluster.slurm import SlurmRequest, render_script, submit_script, try_time
    from rnnbench.cluster.submission import Submission

    request = SlurmRequest(nodes, cpus_per_node, gpus_per_node, time, partition, array, sbatch or (), read_setup(setup))
    job = read_job(Given(file, name, changes or [], num_samples, home, db, tracking_uri, checkpoints))
    request.check(job)
    script = render_script(job, request, Path.cwd())
    place = new_file(job, "slurm", ".sh")
    command = ["sbatch", str(place)]
    if dry_run:
        show_job(script, command, place.parent)
        return
    with handing_over(job, place, script, command):
        try_time(request)
        write_file(place, script)
        number = submit_script(place)
    record_job(job, Submission("slurm", number, now().isoformat(), str(place)))


def kuberay(
    file: FileArgument,
    nodes: Annotated[int, typer.Option(min=1, help="Worker pods.")] = 1,
    gpus_per_node: GpusOption = None,
    cpus_per_node: CpusOption = None,
    memory_per_node: Annotated[str, typer.Option(help="Memory of each pod.")] = "8Gi",
    time: Annotated[int | None, typer.Option(min=1, help="Time limit in minutes.", show_default=False)] = None,
    namespace: Annotated[str, typer.Option(help="Namespace.")] = "rnnbench",
    image: Annotated[str, typer.Option(help="Image with rnnbench.")] = f"rnnbench:{__version__}",
    claim: Annotated[
        str, typer.Option(help="Volume claim for the results, one that every node can write; none: with --db and --checkpoints.")
    ] = "rnnbench-runs",
    secret: Annotated[
        str, typer.Option(help="Secret whose values become environment variables (PGPASSWORD, AWS_SECRET_ACCESS_KEY); may be missing.")
    ] = "rnnbench",  # noqa: S107 - the name of one
    name: NameOption = None,
    changes: SetOption = None,
    num_samples: SamplesOption = None,
    db: DbOption = None,
    tracking_uri: TrackingOption = None,
    checkpoints: CheckpointsOption = None,
    home: HomeOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Run a sweep on Kubernetes: a RayJob of KubeRay, applied by kubectl. The results lie on the claim; give --db to see them from here.

    Example: rnnbench submit kuberay lstm --nodes 4 --cpus-per-node 8 --image registry.example.org/rnnbench:0.1.0
    """
    from rnnbench.cluster.kuberay import KubeRayRequest, apply_manifest, job_name, render_manifest
    from rnnbench.cluster.submission import Submission

    seconds = None if time is None else 60 * time
    request = KubeRayRequest(nodes, cpus_per_node, gpus_per_node, memory_per_node, namespace, image, claim, secret, seconds)
    request.check()
    job = read_job(Given(file, name, changes or [], num_samples, home, db, tracking_uri, checkpoints), elsewhere=True)
    label = job_name(job.sweep, now())
    manifest = render_manifest(job, request, label)
    place = new_file(job, "kuberay", ".yaml")
    command = ["kubectl", "apply", "-f", str(place)]
    if dry_run:
        show_job(manifest, command, None)
        return
    with handing_over(job, place, manifest, command):
        write_file(place, manifest)
        apply_manifest(place)
    if job.db is None:
        words = (
            "without --db the ledger lies on the claim: `rnnbench status` shows the job's state from here, and not what the sweep has done"
        )
        people().print(words, markup=False, soft_wrap=True)
    record_job(job, Submission("kuberay", label, now().isoformat(), str(place), {"namespace": namespace}))


def ray(
    file: FileArgument,
    address: Annotated[str, typer.Option(help="The Ray's dashboard: http://ray-head:8265.")],
    cluster_home: Annotated[
        str | None,
        typer.Option(metavar="DIR", help="Results folder as the Ray's nodes see it (default: as here).", show_default=False),
    ] = None,
    name: NameOption = None,
    changes: SetOption = None,
    num_samples: SamplesOption = None,
    db: DbOption = None,
    tracking_uri: TrackingOption = None,
    checkpoints: CheckpointsOption = None,
    home: HomeOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Run a sweep as a job of a Ray that is already running, through its dashboard (needs rnnbench[cluster] here and there).

    Example: rnnbench submit ray lstm --address http://ray-head:8265
    """
    from rnnbench.cluster.ray_job import RayRequest, render_script, submit_command, submit_folder
    from rnnbench.cluster.submission import Submission

    request = RayRequest(address)
    request.check()
    job = read_job(Given(file, name, changes or [], num_samples, home, db, tracking_uri, checkpoints), elsewhere=True)
    script = render_script(job, cluster_home or str(job.home.path))
    place = new_file(job, "ray", "") / "job.sh"
    label = f"rnnbench-{job.sweep}-{place.parent.name}"
    command = submit_command(request, place.parent, label)
    if dry_run:
        show_job(script, command, None)
        return
    sweep = place.with_name("sweep.yaml")
    with handing_over(job, place, script, command, sweep):
        write_file(place, script)
        write_file(sweep, job.text)
        submit_folder(request, place.parent, label)
    record_job(job, Submission("ray", label, now().isoformat(), str(place.parent), {"address": address}))
