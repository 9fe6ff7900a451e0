"""The guard's verdicts, and the pulse that a trial gives."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from rnnbench.base.errors import TrialInterrupted, TrialTimeout
from rnnbench.trial import guard
from rnnbench.trial.files import VERDICT
from rnnbench.trial.pulse import LOOK_EVERY_S, Pulse
from rnnbench.trial.watchdog import verdict_on

FREE: dict[str, Any] = {"memory_bytes": None, "max_seconds": None, "max_silent_seconds": None}


@pytest.mark.parametrize(
    ("limits", "category"),
    [
        ({}, None),
        ({"memory_bytes": 100}, "oom"), ({"memory_bytes": 1000}, None),
        ({"max_seconds": 10}, "timeout"), ({"max_seconds": 98}, None),
        ({"max_silent_seconds": 10}, "hang"), ({"max_silent_seconds": 50}, None),
    ],
)  # fmt: skip
def test_each_limit_has_its_category(limits: dict[str, Any], category: str | None) -> None:
    verdict = guard.broken(FREE | limits, started=0.0, beat=60.0, now=100.0, memory=500)
    assert (verdict[0] if verdict else None) == category


def test_a_process_tells_its_own_memory() -> None:
    assert 5e6 < guard.private_bytes(os.getpid()) < 50e9
    assert guard.private_bytes(2**30) == 0


def test_the_guard_ends_a_silent_process_and_says_why(tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    watching = subprocess.Popen([sys.executable, "-I", "-S", guard.__file__, str(worker.pid)], stdin=subprocess.PIPE, text=True)
    assert watching.stdin is not None
    watch = FREE | {"verdicts": {str(tmp_path / VERDICT): 3}, "max_silent_seconds": 0.5}
    watching.stdin.write(json.dumps({"watch": watch}) + "\n")
    watching.stdin.flush()
    assert worker.wait(timeout=20) == -9
    assert watching.wait(timeout=20) == 0
    watching.stdin.close()
    found = verdict_on(tmp_path, 3)
    assert found is not None
    assert found[0] == "hang"
    assert verdict_on(tmp_path, 2) is None
    (tmp_path / VERDICT).write_text("[]")
    assert verdict_on(tmp_path, 3) is None


def test_the_guard_leaves_a_process_that_rests_and_ends_with_it(tmp_path: Path) -> None:
    worker = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1.5)"])
    watching = subprocess.Popen([sys.executable, "-I", "-S", guard.__file__, str(worker.pid)], stdin=subprocess.PIPE, text=True)
    assert watching.stdin is not None
    watch = FREE | {"verdicts": {str(tmp_path / VERDICT): 1}, "max_silent_seconds": 0.3}
    watching.stdin.write(json.dumps({"watch": watch}) + "\n" + json.dumps({"rest": 1}) + "\n")
    watching.stdin.flush()
    assert worker.wait(timeout=20) == 0
    watching.stdin.close()
    assert watching.wait(timeout=20) == 0
    assert not (tmp_path / VERDICT).exists()


def test_a_pulse_looks_now_and_then_and_stops_when_asked(tmp_path: Path) -> None:
    now, beats = [0.0], []
    pulse = Pulse(lambda: now[0], deadline=10.0, stop_file=str(tmp_path / "stop"), alive=lambda: beats.append(now[0]))
    for moment in (0.0, 0.01, 0.02, LOOK_EVERY_S, LOOK_EVERY_S + 0.01):
        now[0] = moment
        pulse.beat()
    assert beats == [0.0, LOOK_EVERY_S]
    (tmp_path / "stop").touch()
    now[0] = 5.0
    with pytest.raises(TrialInterrupted):
        pulse.beat()
    now[0] = 10.1
    with pytest.raises(TrialTimeout, match="max_seconds"):
        pulse.beat()
