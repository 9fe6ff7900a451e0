"""Several attempts together in one process: they end one by one, and what stops one does not stop the others."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from itertools import groupby
from typing import Any

import torch

from rnnbench.base.errors import TrialDiverged, TrialInterrupted, TrialsApart, TrialTimeout
from rnnbench.trial.build import read_data
from rnnbench.trial.devices import find_device, matrix_settings, place
from rnnbench.trial.fused import FusedTrainer, build_padded, can_fuse
from rnnbench.trial.job import Job
from rnnbench.trial.loop import Trainer
from rnnbench.trial.probe import measure
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.run import Attempt
from rnnbench.trial.settings import torch_settings
from rnnbench.trial.watchdog import guarded

Member = tuple[Attempt, Trainer]
# What ends an attempt: gives its outcome, or raises why it has none.
End = Callable[[], dict[str, Any]]
SendOf = Callable[[Job, dict[str, Any]], None]


class _Late(Exception):
    """Some attempts are over their time."""


def run_group(
    jobs: Sequence[Job], send: SendOf, clock: Callable[[], float] = time.monotonic, *, alone: bool = False
) -> Iterator[tuple[Attempt, End]]:
    """Trains jobs of one shape together; gives each attempt, and what ends it, as it ends.

    The time of a trial is its share of the process's.

    Args:
        alone: See `run_trial`.
    Raises:
        TrialsApart: the task's module cannot be trained together with others, or not faster.
    """
    device = find_device(jobs[0])
    attempts = [Attempt(job, partial(send, job), clock, torch.Generator(device)) for job in jobs]
    with torch_settings(jobs[0].threads), matrix_settings(jobs[0]), guarded(jobs) if alone else nullcontext(lambda: None) as alive:
        for attempt in attempts:
            attempt.pulse.alive = alive
        data = read_data(jobs[0].spec, jobs[0].paths())
        placed = place(data, device)
        train, validation = placed.splits["train"], placed.splits["validation"]
        members = {attempt: attempt.continued(data) for attempt in attempts}
        pulse = Pulse(clock, stop_file=jobs[0].stop_file, alive=alive)
        if not all(can_fuse(trainer.module) for trainer in members.values()):
            raise TrialsApart(f"task {jobs[0].spec.task} trains in its own way")
        if jobs[0].fuse == "auto":
            try:
                probed = measure(jobs, placed, pulse)
            except TrialInterrupted:
                yield from _interrupted(members)
                return
            attempts[0].send({"kind": "probed", **probed})
            if not probed["worthwhile"]:
                raise TrialsApart("together is not faster here")
        for attempt in attempts:
            attempt.shared_s = 0.0
        clockwork = _Clockwork(members, clock)
        together = FusedTrainer([*members.values()], pulse, clockwork.after_batch, build_padded([job.spec for job in jobs], data, device))
        together.require_silence(train)
        while members:
            for attempt in [attempt for attempt, trainer in members.items() if attempt.is_at_end(trainer)]:
                yield attempt, partial(attempt.end, members.pop(attempt), data)
            for attempt in [attempt for attempt in members if attempt.is_late()]:
                trainer = members.pop(attempt)
                late = TrialTimeout("the trial reached budget.max_seconds")
                yield attempt, partial(attempt.lose, trainer, data, late)
            if not members:
                return
            # Those that another process left within an epoch first come to its end.
            part = next(_alike(list(members.values())))
            together.take(part)
            clockwork.start(part)
            try:
                found = together.run_epoch(train, validation)
            except _Late:
                continue
            except TrialInterrupted:
                yield from _interrupted(members)
                return
            finally:
                clockwork.stop()
            of_trainer = {trainer: attempt for attempt, trainer in members.items()}
            for trainer, result in found.items():
                attempt = of_trainer[trainer]
                if isinstance(result, TrialDiverged):
                    members.pop(attempt)
                    yield attempt, partial(attempt.lose, trainer, data, result)
                else:
                    attempt.tell(trainer, result)
                    attempt.save_when_due(trainer)


class _Clockwork:
    """Charges each attempt its share of the time, and sees to checkpoints and limits between two batches."""

    def __init__(self, members: dict[Attempt, Trainer], clock: Callable[[], float]) -> None:
        self.members = members
        self.clock = clock
        self.part: set[Trainer] = set()
        self.charged_at = clock()

    def start(self, part: Sequence[Trainer]) -> None:
        """These train from now on."""
        self.part, self.charged_at = set(part), self.clock()

    def stop(self) -> None:
        """Charges what has passed."""
        now = self.clock()
        for attempt, trainer in self.members.items():
            if trainer in self.part:
                attempt.shared_s = (attempt.shared_s or 0.0) + (now - self.charged_at) / len(self.part)
        self.charged_at = now

    def after_batch(self) -> None:
        """Raises: _Late."""
        self.stop()
        for attempt, trainer in self.members.items():
            attempt.save_when_due(trainer)
        if any(attempt.is_late() for attempt in self.members):
            raise _Late


def _alike(trainers: list[Trainer]) -> Iterator[list[Trainer]]:
    """Trainers that stand at the same batch, those furthest within an epoch first."""

    def batches(trainer: Trainer) -> int:
        return -(trainer.partial.batches if trainer.partial else 0)

    for _, part in groupby(sorted(trainers, key=batches), key=batches):
        yield list(part)


def _interrupted(members: dict[Attempt, Trainer]) -> Iterator[tuple[Attempt, End]]:
    for attempt, trainer in members.items():
        yield attempt, partial(attempt.interrupted, trainer)
