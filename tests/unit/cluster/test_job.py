"""What a job runs."""

from pathlib import Path

import pytest

from rnnbench.base.errors import InputError
from rnnbench.base.home import Home
from tests.unit.cluster.jobs import sweep_job


def test_the_command_says_all_that_the_person_said(tmp_path: Path) -> None:
    home = Home(tmp_path / "runs", "s3://bucket/a")
    job = sweep_job(tmp_path, home=home, overrides=["a=1", "b=[x, y]"], num_samples=3, db="postgresql://host/db", tracking_uri="none")
    assert job.arguments("file.yaml", "/runs", "--join") == [
        *["rnnbench", "sweep", "file.yaml", "--name", "small", "--set", "a=1", "--set", "b=[x, y]", "--num-samples", "3"],
        *["--db", "postgresql://host/db", "--tracking-uri", "none", "--checkpoints", "s3://bucket/a", "--home", "/runs", "--join"],
    ]


@pytest.mark.parametrize("option", ["db", "tracking_uri"])
def test_a_password_never_gets_into_a_script(tmp_path: Path, option: str) -> None:
    with pytest.raises(InputError, match="holds a password") as caught:
        sweep_job(tmp_path, **{option: "postgresql://me:secret@host/db"}).check()
    assert "secret" not in str(caught.value)
    sweep_job(tmp_path, **{option: "postgresql://me@host/db"}).check()
