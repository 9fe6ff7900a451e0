"""Which part may import which: the layers by import-linter, the libraries by reading the imports."""

import subprocess
import sys

import pytest

from tests.architecture.source_files import ROOT, find_importers, find_modules, read_imports, shown

TORCH_FOLDERS = ("platform/rnnbench/cells/", "platform/rnnbench/task/", "platform/rnnbench/trial/", "tasks/")


def test_the_layers_and_the_other_contracts_of_import_linter_hold() -> None:
    pytest.importorskip("importlinter", reason="import-linter comes with `make check`")
    command = [sys.executable, "-c", "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports())"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("library", ["torch", "lightning", "torchmetrics"])
def test_only_cells_task_trial_and_tasks_import(library: str) -> None:
    assert [path for path in find_importers(library) if not path.startswith(TORCH_FOLDERS)] == []


def test_ray_is_imported_in_one_file() -> None:
    assert find_importers("ray") == ["platform/rnnbench/sweep/ray_executor.py"]


def test_mlflow_is_imported_in_one_file() -> None:
    assert find_importers("mlflow") == ["platform/rnnbench/sweep/mirror.py"]


def test_no_relative_import_hides_a_layer() -> None:
    assert [shown(path) for path in find_modules() if "from ." in path.read_text(encoding="utf-8")] == []


def test_platform_holds_no_module_that_would_shadow_the_standard_library() -> None:
    assert sorted(path.name for path in (ROOT / "platform").iterdir() if path.name != "__pycache__") == ["rnnbench"]


@pytest.mark.parametrize("name", ["utils", "helpers", "misc", "common"])
def test_no_module_is_called(name: str) -> None:
    assert [shown(path) for path in find_modules() if name in (path.stem, path.parent.name)] == []


def test_each_folder_with_code_is_a_package() -> None:
    folders = {path.parent for path in find_modules() if "_template" not in path.parts}
    assert [shown(folder) for folder in sorted(folders) if not (folder / "__init__.py").is_file()] == []


def test_nothing_reads_the_tests() -> None:
    assert [shown(path) for path in find_modules() if any(name.split(".")[0] == "tests" for name in read_imports(path))] == []
