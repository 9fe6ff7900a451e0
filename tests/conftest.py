"""What every test shares: one thread for torch, and where real data is."""

import os
from pathlib import Path

import pytest

# Read when torch is first imported, by the programs that tests start too: more threads than cores are the usual slowdown.
os.environ["OMP_NUM_THREADS"] = "1"

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def data_home() -> Path:
    """The folder of real data sets: $RNNBENCH_DATA, else ../shared/data beside the repository; without either the test is skipped."""
    named = os.environ.get("RNNBENCH_DATA")
    home = Path(named) if named else ROOT.parent / "shared" / "data"
    if not home.is_dir():
        pytest.skip(f"needs real data: {home} is not there, set RNNBENCH_DATA")
    return home.resolve()
