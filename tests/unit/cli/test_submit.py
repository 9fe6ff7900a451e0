"""`rnnbench submit`, and what `rnnbench status` then says."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from rnnbench.base.errors import InputError, RnnbenchError, UnknownNameError
from rnnbench.cli.app import app
from tests.unit.cluster.jobs import write_program

SMALL = "task: adding\ncells: [lstm]\nsearch: {method: random, num_samples: 2, seed: 0}\nspace: {network.hidden_size: {choice: [4, 8]}}\n"
KINDS = {"slurm": [], "kuberay": [], "ray": ["--address", "http://127.0.0.1:8265"]}
NEEDS = {"slurm": "sbatch", "kuberay": "kubectl", "ray": "ray"}
Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Run:
    """rnnbench in a folder with a sweep file, on a path that has no cluster's program."""
    monkeypatch.chdir(tmp_path)
    for name in ("RNNBENCH_HOME", "RNNBENCH_CHECKPOINTS"):
        monkeypatch.delenv(name, raising=False)
    tools = tmp_path_factory.mktemp("tools")
    for name in ("cat", "touch"):
        (tools / name).symlink_to(shutil.which(name) or name)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{tools}")
    # `ray` beside this Python is none of the test's.
    monkeypatch.setattr("sys.executable", str(tmp_path / "python"))
    (tmp_path / "small.yaml").write_text(SMALL)

    def invoke(*arguments: str, error: type[RnnbenchError] | None = None) -> Result:
        result = CliRunner().invoke(app, arguments)
        if error is None:
            assert result.exit_code == 0, (result.output, result.exception)
        else:
            assert isinstance(result.exception, error), result.exception
            assert "\n" not in str(result.exception)
        return result

    return invoke


def test_a_dry_run_prints_the_job_file_and_writes_nothing(run: Run, tmp_path: Path) -> None:
    for kind, options in KINDS.items():
        shown = run("submit", kind, "small.yaml", "--set", "search.seed=3", *options, "--dry-run")
        assert "--name small --set search.seed=3" in shown.stdout
        assert NEEDS[kind] in shown.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["small.yaml"]


def test_a_sweep_for_gpus_and_workers_is_submitted_from_a_machine_without(run: Run) -> None:
    resources = ["--set", "resources.gpus=1", "--set", "resources.workers=2", "--set", "resources.cpus=3"]
    slurm = run("submit", "slurm", "small.yaml", *resources, "--dry-run").stdout
    assert "#SBATCH --cpus-per-task=6\n#SBATCH --gpus-per-node=2\n" in slurm
    kuberay = run("submit", "kuberay", "small.yaml", *resources, "--dry-run").stdout
    assert "nvidia.com/gpu: 2" in kuberay.replace('"', "")
    assert run("submit", "ray", "small.yaml", *KINDS["ray"], *resources, "--dry-run").stdout
    for kind in ("slurm", "kuberay"):
        said = str(run("submit", kind, "small.yaml", *resources, "--gpus-per-node", "1", error=InputError).exception)
        assert said.startswith("--gpus-per-node is 1, and a trial takes 2 of one node")


@pytest.mark.parametrize("kind", KINDS)
def test_without_the_program_one_line_names_it_and_the_job_file_that_was_left(run: Run, tmp_path: Path, kind: str) -> None:
    result = run("submit", kind, "small.yaml", *KINDS[kind], error=InputError)
    said = str(result.exception)
    assert said.startswith(f"{NEEDS[kind]} is not on the path of this machine; the job file is ")
    place = Path(said.split("the job file is ")[1].split(";", maxsplit=1)[0])
    assert place.is_relative_to(tmp_path / "runs" / "submissions" / "small")
    assert "--name small" in place.read_text()
    assert not list((tmp_path / "runs").rglob("*.json"))


@pytest.mark.parametrize("kind", KINDS)
def test_a_bad_sweep_file_is_refused_before_anything_else(run: Run, tmp_path: Path, kind: str) -> None:
    (tmp_path / "small.yaml").write_text(SMALL.replace("hidden_size", "hiden_size"))
    said = str(run("submit", kind, "small.yaml", *KINDS[kind], error=InputError).exception)
    assert said.startswith("small.yaml:4:")
    assert "did you mean" in said
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_queue_refuses_is_said_and_leaves_nothing(run: Run, tmp_path: Path, kind: str) -> None:
    write_program(tmp_path / "bin", NEEDS[kind], "echo 'no such account' >&2; exit 1")
    said = str(run("submit", kind, "small.yaml", *KINDS[kind], error=InputError).exception)
    assert said.endswith("no such account")
    assert not (tmp_path / "runs").exists()


def test_a_submission_is_recorded_and_the_status_asks_the_queue_for_it(run: Run, tmp_path: Path) -> None:
    write_program(tmp_path / "bin", "sbatch", "cat >/dev/null; echo 41")
    words = run("submit", "slurm", "small.yaml").stdout
    assert words.startswith("submitted small as slurm job 41\n")
    (record,) = (tmp_path / "runs" / "submissions" / "small").glob("*.json")
    told = json.loads(record.read_text())
    assert (told["kind"], told["job"], told["script"]) == ("slurm", "41", str(record.with_suffix(".sh")))
    assert run("status", "small").stdout.splitlines()[1].endswith(": not reachable from here")
    write_program(tmp_path / "bin", "squeue", "echo '41|PENDING|Priority'")
    assert run("status", "small").stdout.splitlines()[1].endswith(": PENDING (Priority)")
    document = json.loads(run("status", "small", "--json").stdout)
    assert (document["sweep"], document["status"], document["planned"], document["best"]) == ("small", "submitted", 0, None)
    assert [(one["job"], one["state"]) for one in document["submissions"]] == [("41", "PENDING (Priority)")]


@pytest.mark.parametrize("name", ["small", "..", "../../etc"])
def test_without_submissions_the_status_asks_no_queue(run: Run, tmp_path: Path, name: str) -> None:
    write_program(tmp_path / "bin", "squeue", f"touch {tmp_path}/asked")
    run("status", name, error=UnknownNameError)
    assert not (tmp_path / "asked").exists()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["slurm", "small.yaml", "--array", "3"], "needs --db postgresql"),
        (["slurm", "small.yaml", "--partition", "a b; rm x"], "--partition"),
        (["slurm", "small.yaml", "--db", "postgresql://me:secret@host/db"], "holds a password"),
        (["slurm", "small.yaml", "--setup", "missing.sh"], "cannot be read"),
        (["slurm", "small.yaml", "--name", "../up"], "name"),
        (["ray", "small.yaml", "--address", "head:6379"], "dashboard"),
        (["kuberay", "small.yaml", "--namespace", "A B"], "--namespace"),
    ],
)
def test_what_cannot_be_meant_is_refused_and_leaves_nothing(run: Run, tmp_path: Path, options: list[str], said: str) -> None:
    assert said in str(run("submit", *options, error=InputError).exception)
    assert not (tmp_path / "runs").exists()


def test_a_results_folder_on_a_network_file_system_needs_a_database(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rnnbench.base.filesystem.network_filesystem", lambda path: "nfs4")
    said = str(run("submit", "slurm", "small.yaml", error=InputError).exception)
    assert "(nfs4)" in said
    assert "--db postgresql" in said
    run("submit", "slurm", "small.yaml", "--db", "postgresql://me@host/db", "--dry-run")


def test_a_results_folder_that_cannot_be_written_is_one_line(run: Run, tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    assert "cannot be written" in str(run("submit", "slurm", "small.yaml", error=InputError).exception)


@pytest.mark.parametrize("kind", KINDS)
def test_the_store_of_checkpoints_goes_with_the_job_and_no_key_does(run: Run, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "top-secret")
    command = ["submit", kind, "small.yaml", *KINDS[kind], "--dry-run"]
    assert "--checkpoints" not in run(*command).stdout
    said = run(*command, "--checkpoints", "s3://bucket/a").stdout
    monkeypatch.setenv("RNNBENCH_CHECKPOINTS", "s3://bucket/a")
    assert run(*command).stdout.replace("-", "") == said.replace("-", "") or kind == "kuberay"
    assert "--checkpoints s3://bucket/a " in said
    assert "top-secret" not in said
    assert "AWS" not in said.replace("(PGPASSWORD, AWS_SECRET_ACCESS_KEY)", "")
    error = run(*command, "--checkpoints", "s3://key:top-secret@bucket", error=InputError).exception
    assert "holds a key" in str(error)
    assert "top-secret" not in str(error)
