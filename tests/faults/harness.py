"""Running a driver as another process, killing it, and checking what the ledger says afterwards."""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from rnnbench.ledger.records import FINAL, Status, TrialRecord
from rnnbench.ledger.store import Ledger

COMMAND = [sys.executable, "-c", "from rnnbench.cli.app import main; main()"]
# For tests that take long: the executor that people have alone, the others among the slow tests.
LOCAL_FIRST = ["local", *(pytest.param(name, marks=pytest.mark.slow) for name in ("inline", "ray"))]
PLUGIN = Path(__file__).parent / "plugin"

SIXTY = """\
name: sixty
task: sequential_digits
cells: [elman, lstm]
search: {method: random, num_samples: 28, seed: 0}
scheduler: {name: asha, grace_period: 1, reduction_factor: 2}
budget: {max_epochs: 4}
confirm: {top_k: 1, seeds: 2}
retries: 0
checkpoints: {every_seconds: 0.05}
space:
  network.hidden_size: {choice: [4, 8]}
  network.dropout: 0.1
  optimizer.lr: {loguniform: [1e-3, 1e-1]}
  training.batch_size: 64
"""
SMALL = """\
name: small
task: sequential_digits
cells: [elman, lstm]
search: {method: random, num_samples: 3, seed: 0}
budget: {max_epochs: 2}
space:
  network.hidden_size: 4
  optimizer.lr: {loguniform: [1e-3, 1e-1]}
  training.batch_size: 128
"""
ENDLESS = SMALL.replace("max_epochs: 2", "max_epochs: 1000000").replace("name: small", "name: endless")


def faulty(faults: Sequence[str], more: str = "") -> str:
    """A sweep over the faulty cell, one trial for each fault."""
    return f"""\
name: faulty
task: sequential_digits
cells: [faulty]
search: {{method: grid}}
budget: {{max_epochs: 2, max_silent_seconds: 600}}
retries: 0
{more}
space:
  network.hidden_size: 4
  training.batch_size: 128
  cell.fault: {{grid: [{", ".join(faults)}]}}
"""


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """This process's, without settings of the person who runs the tests, and with the faulty cell installed."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("RNNBENCH", "RAY_"))}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(PLUGIN), kept.get("PYTHONPATH")]))
    return {**kept, **(extra or {})}


def _arguments(arguments: Sequence[str], *, tracking: bool) -> list[str]:
    """The command line; MLflow is left out where a test is about something else, as it takes seconds of each command."""
    off = not tracking and arguments[0] in ("sweep", "resume") and "--dry-run" not in arguments and "--tracking-uri" not in arguments
    return [*COMMAND, *arguments, *(["--tracking-uri", "none"] if off else [])]


def made_once(factory: pytest.TempPathFactory, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that one of the processes of this test run fills, for all of them."""
    place = factory.getbasetemp().parent if os.environ.get("PYTEST_XDIST_WORKER") else factory.getbasetemp()
    folder = place / f"made-once-{name}"
    with (place / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "made").exists():
            folder.mkdir()
            make(folder)
            (folder / "made").touch()
    return folder


def undisturbed(factory: pytest.TempPathFactory, name: str, text: str) -> bytes:
    """What a sweep gives that nothing happens to."""

    def make(folder: Path) -> None:
        (folder / f"{name}.yaml").write_text(text)
        run(folder, "sweep", f"{name}.yaml", "--executor", "inline")
        check_history(folder, name)

    return result(made_once(factory, name, make), name)


def run(
    folder: Path, *arguments: str, code: int | None = 0, extra: Mapping[str, str] | None = None, tracking: bool = False
) -> subprocess.CompletedProcess[str]:
    """Runs the command line to its end."""
    done = subprocess.run(
        _arguments(arguments, tracking=tracking),
        cwd=folder,
        env=environment(extra),
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert code is None or done.returncode == code, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def start(folder: Path, *arguments: str, extra: Mapping[str, str] | None = None, tracking: bool = False) -> subprocess.Popen[str]:
    """Starts the command line."""
    return subprocess.Popen(
        _arguments(arguments, tracking=tracking),
        cwd=folder,
        env=environment(extra),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def open_ledger(folder: Path) -> Ledger:
    """The ledger of a folder in which a sweep was started."""
    return Ledger.open(f"sqlite:///{folder / 'runs' / 'rnnbench.db'}")


def _wait_for_log(folder: Path, process: subprocess.Popen[str], holds: Callable[[list[str]], bool], what: str) -> Path:
    """Waits until the words of some trial's log hold; returns that log."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and process.poll() is None:
        for log in (folder / "runs" / "checkpoints").glob("*/*/trial.log"):
            if holds(log.read_text().split()):
                return log
        time.sleep(0.05)
    raise AssertionError(f"no {what} came: {process.communicate() if process.poll() is not None else 'time is up'}")


def wait_for_epoch(folder: Path, process: subprocess.Popen[str], number: int = 1) -> None:
    """Waits until some trial has reported that epoch."""
    _wait_for_log(folder, process, lambda words: words.count("kind=epoch") >= number, f"epoch {number}")


def wait_for_second_attempt(folder: Path, process: subprocess.Popen[str]) -> Path:
    """Waits until some trial that had begun has begun again, which may be later than its second claim; returns its log."""

    def holds(words: list[str]) -> bool:
        return len({word for word in words if word.startswith("attempt=")}) > 1

    return _wait_for_log(folder, process, holds, "second attempt")


def table(trials: Sequence[TrialRecord]) -> list[tuple[Any, ...]]:
    """What must repeat byte for byte, however a sweep was disturbed: everything but times and attempts."""
    shown = []
    for trial in trials:
        metrics = {name: value for name, value in trial.outcome.get("metrics", {}).items() if not name.endswith("_s")}
        outcome = (trial.outcome.get("epochs"), trial.stopped_at, metrics, trial.outcome.get("test"))
        shown.append((trial.position, trial.key, trial.status.value, trial.best, trial.best_epoch, trial.last, *outcome))
    return shown


def result(folder: Path, name: str) -> bytes:
    """The final table of a sweep and its curves and decisions, as bytes."""
    with open_ledger(folder) as ledger:
        trials = ledger.trials(name)
        epochs = ledger.epochs([trial.key for trial in trials])
        curves = [
            [(epoch.epoch, {key: value for key, value in epoch.metrics.items() if not key.endswith("_s")}) for epoch in epochs[trial.key]]
            for trial in trials
            if trial.key in epochs
        ]
        decisions = sorted((each.key, each.rung, each.verdict, repr(each.evidence)) for each in ledger.decisions(name))
        return repr((table(trials), curves, decisions)).encode()


def check_history(folder: Path, name: str) -> None:
    """Every planned trial ended exactly once: one attempt that ended it, and only interruptions before."""
    with open_ledger(folder) as ledger:
        trials = ledger.trials(name)
        attempts = ledger.attempts([trial.key for trial in trials])
    assert len({trial.key for trial in trials}) == len(trials)
    assert [trial.position for trial in trials] == sorted(trial.position for trial in trials)
    for trial in trials:
        assert trial.status in FINAL, f"{trial.key}: {trial.status}"
        mine = attempts[trial.key]
        assert [each.attempt for each in mine] == list(range(1, trial.attempts + 1))
        assert all(each.ended_at is not None for each in mine)
        # A rung ends an attempt as paused; nothing may follow the one that ended the trial.
        ends = [each.status for each in mine]
        assert all(status in (Status.INTERRUPTED, Status.PAUSED) for status in ends[:-1]), ends
        assert ends[-1] == (Status.PAUSED if trial.stopped_at is not None else trial.status), ends


def marked_processes(mark: str) -> dict[int, str]:
    """Every process that was started with a mark in its environment, by its command line."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (folder / "environ").read_bytes():
                found[int(folder.name)] = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
    return found


def wait_until_gone(mark: str, seconds: float = 20.0) -> dict[int, str]:
    """Waits for every marked process to end; gives those that did not."""
    deadline = time.monotonic() + seconds
    while (left := marked_processes(mark)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def kill(process: subprocess.Popen[str]) -> None:
    """SIGKILL, and waits for the end."""
    process.send_signal(signal.SIGKILL)
    process.communicate()
