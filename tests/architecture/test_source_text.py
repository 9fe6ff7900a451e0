"""What no file of ours may say."""

import ast
import re
from pathlib import Path

import pytest

from tests.architecture.source_files import PLATFORM, find_modules, find_texts, shown

PATH_OF_ONE_MACHINE = re.compile(r"(?<![\w.~])/(?:work|root|Users|home/[a-z]\w*)/")
# A promise with an issue number is allowed. The brackets keep this file from finding itself.
UNFINISHED = re.compile(r"\bTO[D]O\b(?!\(#\d+\))|\bFIX[M]E\b|\bXX[X]\b|Not[I]mplementedError|not[ ]implemented yet")


def find_lines(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{shown(path)}:{number}: {line.strip()}"
        for path in find_texts()
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").split("\n"), 1)
        if pattern.search(line)
    ]


def test_nothing_names_a_path_of_one_machine() -> None:
    assert find_lines(PATH_OF_ONE_MACHINE) == []


def test_nothing_is_left_unfinished() -> None:
    assert find_lines(UNFINISHED) == []


def test_the_two_patterns_find_what_they_are_for() -> None:
    assert PATH_OF_ONE_MACHINE.search("open('" + "/ro" + "ot/x')")
    assert UNFINISHED.search("# TO" + "DO later")
    assert not UNFINISHED.search("# TO" + "DO(#12) later")


@pytest.mark.parametrize("path", [path for path in find_texts() if path.suffix == ".py"], ids=shown)
def test_code_is_ascii(path: Path) -> None:
    assert path.read_bytes().isascii()


@pytest.mark.parametrize("path", [path for path in find_modules() if path.name == "__init__.py"], ids=shown)
def test_a_package_says_what_it_is_and_does_nothing(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8", errors="replace"))
    assert ast.get_docstring(tree)
    rest = [ast.unparse(node).split(" = ")[0] for node in tree.body[1:]]
    if path == PLATFORM / "__init__.py":
        # Its version, and the functions that programs call; what they need they import when they are called.
        imports = ["from pathlib import Path", "from typing import TYPE_CHECKING", "from rnnbench.base.version import __version__"]
        door = [*imports, "if TYPE_CHECKING:", "__all__", "def load", "def open"]
        assert [line.split("(")[0].split("\n")[0] for line in rest] == door
    else:
        assert rest == []
