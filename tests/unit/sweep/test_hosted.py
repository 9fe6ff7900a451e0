"""Workers of a host: they get jobs while they work, end with whoever asked for them, and their death is noticed."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rnnbench.sweep import hosted
from rnnbench.sweep.executor import Queue
from rnnbench.sweep.hosted import HUNGRY, Hosting, run_hosted
from rnnbench.sweep.local_executor import LocalExecutor
from rnnbench.trial.door import Event
from rnnbench.trial.host import HostedWorker
from tests.unit.trial.test_group import job


@pytest.fixture(scope="module")
def hosting() -> Iterator[Hosting]:
    with Hosting(1, ["sequential_digits"]) as host:
        yield host


def plain(folder: Path, lr: float, **changes: Any) -> dict[str, Any]:
    return job(folder, lr, fuse="never", **changes).to_dict()


def endless(folder: Path) -> dict[str, Any]:
    one = plain(folder, 0.01)
    one["spec"]["budget"]["max_epochs"] = 1_000_000
    return one


def workers(of: int) -> set[int]:
    """Processes of a host that are running."""
    found = set()
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":\t", 1) for line in status.read_text().splitlines() if ":\t" in line)
        except OSError:
            continue
        if int(fields["PPid"]) == of and not fields["State"].startswith("Z"):
            found.add(int(status.parent.name))
    return found


def wait_for(number: int, of: int) -> set[int]:
    deadline = time.monotonic() + 30
    while len(found := workers(of)) != number:
        assert time.monotonic() < deadline, f"{len(found)} workers, not {number}"
        time.sleep(0.05)
    return found


def listen_for_ever(worker: HostedWorker) -> None:
    while True:
        worker.events(30.0)


def test_a_worker_ends_with_its_connection_whatever_it_does(hosting: Hosting, tmp_path: Path) -> None:
    worker = hosting.fork()
    worker.give([endless(tmp_path)])
    while not worker.events(30.0):
        pass
    host = hosting._host._process.pid
    wait_for(1, host)
    worker.close()
    wait_for(0, host)


def test_the_death_of_a_worker_is_noticed(hosting: Hosting, tmp_path: Path) -> None:
    worker = hosting.fork()
    worker.give([endless(tmp_path)])
    while not worker.events(30.0):
        pass
    (pid,) = wait_for(1, hosting._host._process.pid)
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(ConnectionError, match="died"):
        listen_for_ever(worker)
    worker.close()


def test_test_data_is_opened_only_when_that_is_noted(hosting: Hosting, tmp_path: Path) -> None:
    one = plain(tmp_path, 0.01)
    one["spec"]["stage"] = "confirm"
    worker = hosting.fork()
    worker.give([one])
    kinds: list[str] = []
    while "test_opened" not in kinds:
        kinds += [event["kind"] for event in worker.events(30.0)]
    assert worker.events(0.5) == []
    worker.note()
    while "finished" not in kinds:
        kinds += [event["kind"] for event in worker.events(30.0)]
    assert kinds == ["epoch", "epoch", "epoch", "test_opened", "finished"]
    worker.close()


def test_a_worker_asks_for_more_when_half_is_done_and_gets_it(hosting: Hosting, tmp_path: Path) -> None:
    rates = [0.001 * number for number in range(1, 8)]
    jobs = [plain(tmp_path, lr) for lr in rates]
    told: list[Event] = []
    answers = [jobs[4:6], jobs[6:], []]

    def report(events: list[Event]) -> None:
        told.extend(events)
        if events[-1]["kind"] == HUNGRY:
            answer = answers.pop(0)
            # The driver takes a while, and the worker goes on.
            threading.Timer(0.05, hosting.answer, ("one", answer)).start()

    run_hosted(jobs[:4], hosting.place("one"), report)
    finished = [event["key"] for event in told if event["kind"] == "finished"]
    assert finished == [one["key"] for one in jobs]
    assert answers == []
    first = next(place for place, event in enumerate(told) if event["kind"] == HUNGRY)
    assert 2 <= sum(event["kind"] == "finished" for event in told[:first]) < 4
    hosted._worker.pop().close()


def hosts() -> set[int]:
    """Processes of hosts that this process started and that are running."""
    return {pid for pid in workers(os.getpid()) if b"rnnbench.trial.host" in Path(f"/proc/{pid}/cmdline").read_bytes()}


@pytest.mark.parametrize("is_used", [False, True])
def test_an_executors_host_starts_before_its_trials_and_is_ended_even_while_it_imports(*, is_used: bool) -> None:
    before = hosts()
    with LocalExecutor(1, tasks=["sequential_digits"]) as executor:
        deadline = time.monotonic() + 30
        while not (started := hosts() - before):
            assert time.monotonic() < deadline
        if is_used:
            executor.execute(lambda: Queue.DONE, lambda event: None)
            assert not hosts() & started
    assert hosts() == before
