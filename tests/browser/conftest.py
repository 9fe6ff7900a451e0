"""A browser, and a home with the results of a small sweep; skipped, visibly, where no browser is."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.browser.chromium import Browser

SMALL = Path(__file__).with_name("small.yaml")


@pytest.fixture(scope="session")
def browser() -> Iterator["Browser"]:
    """A headless Chromium, or a visible skip."""
    pytest.importorskip("selenium", reason="needs selenium: make test-browser installs it")
    from tests.browser.chromium import missing_programs, start_browser

    missing = missing_programs()
    if missing:
        pytest.skip(f"needs {' and '.join(missing)}: not on the path, see make browser-tools")
    with start_browser() as found:
        yield found


@pytest.fixture(scope="session")
def small_home(browser: "Browser", tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with the sweep of small.yaml, its report and its runs in MLflow."""
    home = tmp_path_factory.mktemp("browser") / "runs"
    command = [sys.executable, "-c", "from rnnbench.cli.app import main; main()", "sweep", str(SMALL), "--home", str(home)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    return home
