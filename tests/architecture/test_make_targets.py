"""The make targets: what the documents name exists, and what exists is in `make help`."""

import re

import pytest

from tests.architecture.source_files import ROOT

MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[1].split())  # type: ignore[index]  # None fails here, loudly


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md", ".ci/run"])
def test_every_make_target_that_a_document_names_exists(document: str) -> None:
    # At the start of a line or in code: prose also says "make".
    named = set(re.findall(r"(?:^\s*|`)make ([a-z][a-z-]*)", (ROOT / document).read_text(encoding="utf-8"), re.MULTILINE))
    assert named - TARGETS == set()
    assert named


def test_every_target_is_in_the_help_of_make() -> None:
    assert set(re.findall(r'"make ([a-z-]+) ', MAKEFILE)) == TARGETS - {"help"}


def test_the_python_that_make_accepts_is_the_one_that_the_package_accepts() -> None:
    lowest, highest = re.search(r"\((\d+, \d+)\) <= sys\.version_info\[:2\] <= \((\d+, \d+)\)", MAKEFILE).groups()  # type: ignore[union-attr]
    major, minor = highest.split(", ")
    wanted = f'requires-python = ">={lowest.replace(", ", ".")},<{major}.{int(minor) + 1}"'
    assert wanted in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
