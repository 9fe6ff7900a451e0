"""The state of submitted jobs, asked from the queue that holds them, within seconds."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from rnnbench.base.errors import InputError
from rnnbench.base.names import printable
from rnnbench.cluster.programs import ProgramMissing, run_program
from rnnbench.cluster.submission import Submission

ASK_S = 5.0
# Ray's command line imports much before it asks.
ASK_RAY_S = 20.0
UNREACHABLE = "not reachable from here"
GONE = "no longer known to the queue"
# Older submissions than these are not asked for.
MAX_ASKED = 20
AT_ONCE = 8


def read_states(submissions: Sequence[Submission]) -> list[str]:
    """One state for each submission, in words, in their order; those of the newest are asked."""
    asked = submissions[-MAX_ASKED:]
    states = {one.script: GONE for one in submissions}
    slurm = [one for one in asked if one.kind == "slurm"]
    others = [one for one in asked if one.kind != "slurm"]
    with ThreadPoolExecutor(AT_ONCE) as pool:
        of_slurm = pool.submit(_slurm, [one.job for one in slurm])
        for one, state in zip(others, pool.map(_other, others), strict=True):
            states[one.script] = state
        for one, state in zip(slurm, of_slurm.result(), strict=True):
            states[one.script] = state
    return [states[one.script] for one in submissions]


def _slurm(jobs: Sequence[str]) -> list[str]:
    if not jobs:
        return []
    found, missing = _ask_slurm(["squeue", "--noheader", "--states=all", f"--jobs={','.join(jobs)}", "--format=%F|%T|%r"], jobs)
    rest = [job for job in jobs if job not in found]
    if rest:
        format_ = ["--noheader", "--parsable2", "--allocations", "--format=JobID,State,Reason"]
        more, missing_too = _ask_slurm(["sacct", f"--jobs={','.join(rest)}", *format_], rest)
        found |= more
        missing = missing and missing_too
    return [found.get(job, UNREACHABLE if missing else GONE) for job in jobs]


def _ask_slurm(command: Sequence[str], jobs: Iterable[str]) -> tuple[dict[str, str], bool]:
    """States by job, and whether the program is missing or silent."""
    try:
        done = run_program(command, ASK_S)
    except InputError:
        return {}, True
    # An unknown job is an error of squeue too, where it is the only one.
    silent = done.returncode != 0 and "Invalid job id" not in done.stderr
    return read_slurm(done.stdout, jobs), silent


def read_slurm(table: str, jobs: Iterable[str]) -> dict[str, str]:
    """States by job number from lines `job|state|reason`; the jobs of an array are counted together.

    Args:
        jobs: Those to keep.
    """
    wanted, states = set(jobs), dict[str, Counter[str]]()
    for line in table.splitlines():
        number, state, reason = (*line.strip().split("|", 2), "", "")[:3]
        job = re.match(r"\d+", number)
        if job and job[0] in wanted and state:
            word = state.split()[0]  # CANCELLED by 1000
            why = reason.strip("()") if word == "PENDING" and reason not in ("", "None", "(None)") else ""
            states.setdefault(job[0], Counter())[f"{word} ({printable(why)})" if why else word] += 1
    return {job: _words(counts) for job, counts in states.items()}


def _words(counts: Counter[str]) -> str:
    if counts.total() == 1:
        return next(iter(counts))
    return ", ".join(f"{number} {state}" for state, number in counts.most_common())


def _other(one: Submission) -> str:
    ask: Callable[[Submission], str] = _kuberay if one.kind == "kuberay" else _ray
    try:
        return ask(one)
    except ProgramMissing:
        return UNREACHABLE
    except InputError as error:
        return f"{UNREACHABLE} ({printable(str(error))})"


def _kuberay(one: Submission) -> str:
    fields = "jsonpath={.status.jobDeploymentStatus} {.status.jobStatus}"
    command = ["kubectl", "get", "rayjob", one.job, f"--namespace={one.queue.get('namespace', 'default')}", "-o", fields]
    done = run_program([*command, f"--request-timeout={ASK_S:.0f}s"], 2 * ASK_S)
    if done.returncode:
        return GONE if "NotFound" in done.stderr else UNREACHABLE
    return " ".join(dict.fromkeys(done.stdout.split())) or "PENDING"


def _ray(one: Submission) -> str:
    done = run_program(["ray", "job", "status", "--address", one.queue.get("address", ""), one.job], ASK_RAY_S)
    # Of a job that has ended it says: Job 'x' succeeded.
    words = (done.stdout + done.stderr).replace(one.job, "").upper()
    found = re.search(r"\b(PENDING|RUNNING|STOPPED|SUCCEEDED|FAILED)\b", words)
    if done.returncode == 0 and found:
        return found[1]
    return GONE if "does not exist" in done.stderr else UNREACHABLE
