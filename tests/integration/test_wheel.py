"""The built wheel holds everything: sweep files, tasks and templates work where no source is."""

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "platform", "tasks", "search_spaces", "deploy")
SMALL = """\
task: sequential_digits
cells: [elman]
search: {method: random, num_samples: 1, seed: 0}
budget: {max_epochs: 1}
confirm: {top_k: 1, seeds: 2}
space: {network.hidden_size: 4, optimizer.lr: 1e-2, training.batch_size: 256}
"""


def run(command: list[str], folder: Path, environment: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a fresh environment with the wheel, and the libraries of this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    # A copy: building in place would ship what an earlier build left in build/.
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif (ROOT / name).is_file():
            shutil.copy(ROOT / name, source / name)
    pip = [sys.executable, "-m", "pip", "--quiet"]
    run([*pip, "wheel", str(source), "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(folder)], folder)
    venv.create(folder / "env", symlinks=True)
    python = folder / "env" / "bin" / "python"
    run([*pip, "--python", str(python), "install", "--no-deps", "--no-index", *map(str, folder.glob("*.whl"))], folder)
    packages = next((folder / "env" / "lib").glob("python3.*")) / "site-packages"
    # A folder named in a .pth file is searched after the wheel's, and its own .pth files (our editable install) are not read.
    (packages / "libraries.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


@pytest.mark.slow
def test_the_wheel_runs_from_any_folder_and_finds_its_sweep_files(installed: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "RNNBENCH_HOME": str(tmp_path / "runs")}
    environment.pop("PYTHONPATH", None)
    shown = run([str(installed / "rnnbench"), "sweep", "lstm", "--dry-run"], tmp_path, environment)
    assert "lstm" in shown
    assert [path.name for path in tmp_path.iterdir()] in ([], ["runs"])


@pytest.mark.slow
def test_the_wheel_runs_a_sweep_to_its_report(installed: Path, tmp_path: Path) -> None:
    """Whatever a sweep reads on its way: cards, tables, templates of a report."""
    environment = {**os.environ, "RNNBENCH_HOME": str(tmp_path / "runs")}
    environment.pop("PYTHONPATH", None)
    (tmp_path / "small.yaml").write_text(SMALL)
    run([str(installed / "rnnbench"), "sweep", "small.yaml"], tmp_path, environment)
    report = tmp_path / "runs" / "reports" / "small"
    assert (report / "report.html").stat().st_size > 10_000
    assert "\\begin{tabular}" in (report / "report.tex").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("package", "folder"),
    [
        ("rnnbench", "platform/rnnbench"),
        ("rnnbench_tasks", "tasks"),
        ("rnnbench_search_spaces", "search_spaces"),
        ("rnnbench_deploy", "deploy"),
    ],
)
def test_the_wheel_holds_every_file_of(installed: Path, tmp_path: Path, package: str, folder: str) -> None:
    program = f"import importlib.resources as r; print(r.files({package!r}))"
    packaged = Path(run([str(installed / "python"), "-c", program], tmp_path).strip())
    assert packaged.is_relative_to(installed.parent)
    wanted = {path.relative_to(ROOT / folder) for path in (ROOT / folder).rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert wanted
    assert wanted - {path.relative_to(packaged) for path in packaged.rglob("*")} == set()
