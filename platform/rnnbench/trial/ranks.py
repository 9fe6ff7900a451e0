"""The other processes of a data-parallel trial, seen from its first one: started once for each worker, and given trial after trial.

They are programs of their own (`rnnbench.trial.rank`): a process that has threads cannot be forked safely. Orders are lines of JSON on
their standard input, whose end ends them; what they say comes on their standard output.
"""

import atexit
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rnnbench.base.errors import RanksLostError
from rnnbench.trial.checkpoint import to_bytes
from rnnbench.trial.job import Job
from rnnbench.trial.parallel import ParallelTrainer, hand_over, joined
from rnnbench.trial.pulse import Pulse

# Between two looks at whether the trial is to stop, while others start.
LOOK_S = 0.2
# A process that has died is noticed by those that are connected to it; what it said last may come a little later.
BLAME_S = 3.0
# Of what a helper says, after which its first failure is another's fault.
PEER = "peer"
# Where nothing limits a trial's silence.
MAX_WAIT_S = 24 * 3600.0


class Helper:
    """One other process."""

    def __init__(self, rank: int) -> None:
        self.rank = rank
        command = [sys.executable, "-P", "-m", "rnnbench.trial.rank"]
        pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
        # A process group of its own: Ctrl-C at the terminal is the driver's to answer.
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=quiet, bufsize=0, process_group=0)
        self._rest = b""
        self._said: list[dict[str, Any]] = []

    def order(self, order: Mapping[str, Any]) -> None:
        """Raises: RanksLostError: it has died."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
        except OSError as error:
            raise RanksLostError(self.epitaph()) from error

    def listen(self, wait_s: float) -> dict[str, Any] | None:
        """What it says next, waiting so long for it.

        Raises:
            RanksLostError: it has died.
        """
        if self._said:
            return self._said.pop(0)
        assert self.process.stdout is not None
        if not select.select([self.process.stdout], [], [], wait_s)[0]:
            return None
        found = os.read(self.process.stdout.fileno(), 1 << 16)
        if not found:
            raise RanksLostError(self.epitaph())
        *lines, self._rest = (self._rest + found).split(b"\n")
        self._said += [json.loads(line) for line in lines]
        return self.listen(wait_s) if self._said else None

    def epitaph(self) -> str:
        """That it has died, in words."""
        return f"the process of worker {self.rank + 1} died"

    def end(self) -> None:
        """Ends it, whatever it does."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


# By the process that started them: a forked one starts its own.
_idle: dict[int, list[Helper]] = {}


class Team:
    """The other processes of one trial. It is busy while they may be waiting for this process in the middle of something."""

    def __init__(self, job: Job, helpers: list[Helper], store: Path) -> None:
        self.job = job
        self.helpers = helpers
        self.store = store
        self.is_busy = True

    @contextmanager
    def start(self, trainer: ParallelTrainer, pulse: Pulse) -> Iterator[None]:
        """Gives them where the trial stands; they train with it for as long as the block lasts.

        Raises:
            RanksLostError: one of them could not begin.
            TrialInterrupted, TrialTimeout: see `Pulse.beat`.
        """
        trainer.share(0, self.job.workers)
        for helper in self.helpers:
            while (said := helper.listen(LOOK_S)) is None:
                pulse.beat()
            if "ready" not in said:
                raise _failure(helper, said)
        state = to_bytes(trainer.state())
        self._order_all({"state_bytes": len(state)})
        with joined(self.store, 0, self.job.workers, silence_of(self.job), trainer.device):
            hand_over(state, len(state), trainer.device)
            self.is_busy = False
            trainer.ranks = self
            yield

    @contextmanager
    def step(self, order: Mapping[str, Any]) -> Iterator[None]:
        """See `trial.parallel.Ranks`.

        Raises:
            RanksLostError: one of them died or failed, and why.
        """
        self.is_busy = True
        self._order_all(order)
        try:
            yield
        except RuntimeError as error:
            if (lost := self._blame()) is not None:
                raise lost from error
            raise
        self.is_busy = False

    def find_peaks(self) -> list[dict[str, int]]:
        """The most that each of them has held in this trial, `memory_bytes` and `gpu_bytes`; empty where they cannot be asked any more."""
        if self.is_busy:
            return []
        try:
            self._order_all({"peak": True})
            said = [helper.listen(BLAME_S) for helper in self.helpers]
        except RanksLostError:
            return []
        return [peak["peak"] for peak in said if peak is not None] if all(peak and "peak" in peak for peak in said) else []

    def _order_all(self, order: Mapping[str, Any]) -> None:
        for helper in self.helpers:
            helper.order(order)

    def _blame(self) -> RanksLostError | None:
        """Which of the others has died or failed by itself; None: none of them, so that the fault is here."""
        deadline, suspects = time.monotonic() + BLAME_S, list(self.helpers)
        while suspects and time.monotonic() < deadline:
            for helper in list(suspects):
                try:
                    said = helper.listen(LOOK_S / len(suspects))
                except RanksLostError as lost:
                    return lost
                if said is not None and said.get("category") == PEER:
                    suspects.remove(helper)
                elif said is not None:
                    return _failure(helper, said)
        return None


@contextmanager
def gathered(job: Job, *, alone: bool) -> Iterator[Team]:
    """The other processes of a job, starting; afterwards they wait for the next one, or are ended where they hang in this one.

    Args:
        alone: Whether they may be ended from outside, see `run_trial`.
    """
    if os.getpid() not in _idle:
        atexit.register(dismiss_all)
    pool = _idle.setdefault(os.getpid(), [])
    helpers = [helper for helper in pool if helper.process.poll() is None][: job.workers - 1]
    for helper in pool:
        if helper not in helpers:
            helper.end()
    helpers += [Helper(rank) for rank in range(len(helpers) + 1, job.workers)]
    pool[:] = helpers
    place = Path(tempfile.mkdtemp(prefix="rnnbench-ranks-"))  # made for this user alone
    team = Team(job, helpers, place / "store")
    try:
        for rank, helper in enumerate(helpers, 1):
            helper.rank = rank
            helper.order({"job": job.to_dict(), "rank": rank, "store": str(team.store), "alone": alone})
        yield team
    finally:
        if team.is_busy or not _dismiss(helpers):
            for helper in helpers:
                helper.end()
            pool.clear()
        shutil.rmtree(place, ignore_errors=True)


def dismiss_all() -> None:
    """Ends those that this process keeps for its next trial."""
    for helper in _idle.pop(os.getpid(), []):
        helper.end()


def silence_of(job: Job) -> float:
    """Seconds after which a process that waits for the others gives up."""
    return job.limits.max_silent_seconds or MAX_WAIT_S


def _dismiss(helpers: list[Helper]) -> bool:
    """Whether all have left the trial and wait for another."""
    try:
        for helper in helpers:
            helper.order({"end": True})
        return all((said := helper.listen(BLAME_S)) is not None and "ended" in said for helper in helpers)
    except RanksLostError:
        return False


def _failure(helper: Helper, said: Mapping[str, Any]) -> RanksLostError:
    return RanksLostError(f"worker {helper.rank + 1} failed:\n{said.get('failed', said)}", str(said.get("category", "error")))
