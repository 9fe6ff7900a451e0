"""What pyproject.toml asks for is what the code imports, and constraints.txt pins it."""

import re
import sys
import tomllib

import pytest

from tests.architecture.source_files import ROOT, find_importers, find_modules, read_imports

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PINNED = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines() if "==" in line)
OURS = {"rnnbench", "rnnbench_tasks"}
# Distributions whose module has another name.
MODULES = {"pillow": "PIL", "ruamel.yaml": "ruamel", "scikit-learn": "sklearn"}


def find_names(requirements: list[str]) -> list[str]:
    """The names of distributions, without extras and versions."""
    return [re.split(r"[\[<>=!~ ]", requirement)[0] for requirement in requirements]


def read_module(distribution: str) -> str:
    return MODULES.get(distribution, distribution)


@pytest.mark.parametrize("distribution", find_names(PROJECT["dependencies"]))
def test_every_dependency_is_imported(distribution: str) -> None:
    assert find_importers(read_module(distribution)), f"nothing imports {distribution}: drop it from pyproject.toml"


def test_everything_imported_is_a_dependency() -> None:
    extras = [requirement for extra in PROJECT["optional-dependencies"].values() for requirement in extra]
    declared = {read_module(name) for name in find_names([*PROJECT["dependencies"], *extras])}
    imported = {name.split(".")[0] for path in find_modules() for name in read_imports(path)}
    assert imported - declared - OURS - set(sys.stdlib_module_names) == set()


@pytest.mark.parametrize("distribution", find_names(PROJECT["dependencies"]))
def test_every_dependency_is_pinned(distribution: str) -> None:
    assert distribution in {name.lower() for name in PINNED}


def test_torch_is_pinned_without_the_local_tag_of_one_build() -> None:
    assert "+" not in PINNED["torch"]
