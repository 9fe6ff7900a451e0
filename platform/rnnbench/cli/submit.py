"""`rnnbench submit slurm | kuberay | ray`: a sweep as a job of a cluster."""

import os
import shlex
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from rnnbench.base.version import __version__
from rnnbench.cli.options import DbOption, HomeOption, TrackingOption, command, home_at, home_flag, open_ledger, output, people

if TYPE_CHECKING:
    from rnnbench.base.errors import InputError
    from rnnbench.cluster.job import SweepJob
    from rnnbench.cluster.submission import Submission

FileArgument = Annotated[str, typer.Argument(help="A sweep file, or the name of one that ships with rnnbench (lstm, compare, ...).")]
NameOption = Annotated[str | None, typer.Option("--name", help="Name of the sweep (default: the file's).", show_default=False)]
SetOption = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change a value of the file.")]
SamplesOption = Annotated[int | None, typer.Option("--num-samples", help="Draws per task and cell.", show_default=False)]
CpusOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="CPUs of each node (default: of the trials that run at once, where the file says max_concurrent; else of one trial).",
        show_default=False,
    ),
]
GpusOption = Annotated[int, typer.Option(min=0, help="GPUs of each node.")]
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
    gpus_per_node: GpusOption = 0,
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
    home: HomeOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Run a sweep as a Slurm job. Ended by its time limit or pre-empted, it saves, waits in the queue again and goes on.

    Example: rnnbench submit slurm lstm --nodes 2 --cpus-per-node 16 --time 8:00:00 --partition long
    """
    from rnnbench.cluster.programs import ProgramMissing
    from rnnbench.cluster.slurm import SlurmRequest, render_script, submit_script, try_time
    from rnnbench.cluster.submission import Submission

    request = SlurmRequest(nodes, cpus_per_node, gpus_per_node, time, partition, array, sbatch or (), _read_setup(setup))
    job = _read_job(Given(file, name, changes or [], num_samples, home, db, tracking_uri))
    request.check(job)
    script = render_script(job, request, Path.cwd())
    place = _new_script(job, "slurm", ".sh")
    if dry_run:
        _show(script, ["sbatch", str(place)], place.parent)
        return
    try:
        try_time(request)
        _write(place, script)
        number = submit_script(place)
    except ProgramMissing as error:
        raise _left(place, script, f"sbatch {shlex.quote(str(place))}", error) from None
    except BaseException:
        _remove(job, place)
        raise
    _record(job, Submission("slurm", number, _now().isoformat(), str(place)))


def kuberay(
    file: FileArgument,
    nodes: Annotated[int, typer.Option(min=1, help="Worker pods.")] = 1,
    gpus_per_node: GpusOption = 0,
    cpus_per_node: CpusOption = None,
    memory_per_node: Annotated[str, typer.Option(help="Memory of each pod.")] = "8Gi",
    time: Annotated[int | None, typer.Option(min=1, help="Time limit in minutes.", show_default=False)] = None,
    namespace: Annotated[str, typer.Option(help="Namespace.")] = "rnnbench",
    image: Annotated[str, typer.Option(help="Image with rnnbench.")] = f"rnnbench:{__version__}",
    claim: Annotated[str, typer.Option(help="Volume claim for the results, one that every node can write.")] = "rnnbench-runs",
    secret: Annotated[
        str, typer.Option(help="Secret whose values become environment variables (PGPASSWORD); may be missing.")
    ] = "rnnbench",  # noqa: S107 - the name of one
    name: NameOption = None,
    changes: SetOption = None,
    num_samples: SamplesOption = None,
    db: DbOption = None,
    tracking_uri: TrackingOption = None,
    home: HomeOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Run a sweep on Kubernetes: a RayJob of KubeRay, applied by kubectl. The results lie on the claim; give --db to see them from here.

    Example: rnnbench submit kuberay lstm --nodes 4 --cpus-per-node 8 --image registry.example.org/rnnbench:0.1.0
    """
    from rnnbench.cluster.kuberay import KubeRayRequest, apply_manifest, job_name, render_manifest
    from rnnbench.cluster.programs import ProgramMissing
    from rnnbench.cluster.submission import Submission

    seconds = None if time is None else 60 * time
    request = KubeRayRequest(nodes, cpus_per_node, gpus_per_node, memory_per_node, namespace, image, claim, secret, seconds)
    request.check()
    job = _read_job(Given(file, name, changes or [], num_samples, home, db, tracking_uri), elsewhere=True)
    label = job_name(job.sweep, _now())
    manifest = render_manifest(job, request, label)
    place = _new_script(job, "kuberay", ".yaml")
    if dry_run:
        _show(manifest, ["kubectl", "apply", "-f", str(place)], None)
        return
    try:
        _write(place, manifest)
        apply_manifest(place)
    except ProgramMissing as error:
        raise _left(place, manifest, f"kubectl apply -f {shlex.quote(str(place))}", error) from None
    except BaseException:
        _remove(job, place)
        raise
    if job.db is None:
        words = (
            "without --db the ledger lies on the claim: `rnnbench status` shows the job's state from here, and not what the sweep has done"
        )
        people().print(words, markup=False, soft_wrap=True)
    _record(job, Submission("kuberay", label, _now().isoformat(), str(place), {"namespace": namespace}))


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
    home: HomeOption = None,
    dry_run: DryRunOption = False,
) -> None:
    """Run a sweep as a job of a Ray that is already running, through its dashboard (needs rnnbench[cluster] here and there).

    Example: rnnbench submit ray lstm --address http://ray-head:8265
    """
    from rnnbench.cluster.programs import ProgramMissing
    from rnnbench.cluster.ray_job import RayRequest, render_script, submit_command, submit_folder
    from rnnbench.cluster.submission import Submission

    request = RayRequest(address)
    request.check()
    job = _read_job(Given(file, name, changes or [], num_samples, home, db, tracking_uri), elsewhere=True)
    script = render_script(job, cluster_home or str(job.home.path))
    place = _new_script(job, "ray", "") / "job.sh"
    label = f"rnnbench-{job.sweep}-{place.parent.name}"
    if dry_run:
        _show(script, submit_command(request, place.parent, label), None)
        return
    try:
        _write(place, script)
        _write(place.with_name("sweep.yaml"), job.text)
        submit_folder(request, place.parent, label)
    except ProgramMissing as error:
        raise _left(place, script, shlex.join(submit_command(request, place.parent, label)), error) from None
    except BaseException:
        _remove(job, place, place.with_name("sweep.yaml"))
        raise
    _record(job, Submission("ray", label, _now().isoformat(), str(place.parent), {"address": address}))


@dataclass(frozen=True)
class Given:
    """The options that every kind of submission has."""

    file: str
    name: str | None
    changes: list[str]
    num_samples: int | None
    home: str | None
    db: str | None
    tracking_uri: str | None


def _read_job(given: Given, *, elsewhere: bool = False) -> "SweepJob":
    """Reads, checks and plans the sweep as the job will.

    Args:
        elsewhere: The job sees neither this machine's files nor its databases.
    """
    from rnnbench.base.errors import InputError
    from rnnbench.base.filesystem import network_filesystem
    from rnnbench.cluster.job import SweepJob
    from rnnbench.search.find import find_sweep_file
    from rnnbench.search.sweepfile import read_sweep
    from rnnbench.sweep.init_from import find_sources, needs_sources
    from rnnbench.sweep.planned import plan_sweep

    place, path = home_at(given.home), find_sweep_file(given.file)
    sweep = read_sweep(path, name=given.name, overrides=given.changes, num_samples=given.num_samples)
    if needs_sources(sweep):
        with open_ledger(place, given.db) as ledger:
            sweep = find_sources(sweep, ledger, place)
    plan_sweep(sweep, os.environ)
    own = [task.own for task in sweep.tasks if task.own is not None]
    if elsewhere and own:
        raise InputError(f"{own[0]}: the job does not see files of this machine; give the task a data set by name")
    if not elsewhere and given.db is None and (kind := network_filesystem(place.path)):
        raise InputError(
            f"the results folder {place.path} lies on a network file system ({kind}), where SQLite loses data; "
            "say --db postgresql://..., so that the ledger is in a database"
        )
    resources = sweep.resources
    job = SweepJob(
        sweep.name, path.absolute(), path.read_text(encoding="utf-8"), place, given.changes, given.num_samples, given.db,
        given.tracking_uri, resources.cpus, resources.max_concurrent,
    )  # fmt: skip
    job.check()
    return job


def _read_setup(path: Path | None) -> str | None:
    from rnnbench.base.errors import InputError

    try:
        return None if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--setup {path} cannot be read ({getattr(error, 'strerror', 'not UTF-8')})") from error


def _now() -> datetime:
    return datetime.now(UTC)


def _new_script(job: "SweepJob", kind: str, ending: str) -> Path:
    from rnnbench.cluster.submission import new_name

    return job.home.submissions(job.sweep) / (new_name(job.home, job.sweep, kind, _now()) + ending)


def _write(path: Path, text: str) -> None:
    from rnnbench.base.errors import InputError
    from rnnbench.base.files import write_atomic

    try:
        write_atomic(path, text)
    except PermissionError as error:
        raise InputError(f"{path.parent} cannot be written ({error.strerror}); choose another results folder with --home") from error


def _remove(job: "SweepJob", *files: Path) -> None:
    """Takes the files of a job that was refused away again, and the folders that are empty then."""
    for file in files:
        file.unlink(missing_ok=True)
    for folder in files[0].parents:
        if folder == job.home.path.parent:
            return
        try:
            folder.rmdir()
        except OSError:  # other files are there, or it was never made
            if folder.exists():
                return


def _show(text: str, words: list[str], folder: Path | None) -> None:
    typer.echo(text, nl=False)
    where = f"cd {shlex.quote(str(folder))} && " if folder else ""
    people().print(f"nothing was written; without --dry-run: {where}{shlex.join(words)}", markup=False, soft_wrap=True)


def _left(place: Path, text: str, how: str, error: "InputError") -> "InputError":
    """Leaves the job file for a machine that has the program."""
    from rnnbench.base.errors import InputError

    if not place.exists():
        _write(place, text)
    return InputError(f"{error}; the job file is {place}; where it is: {how}")


def _record(job: "SweepJob", submission: "Submission") -> None:
    submission.record()
    console = output()
    console.print(f"submitted {job.sweep} as {submission.kind} job {submission.job}", markup=False, soft_wrap=True)
    console.print(f"script and log: {submission.script}", markup=False, soft_wrap=True)
    db = "" if job.db is None else f" --db {shlex.quote(job.db)}"
    console.print(f"how it stands:  {command()} status {job.sweep}{home_flag(job.home)}{db}", markup=False, soft_wrap=True)
