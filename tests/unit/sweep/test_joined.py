"""Several runners on one sweep: what comes out is what one alone would have made, and nothing runs twice."""

import secrets
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from rnnbench.base.errors import LeaseLostError
from rnnbench.base.home import Home
from rnnbench.ledger.records import FINAL, Holder, Status
from rnnbench.ledger.store import Ledger
from rnnbench.sweep import lease as leasing
from rnnbench.sweep import runner as running
from rnnbench.sweep import slots
from rnnbench.sweep.executor import NextJobs, Queue, Record
from rnnbench.sweep.runner import Runner
from rnnbench.sweep.watch import Watch
from rnnbench.trial.job import Job
from tests.contract.sweeps import SMALL, read_text, start

RANDOM = SMALL.replace("num_samples: 2", "num_samples: 6").replace("max_epochs: 2", "max_epochs: 4")
ASHA = RANDOM.replace("budget:", "scheduler: {name: asha, grace_period: 1, reduction_factor: 2}\nbudget:")
ASYNC = ASHA.replace("reduction_factor: 2", "reduction_factor: 2, mode: async")
TPE = RANDOM.replace("method: random", "method: tpe")


class Inventing:
    """An executor that invents curves from the trials' keys; `meanwhile` is called within its first trial."""

    def __init__(self, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.ran: list[tuple[str, int]] = []
        self.meanwhile = meanwhile

    def execute(self, next_jobs: NextJobs, record: Record) -> None:
        while (jobs := next_jobs()) is not Queue.DONE:
            for job in jobs if isinstance(jobs, list) else ():
                self.ran.append((job.key, job.attempt))
                if len(self.ran) == 1:
                    self.meanwhile()
                train(job, record)
            time.sleep(0.002)  # the others' turn


def train(job: Job, record: Record) -> None:
    told = {"key": job.key, "attempt": job.attempt}
    last = job.until_epoch or 4
    values = [int(job.key[:6], 16) / 0xFFFFFF * (1 - 1 / (epoch + 1)) for epoch in range(1, last + 1)]
    for epoch, value in enumerate(values, 1):
        facts = {"epoch": epoch, "wall_s": 0.1, "metrics": {"accuracy": value}, "best": value, "best_epoch": epoch, "last": value}
        record({"kind": "epoch", **told, **facts})
    outcome = {"metrics": {"accuracy": values[-1]}, "epochs": last, "test": {"accuracy": 0.5}}
    status = "paused" if job.until_epoch else "completed"
    record({"kind": "finished", **told, "status": status, "outcome": outcome, "wall_s": 0.1, "error": None, "category": None})


def joined(text: str, folder: Path, url: str, number: int, meanwhile: Callable[[], None] = lambda: None) -> list[Inventing]:
    """Runs a sweep to its end by so many runners at once, each with its own connection."""
    folder.mkdir()
    home, executors = Home(folder), [Inventing(meanwhile) for _ in range(number)]
    faults: list[BaseException] = []
    ended: list[bool] = []

    def work(executor: Inventing) -> None:
        try:
            with Ledger.open(url) as ledger:
                runner = start(sweep, ledger, home)
                runner.joined = number > 1
                runner.run(executor)
                assert runner.is_complete()
                ended.append(runner.ended)
        except BaseException as error:  # noqa: BLE001 - raised again in the test's own thread
            faults.append(error)

    sweep = read_text(text, folder)
    threads = [threading.Thread(target=work, args=(executor,)) for executor in executors]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if faults:
        raise faults[0]
    assert sorted(ended) == [False] * (number - 1) + [True], "one of them ends the sweep"
    return executors


def result(url: str) -> tuple[Any, ...]:
    """What must be the same by however many: trials, curves, decisions."""
    with Ledger.open(url) as ledger:
        trials = ledger.trials("small")
        assert {trial.status for trial in trials} <= FINAL
        shown = [(trial.position, trial.key, trial.status, trial.best, trial.stopped_at) for trial in trials]
        curves = {key: [each.metrics for each in curve] for key, curve in ledger.epochs([trial.key for trial in trials]).items()}
        decisions = sorted((each.key, each.rung, each.verdict, repr(each.evidence)) for each in ledger.decisions("small"))
        news = Counter(event.trial_key for event in ledger.outbox.waiting(1000) if event.kind == "trial_finished")
        assert news == Counter(trial.key for trial in trials), "each end is told once"
        assert sum(event.kind == "sweep_ended" for event in ledger.outbox.waiting(1000)) == 1
        assert ledger.leases.all() == []
        return shown, curves, decisions


def assert_none_ran_twice(executors: Sequence[Inventing]) -> None:
    ran = Counter(each for executor in executors for each in executor.ran)
    assert set(ran.values()) == {1}


@pytest.fixture(autouse=True)
def _look_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(running, "LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(running, "LOOK_REST", 0.0)


@pytest.mark.slow
@pytest.mark.parametrize("text", [RANDOM, ASHA], ids=["random", "asha"])
def test_three_together_make_what_one_makes(text: str, tmp_path: Path, database_url: str) -> None:
    alone = f"sqlite:///{tmp_path / 'alone.db'}"
    joined(text, tmp_path / "alone", alone, 1)
    begun: list[None] = []
    met = threading.Event()

    def meet() -> None:
        """Holds a runner's first trial until another has one too: on a busy machine one of them could be done before the others start."""
        begun.append(None)
        if len(begun) > 1:
            met.set()
        assert met.wait(50), "no other runner got a trial"

    assert_none_ran_twice(joined(text, tmp_path / "together", database_url, 3, meet))
    assert result(database_url) == result(alone)


@pytest.mark.slow
def test_decisions_made_at_once_are_each_made_once(tmp_path: Path, database_url: str) -> None:
    assert_none_ran_twice(joined(ASYNC, tmp_path / "together", database_url, 3))
    _, _, decisions = result(database_url)
    assert decisions
    assert len({(key, rung) for key, rung, *_ in decisions}) == len(decisions)


@pytest.mark.slow
def test_each_slot_is_drawn_once_and_all_run_what_was_drawn(tmp_path: Path, database_url: str) -> None:
    assert_none_ran_twice(joined(TPE, tmp_path / "together", database_url, 3))
    result(database_url)
    with Ledger.open(database_url) as ledger:
        planned = start(read_text(TPE, tmp_path), ledger, Home(tmp_path)).planned
        drawn = [spec.key() for slot in ledger.slots("small") for spec in slots.redraw(planned, slot, slot.evidence or {})]
        assert len(drawn) == 12
        assert drawn == [trial.key for trial in ledger.trials("small") if trial.stage == "search"]


def test_what_a_dead_worker_had_is_taken_up_while_the_others_run(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    left: list[str] = []
    once = threading.Lock()

    def die() -> None:
        """Leaves a trial claimed by a process of this machine whose number another process has now."""
        with once, Ledger.open(url) as ledger:
            while not left:
                dead = Holder(secrets.token_hex(16), socket.gethostname(), 1, f"{leasing._place()} never")
                assert ledger.leases.take("small", dead, joined=True) is None
                # The other runner may find it dead before it has a trial.
                with suppress(LeaseLostError):
                    left.extend(trial.key for trial in ledger.claim("small", 1, dead.token))

    executors = joined(SMALL, tmp_path / "home", url, 2, die)
    assert len(left) == 1
    assert (left[0], 2) in executors[0].ran + executors[1].ran
    with Ledger.open(url) as ledger:
        assert [attempt.status for attempt in ledger.attempts(left)[left[0]]] == [Status.INTERRUPTED, Status.COMPLETED]
    result(url)


def test_one_that_stops_leaves_the_rest_to_the_others(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Ledger.open(url) as ledger:
        first = start(read_text(SMALL, tmp_path), ledger, Home(tmp_path))
        first.joined = True
        first.run(Inventing(lambda: first.stop.request("terminate")))
        assert not first.is_complete()
        assert not first.ended
    (second,) = joined(SMALL, tmp_path / "home", url, 1)
    assert second.ran
    result(url)


def test_the_silent_are_told_from_those_who_beat(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now = 0.0
    watch = Watch(lambda: now)
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        start(read_text(SMALL, tmp_path), ledger, Home(tmp_path))
        for token in ("silent", "beats"):
            ledger.leases.take("small", Holder(token, "elsewhere", 7, "x"), joined=True)
        gone: dict[float, list[str]] = {}
        for second in range(0, 100, 10):
            now = float(second)
            ledger.leases.beat("small", "beats", 10.0)
            gone[now] = [lease.holder.token for lease in watch.find_gone(ledger.leases.all())]
        assert {moment: tokens for moment, tokens in gone.items() if tokens} == {60.0 + 10 * step: ["silent"] for step in range(4)}
        # One whose last sign is old by this machine's clock too gets some beats, not the whole time.
        monkeypatch.setattr(leasing, "is_live", lambda lease: False)
        moments = iter((200.0, 214.0, 215.0))
        late = Watch(lambda: next(moments))
        assert late.find_gone(ledger.leases.all()) == []
        assert late.find_gone(ledger.leases.all()) == []
        assert len(late.find_gone(ledger.leases.all())) == 2


def test_workers_share_what_waits(tmp_path: Path) -> None:
    with Ledger.open(f"sqlite:///{tmp_path / 'ledger.db'}") as ledger:
        runner: Runner = start(read_text(SMALL, tmp_path), ledger, Home(tmp_path))
        ledger.leases.take("small", Holder("other", "elsewhere", 7, "x"), joined=True)
        runner.joined = True
        runner.run(Inventing())
        assert runner._num_workers == 2
