"""shellcheck on every script that the templates of deploy/ become."""

import shutil
import subprocess
from pathlib import Path

import pytest

from rnnbench.cluster import ray_job
from rnnbench.cluster.slurm import SlurmRequest, render_script
from tests.unit.cluster.jobs import sweep_job

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("shellcheck") is None, reason="needs shellcheck: not on the path, see make cluster-tools"),
]
SCRIPTS = {
    "slurm/single.sh.j2": SlurmRequest(),
    "slurm/multi.sh.j2": SlurmRequest(nodes=2, gpus_per_node=1, time="1:00:00", partition="long"),
    "slurm/array.sh.j2": SlurmRequest(array=8),
    "slurm/single.sh.j2 with a setup": SlurmRequest(setup="module purge\nmodule load python\n"),
}


def render_all(folder: Path) -> dict[str, str]:
    job = sweep_job(folder, overrides=["cells=[lstm, gru]", 'it is "quoted"'], db="postgresql://me@host/db")
    scripts = {name: render_script(job, request, folder) for name, request in SCRIPTS.items()}
    return scripts | {"ray/job.sh.j2": ray_job.render_script(job, "/shared/runs")}


def check(script: str) -> str:
    """What shellcheck finds, of every severity."""
    words = ["shellcheck", "--norc", "--shell=bash", "--format=gcc", "-"]
    return subprocess.run(words, input=script, capture_output=True, text=True, timeout=60, check=False).stdout


def test_every_template_is_among_those_that_are_checked() -> None:
    templates = {str(path.relative_to(ROOT / "deploy")) for path in (ROOT / "deploy").rglob("*.sh.j2")}
    # Included by the others.
    assert templates - {"slurm/begin.sh.j2"} == {name.split()[0] for name in render_all(Path("/x"))}


@pytest.mark.parametrize("name", [*SCRIPTS, "ray/job.sh.j2"])
def test_shellcheck_finds_nothing_in_the_script(name: str) -> None:
    script = render_all(Path("/a place"))[name]
    assert check(script) == ""
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


@pytest.mark.parametrize("path", sorted(str(path.relative_to(ROOT)) for path in (ROOT / "deploy").rglob("*.sh")))
def test_shellcheck_finds_nothing_in_the_scripts_that_are_no_templates(path: str) -> None:
    assert check((ROOT / path).read_text(encoding="utf-8")) == ""


@pytest.mark.parametrize(
    ("good", "bad", "found"),
    [
        ('rm -f -- "$token"', "rm -f -- $token", "SC2086"),
        ("|| exit 1", "", "SC2164"),
        ('"${steps[@]}"', "${steps[@]}", "SC2068"),
        ("\nend_job $?", "\nend_job $(", "SC1"),
    ],
)
def test_shellcheck_finds_what_is_broken(good: str, bad: str, found: str) -> None:
    script = render_all(Path("/a place"))["slurm/multi.sh.j2"]
    assert good in script
    assert found in check(script.replace(good, bad))
