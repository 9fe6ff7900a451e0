"""Slurm: what a person asks of it, the job's script, and handing that to sbatch."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnbench.base.errors import InputError
from rnnbench.base.names import printable
from rnnbench.cluster.job import SweepJob
from rnnbench.cluster.programs import complaint, run_program
from rnnbench.cluster.render import render

# Slurm reads #SBATCH lines itself, by rules of its own: only values that mean the same to everybody stand there.
_VALUE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,:@/=+*-]{0,199}")
_PARTITION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,-]{0,199}")
_OPTION = re.compile(r"[a-z][a-z-]{1,40}")
_TIME = re.compile(r"\d{1,5}(-\d{1,2}(:\d{1,2}){0,2}|(:\d{1,2}){0,2})")
# Said by other options, or by the script itself.
_OURS = {
    "array", "chdir", "cpus-per-task", "error", "gpus-per-node", "job-name", "nodes", "ntasks", "ntasks-per-node", "open-mode", "output",
    "partition", "requeue", "no-requeue", "signal", "time", "wrap",
}  # fmt: skip
MAX_ARRAY = 10_000
# How long before the end of its time a job is told to save; a trial saves within a batch's time, the sweep waits 20 s for it.
NOTICE_S = 120


@dataclass(frozen=True)
class SlurmRequest:
    """What a job asks of Slurm.

    Attributes:
        nodes: 1 trains in processes of one node; more start a Ray of the job's own over them.
        cpus_per_node, gpus_per_node: None: those of the trials that run at once, where the file says how many, else of one trial.
        time: Slurm's form: minutes, [hours:]minutes:seconds or days-hours[:minutes[:seconds]]; None: the partition's default.
        array: So many jobs, without Ray, that share one sweep over PostgreSQL.
        options: More of sbatch's, as `KEY=VALUE` or `KEY`.
        setup: Shell lines that run first (modules, an environment); None: the environment that submits.
    """

    nodes: int = 1
    cpus_per_node: int | None = None
    gpus_per_node: int | None = None
    time: str | None = None
    partition: str | None = None
    array: int | None = None
    options: Sequence[str] = ()
    setup: str | None = None

    def check(self, job: SweepJob) -> None:
        """Refuses what cannot be meant, before Slurm is asked.

        Raises:
            InputError: a value; the text says what is allowed.
        """
        if self.partition is not None and not _PARTITION.fullmatch(self.partition):
            raise InputError(f"--partition is {printable(self.partition)!r}, must be a partition's name (letters, digits, . _ - ,)")
        if self.time is not None and not _TIME.fullmatch(self.time):
            raise InputError(
                f"--time is {printable(self.time)!r}, must be minutes, [hours:]minutes:seconds or days-hours[:minutes[:seconds]]: "
                "90, 1:30:00, 2-12"
            )
        for option in self.options:
            key, equals, value = option.partition("=")
            if not _OPTION.fullmatch(key) or (equals and not _VALUE.fullmatch(value)):
                raise InputError(
                    f"--sbatch {printable(option)!r} must be KEY=VALUE of sbatch, without spaces or quotes: account=physics, mem=16G"
                )
            if key in _OURS:
                raise InputError(f"--sbatch {key}: the script says that itself; it has an option of its own, or must stay as it is")
        self.of_node(job)
        if self.array is not None:
            if self.nodes != 1:
                raise InputError("--array is for jobs of one node each: leave --nodes out, or --array")
            if not (job.db or "").startswith("postgresql"):
                raise InputError(
                    "--array needs --db postgresql://...: its jobs share one ledger, and only PostgreSQL gives each trial to one of them"
                )

    @property
    def template(self) -> str:
        """The template below deploy/ that this becomes."""
        return f"slurm/{'array' if self.array is not None else 'multi' if self.nodes > 1 else 'single'}.sh.j2"

    def of_node(self, job: SweepJob) -> tuple[int, int]:
        """CPUs and GPUs of each node, see `SweepJob.of_node`."""
        return job.of_node(self.nodes, self.cpus_per_node, self.gpus_per_node)

    def directives(self, job: SweepJob) -> list[str]:
        """The options of sbatch that stand in the script, without their `#SBATCH`."""
        cpus, gpus = self.of_node(job)
        lines = [f"--job-name=rnnbench-{job.sweep}", f"--nodes={self.nodes}", "--ntasks-per-node=1", f"--cpus-per-task={cpus}"]
        lines += [f"--gpus-per-node={gpus}"] if gpus else []
        lines += [f"--time={self.time}"] if self.time is not None else []
        lines += [f"--partition={self.partition}"] if self.partition is not None else []
        lines += [f"--array=0-{self.array - 1}"] if self.array is not None else []
        lines += [f"--{option}" for option in self.options]
        log = "slurm-%j.log" if self.array is None else "slurm-%A_%a.log"
        return [*lines, f"--output={log}", "--open-mode=append", "--requeue", f"--signal=B:USR1@{NOTICE_S}"]


def render_script(job: SweepJob, request: SlurmRequest, cwd: Path) -> str:
    """The job's script.

    Args:
        cwd: Where the sweep runs, as it does where it is submitted: relative paths of `--set` mean the same.
    """
    cpus, gpus = request.of_node(job)
    more = {"single": [], "multi": [], "array": ["--join"]}[request.template.removeprefix("slurm/").removesuffix(".sh.j2")]
    return render(
        request.template,
        directives=request.directives(job),
        cwd=cwd,
        setup=request.setup,
        programs=Path(sys.executable).parent,
        folder=job.home.submissions(job.sweep),
        cpus=cpus,
        gpus=gpus,
        command=job.arguments(str(job.file), str(job.home.path), *more),
    )


def try_time(request: SlurmRequest) -> None:
    """Compares the time limit with the partition's: most sites accept a job that never starts for that reason.

    Raises:
        InputError: it is longer than any of the named partitions allows.
    """
    if request.time is None:
        return
    where = [] if request.partition is None else [f"--partition={request.partition}"]
    done = run_program(["sinfo", "--noheader", "--format=%P|%l", *where])
    # A star marks the default partition.
    lines = [line.strip().split("|") for line in done.stdout.splitlines() if request.partition is not None or "*|" in line]
    limits = {words[0].rstrip("*"): words[1] for words in lines if len(words) == 2 and _TIME.fullmatch(words[1])}
    if limits and len(limits) == len(lines) and all(minutes(request.time) > minutes(limit) for limit in limits.values()):
        said = ", ".join(f"{name} {limit}" for name, limit in sorted(limits.items()))
        raise InputError(
            f"--time {request.time} is longer than the partition allows ({said}); ask for less: a sweep that ran out of time goes on"
        )


def minutes(time: str) -> float:
    """Minutes of a time as Slurm writes it."""
    days, dash, rest = time.rpartition("-")
    parts = [int(part) for part in rest.split(":")]
    if dash:
        hours, mins, secs = (*parts, 0, 0)[:3]
        return int(days) * 1440 + hours * 60 + mins + secs / 60
    if len(parts) == 3:
        return parts[0] * 60 + parts[1] + parts[2] / 60
    return parts[0] + (parts[1] / 60 if len(parts) == 2 else 0)


def submit_script(script: Path) -> str:
    """Hands a script to Slurm, in whose folder the log will lie; gives the job's number.

    Raises:
        ProgramMissing: there is no sbatch here.
        InputError: Slurm refused it; the text says why.
    """
    done = run_program(["sbatch", "--parsable", str(script)], cwd=script.parent)
    number = done.stdout.strip().partition(";")[0]
    if done.returncode or not number.isdigit():
        raise InputError(f"Slurm refuses the job: {complaint(done)}")
    return number
