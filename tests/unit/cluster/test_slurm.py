"""The script of a Slurm job: what it asks for, that nothing gets into its shell, and what it does with signals."""

import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from rnnbench.base.errors import InputError
from rnnbench.cluster.slurm import SlurmRequest, minutes, render_script, submit_script, try_time
from tests.unit.cluster.jobs import EVIL, sweep_job, write_program

POSTGRESQL = "postgresql://me@host/db"


def directives(script: str) -> list[str]:
    return [line.removeprefix("#SBATCH ") for line in script.splitlines() if line.startswith("#SBATCH ")]


def test_the_script_asks_for_what_the_person_asked_for(tmp_path: Path) -> None:
    request = SlurmRequest(
        nodes=3, cpus_per_node=8, gpus_per_node=2, time="1-12", partition="long", options=["account=physics", "exclusive"]
    )
    lines = directives(render_script(sweep_job(tmp_path), request, tmp_path))
    asked = {"--nodes=3", "--cpus-per-task=8", "--gpus-per-node=2", "--time=1-12", "--partition=long", "--account=physics", "--exclusive"}
    assert asked <= set(lines)
    assert {"--requeue", "--signal=B:USR1@120", "--open-mode=append", "--output=slurm-%j.log"} <= set(lines)


@pytest.mark.parametrize(("at_once", "cpus"), [(None, 2), (6, 12)])
def test_without_a_number_of_cpus_it_asks_for_those_of_the_trials_that_run_at_once(tmp_path: Path, at_once: int | None, cpus: int) -> None:
    script = render_script(sweep_job(tmp_path, cpus=2, at_once=at_once), SlurmRequest(), tmp_path)
    assert f"--cpus-per-task={cpus}" in directives(script)


@pytest.mark.parametrize(
    ("gpus", "at_once", "nodes", "asked"),
    [(0.0, 4, 1, None), (1.0, None, 1, 1), (1.0, 4, 2, 2), (0.25, 4, 1, 1), (0.25, 5, 1, 2), (1 / 3, 3, 1, 1), (4.0, 3, 1, 12)],
)
def test_without_a_number_of_gpus_it_asks_for_those_of_the_trials_that_run_at_once(
    tmp_path: Path, gpus: float, at_once: int | None, nodes: int, asked: int | None
) -> None:
    lines = directives(render_script(sweep_job(tmp_path, gpus=gpus, at_once=at_once), SlurmRequest(nodes=nodes), tmp_path))
    assert [line for line in lines if "gpus" in line] == ([] if asked is None else [f"--gpus-per-node={asked}"])


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (SlurmRequest(cpus_per_node=7), "--cpus-per-node is 7, and a trial takes 8 of one node (resources in small.yaml)"),
        (SlurmRequest(nodes=2, gpus_per_node=0), "--gpus-per-node is 0, and a trial takes 4 of one node"),
        (SlurmRequest(nodes=2, gpus_per_node=3), "--gpus-per-node is 3, and a trial takes 4 of one node"),
    ],
)
def test_a_node_on_which_no_trial_has_room_is_refused(tmp_path: Path, request_: SlurmRequest, said: str) -> None:
    with pytest.raises(InputError, match=re.escape(said)):
        request_.check(sweep_job(tmp_path, cpus=8, gpus=4.0))


def test_one_node_needs_no_ray_more_nodes_do_and_an_array_joins(tmp_path: Path) -> None:
    scripts = [
        render_script(sweep_job(tmp_path, db=POSTGRESQL), request, tmp_path)
        for request in (SlurmRequest(), SlurmRequest(nodes=2), SlurmRequest(array=8))
    ]
    assert [("ray start" in script, "--address" in script, "--join" in script) for script in scripts] == [
        (False, False, False),
        (True, True, False),
        (False, False, True),
    ]
    assert {"--array=0-7", "--output=slurm-%A_%a.log"} <= set(directives(scripts[2]))
    assert all("ray stop" not in script for script in scripts)


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        *((SlurmRequest(partition=evil), "--partition") for evil in EVIL),
        *((SlurmRequest(time=evil), "--time") for evil in (*EVIL, "tomorrow", "1:2:3:4", "")),
        *((SlurmRequest(options=[f"account={evil}"]), "--sbatch") for evil in EVIL),
        *((SlurmRequest(options=[evil]), "--sbatch") for evil in EVIL),
        (SlurmRequest(options=["signal=TERM"]), "the script says that itself"),
        (SlurmRequest(array=2, nodes=2), "one node each"),
        (SlurmRequest(array=2), "needs --db postgresql://"),
    ],
)
def test_what_could_mean_something_else_to_slurm_is_refused(tmp_path: Path, request_: SlurmRequest, said: str) -> None:
    with pytest.raises(InputError, match=said.replace("(", r"\(")):
        request_.check(sweep_job(tmp_path))


def test_what_slurm_knows_is_taken(tmp_path: Path) -> None:
    for time_ in ("90", "90:30", "1:30:00", "2-0", "2-12:30", "2-12:30:10"):
        SlurmRequest(time=time_, partition="gpu_a100,gpu-h100", options=["mem=16G", "constraint=a100", "exclusive"]).check(
            sweep_job(tmp_path)
        )
    SlurmRequest(array=4).check(sweep_job(tmp_path, db=POSTGRESQL))


@pytest.mark.parametrize(
    ("text", "expected"), [("90", 90), ("90:30", 90.5), ("1:30:00", 90), ("2-0", 2880), ("1-1:30", 1530), ("1-0:0:30", 1440.5)]
)
def test_times_are_read_as_slurm_reads_them(text: str, expected: float) -> None:
    assert minutes(text) == expected


def start(folder: Path, script: str, **environment: str) -> subprocess.Popen[str]:
    """Runs a job's script as Slurm would."""
    path = folder / "job.sh"
    path.write_text(script)
    environment = {"PATH": os.environ["PATH"], "SLURM_JOB_ID": "7"} | environment
    return subprocess.Popen(["bash", str(path)], cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def with_program(folder: Path, text: str) -> SlurmRequest:
    """A request whose job finds another rnnbench, and a scontrol that notes what it is asked."""
    write_program(folder / "bin", "rnnbench", text)
    write_program(folder / "bin", "scontrol", f'printf "%s " "$@" >{shlex.quote(str(folder / "scontrol.txt"))}')
    return SlurmRequest(setup=f'PATH={shlex.quote(str(folder / "bin"))}:"$PATH"\n')


def test_no_value_gets_into_the_shell_and_each_reaches_the_sweep_as_it_was(tmp_path: Path) -> None:
    place = tmp_path / 'it\'s a $(touch hacked) "place"'
    place.mkdir()
    request = with_program(tmp_path, f'printf "%s\\0" "$PWD" "$@" >{shlex.quote(str(tmp_path / "seen"))}')
    job = sweep_job(place, overrides=EVIL, db=EVIL[3], tracking_uri=EVIL[2])
    process = start(tmp_path, render_script(job, request, place))
    assert process.communicate(timeout=20)[1] is None
    assert process.returncode == 0
    seen = (tmp_path / "seen").read_text().split("\0")[:-1]
    assert seen == [str(place), *job.arguments(str(job.file), str(job.home.path))[1:]]
    assert not list(tmp_path.rglob("hacked"))


WAITS_FOR_TERM = "trap 'exit 143' TERM; touch started; while :; do sleep 0.02; done"


@pytest.mark.parametrize(
    ("number", "code", "asked"), [(signal.SIGUSR1, 0, "requeue 7 "), (signal.SIGTERM, 143, None)], ids=["time is nearly up", "cancelled"]
)
def test_a_signal_reaches_the_sweep_which_saves_and_only_usr1_queues_the_job_again(
    tmp_path: Path, number: int, code: int, asked: str | None
) -> None:
    process = start(tmp_path, render_script(sweep_job(tmp_path), with_program(tmp_path, WAITS_FOR_TERM), tmp_path))
    deadline = time.monotonic() + 20
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    process.communicate(timeout=20)
    assert process.returncode == code
    note = tmp_path / "scontrol.txt"
    assert (note.read_text() if note.exists() else None) == asked


@pytest.mark.parametrize("code", [0, 1, 2, 3])
def test_the_job_ends_as_the_sweep_did(tmp_path: Path, code: int) -> None:
    process = start(tmp_path, render_script(sweep_job(tmp_path), with_program(tmp_path, f"exit {code}"), tmp_path))
    process.communicate(timeout=20)
    assert process.returncode == code
    assert not (tmp_path / "scontrol.txt").exists()


@pytest.mark.parametrize(
    ("words", "code"), [("slurm_requeue error: Job is pending execution", 0), ("slurm_requeue error: Access/permission denied", 143)]
)
def test_a_job_that_slurm_does_not_queue_again_says_so_unless_slurm_was_faster(tmp_path: Path, words: str, code: int) -> None:
    request = with_program(tmp_path, "kill -USR1 $PPID; sleep 0.1; exit 143")
    write_program(tmp_path / "bin", "scontrol", f"echo '{words}' >&2; exit 1")
    process = start(tmp_path, render_script(sweep_job(tmp_path), request, tmp_path))
    said, _ = process.communicate(timeout=20)
    assert process.returncode == code
    assert (f"does not queue the job again ({words})" in said) is bool(code)


def test_a_job_that_never_gets_further_is_not_queued_for_ever(tmp_path: Path) -> None:
    request = with_program(tmp_path, "kill -USR1 $PPID; sleep 0.1; exit 143")
    process = start(tmp_path, render_script(sweep_job(tmp_path), request, tmp_path), SLURM_RESTART_COUNT="200")
    process.communicate(timeout=20)
    assert process.returncode == 143
    assert not (tmp_path / "scontrol.txt").exists()


def test_the_number_of_the_job_is_what_sbatch_says_and_its_refusal_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "runs" / "job.sh"
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    write_program(tmp_path, "sbatch", 'pwd >&2; echo "41;cluster"')
    script.parent.mkdir()
    assert submit_script(script) == "41"
    write_program(
        tmp_path, "sbatch", 'echo "sbatch: error: no money" >&2; echo "sbatch: error: Batch job submission failed: no money" >&2; exit 1'
    )
    with pytest.raises(InputError, match=r"^Slurm refuses the job: no money"):
        submit_script(script)


@pytest.mark.parametrize(
    ("time_", "partition", "refused"),
    [("61", None, True), ("60", None, False), ("3-0", "short,long", False), ("11-0", "short,long", True), ("11-0", "endless", False)],
)
def test_a_time_is_refused_only_where_every_named_partition_is_too_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, time_: str, partition: str | None, refused: bool
) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    rows = {"short,long": "short*|1:00:00\\nlong|10-00:00:00", "endless": "endless|infinite"}
    table = "short*|1:00:00\\nlong|10-00:00:00\\nendless|infinite" if partition is None else rows[partition]
    write_program(tmp_path, "sinfo", f'printf "{table}\\n"')
    request = SlurmRequest(time=time_, partition=partition)
    if refused:
        with pytest.raises(InputError, match="longer than the partition allows"):
            try_time(request)
    else:
        try_time(request)
