"""Documents stay in step with the code: what a person can type is written down."""

from pathlib import Path

import pytest
from typer.main import get_command

import rnnbench
from rnnbench.cells.table import list_cells
from rnnbench.cli.app import app
from rnnbench.search.domains import KINDS
from rnnbench.search.reader import KEYS
from rnnbench.task.cards import TaskCard
from rnnbench.task.catalogue import list_tasks

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
GUIDE = (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")
PAGES = ("docs/data.md", "docs/models.md", "docs/results.md", "docs/reliability.md", "docs/deployment.md", "docs/security.md")
DEPLOYMENT = ("deploy/README.md", "deploy/compose/README.md")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_every_cell_is_in_the_readmes_table() -> None:
    for cell in list_cells():
        assert f"| `{cell.name}` |" in README, cell.name


@pytest.mark.parametrize("task", list_tasks(), ids=lambda task: task.name)
def test_every_task_is_in_the_readmes_table_with_its_data_sets(task: TaskCard) -> None:
    (row,) = [line for line in README.splitlines() if line.startswith(f"| `{task.name}` |")]
    for name in task.data:
        assert f"`{name}`" in row or row.split(" | ")[1] == name, name


def test_everything_that_a_program_may_build_on_is_in_the_guide() -> None:
    for name in rnnbench.__all__:
        assert name == "__version__" or f"`rnnbench.{name}`" in GUIDE, name


def test_every_command_is_documented() -> None:
    for name in get_command(app).commands:  # type: ignore[attr-defined]  # a group, which typer types as a command
        assert any(f"rnnbench {name}" in text or f"`{name}`" in text for text in (README, GUIDE, CHANGELOG)), name


@pytest.mark.parametrize("key", KEYS)
def test_every_key_of_the_sweep_file_that_works_is_in_the_guide(key: str) -> None:
    assert f"\n{key}:" in GUIDE


@pytest.mark.parametrize("kind", KINDS)
def test_every_distribution_is_in_the_guide(kind: str) -> None:
    assert f"| `{kind}: " in GUIDE


def test_links_of_the_documents_lead_somewhere() -> None:
    import re

    for document in (
        "README.md",
        "CONTRIBUTING.md",
        "docs/guide.md",
        "docs/cells.md",
        "docs/tutorial.md",
        "docs/performance.md",
        *PAGES,
        *DEPLOYMENT,
    ):
        text = (ROOT / document).read_text(encoding="utf-8")
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", text):
            assert ((ROOT / document).parent / target).exists(), f"{document}: {target}"


def test_every_promise_of_reliability_names_a_test_that_exists_and_every_fault_has_one() -> None:
    import re

    document = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    tests = {
        name for path in (ROOT / "tests").rglob("test_*.py") for name in re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE)
    }
    named = set(re.findall(r"`(test_\w+)`", document))
    assert named <= tests, named - tests
    faults = {name for name in tests if name.startswith("test_fault_")}
    numbers = {int(number) for name in faults for number in re.findall(r"(?:fault|and)_(\d\d)", name)}
    assert numbers == set(range(1, 29))
    for name in faults - named:
        # A second test of the same promise.
        assert name.startswith(("test_fault_13_and_14_there", "test_fault_19_a_network")), name


def test_the_page_of_the_cells_is_that_of_the_cells() -> None:
    import json

    from rnnbench.cells.document import render
    from rnnbench.cells.table import CELLS

    measured = json.loads((ROOT / "benchmarks" / "results" / "cells.json").read_text(encoding="utf-8"))
    assert (ROOT / "docs" / "cells.md").read_text(encoding="utf-8") == render(CELLS, measured), "run: make docs"
    assert {timing["cell"] for timing in measured["timings"]} >= {cell.name for cell in CELLS}, "run: make bench docs"
