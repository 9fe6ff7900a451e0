"""A sweep as a job of a Ray that runs."""

import os
import subprocess
from pathlib import Path

import pytest

from rnnbench.base.errors import InputError
from rnnbench.cluster.ray_job import RayRequest, render_script, submit_command, submit_folder
from tests.unit.cluster.jobs import EVIL, sweep_job, write_program

REQUEST = RayRequest("http://ray-head:8265")


@pytest.mark.parametrize(
    "address",
    ["ray-head:6379", "http://", "http://:8265", "http://me:secret@host:1", "http://a b:1", "http://host:port", "file:///x", *EVIL],
)
def test_only_the_address_of_a_dashboard_is_taken(address: str) -> None:
    with pytest.raises(InputError, match="must be that of Ray's dashboard"):
        RayRequest(address).check()


@pytest.mark.parametrize("address", ["http://ray-head:8265", "https://ray.example.org", "http://[::1]:8265", "http://127.0.0.1:8265"])
def test_addresses_of_dashboards_are_taken(address: str) -> None:
    RayRequest(address).check()


def test_the_job_runs_the_sweep_with_every_value_as_it_was(tmp_path: Path) -> None:
    job = sweep_job(tmp_path, overrides=EVIL)
    (tmp_path / "job.sh").write_text(render_script(job, "/shared/my runs"))
    write_program(tmp_path / "bin", "rnnbench", 'printf "%s\\0" "$PWD" "$@"')
    environment = {"PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", str(tmp_path / "job.sh")], cwd="/", env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split("\0")[:-1] == [str(tmp_path), *job.arguments("sweep.yaml", "/shared/my runs", "--address", "auto")[1:]]
    assert not (tmp_path / "hacked").exists()


def test_ray_gets_a_folder_and_words_that_no_shell_changes(tmp_path: Path) -> None:
    assert submit_command(REQUEST, tmp_path, "rnnbench-small-1") == [
        *["ray", "job", "submit", "--address", "http://ray-head:8265", "--working-dir", str(tmp_path)],
        *["--submission-id", "rnnbench-small-1", "--no-wait", "--", "bash", "job.sh"],
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("echo 'Error: No such command ' >&2; exit 2", "rnnbench.cluster"),
        (
            "for n in {1..99}; do echo \"  File $n\" >&2; done; echo 'ConnectionError: no way' >&2; exit 1",
            "does not take the job: ConnectionError: no way",
        ),
    ],
)
def test_a_refusal_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    write_program(tmp_path, "ray", text)
    with pytest.raises(InputError, match=said) as caught:
        submit_folder(REQUEST, tmp_path, "x")
    assert "\n" not in str(caught.value)
