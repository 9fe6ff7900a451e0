"""What the driver hands a worker, and what comes back: plain data only. No torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from rnnbench.cells.own import OwnCell, make_known
from rnnbench.trial.spec import TrialSpec

Fuse = Literal["auto", "always", "never"]


@dataclass(frozen=True)
class Limits:
    """What ends a trial as failed; none of it is part of the trial's key.

    Attributes:
        max_seconds: Wall clock of the whole trial, over all its attempts.
        max_silent_seconds: Longest time between two signs of life (a batch is one).
        memory_bytes: Private memory of the worker process.
    """

    max_seconds: float | None = None
    max_silent_seconds: float | None = 1800.0
    memory_bytes: int | None = None


@dataclass(frozen=True)
class Job:
    """One attempt at one trial.

    Attributes:
        files: The data set's files on this machine, by the name the card gives them, absolute.
        folder: Where this trial works, absolute.
        threads: Threads of torch inside the trial (part of what makes numbers repeat bit for bit).
        limits: What ends the attempt as failed.
        until_epoch: Where a scheduler wants the trial handed back as `paused`; None trains to the end.
        stop_file: The trial saves a checkpoint and hands itself back as `interrupted` once this file exists.
        checkpoint_every_s: How often the trial saves what it can continue from.
        own_cell: File, class name and source of a cell from a person's own file.
        workers: Processes that train the trial together, each with a part of every batch and with `threads`.
        gpus: Of each worker: 0 trains on the processor; a share (the executor's matter) or 1 on the GPU that the environment gives.
        store: Address of the store that keeps what the trial saves; None: its folder does.
        init_from: Checkpoint of the trained model whose weights the trial starts from, by its place in the other trial's folder, see
            `training.init_from`.
        fuse: Whether it trains together with the others that it comes with: auto finds out first if that is faster.
        baselines: Whether to compute the task's non-recurrent baselines too, on the split that its stage is judged on: validation in the
            search, test in the confirmation (one trial of each does, for each question to each data set).
    """

    key: str
    attempt: int
    spec: TrialSpec
    files: Mapping[str, str]
    folder: str
    threads: int = 1
    limits: Limits = field(default_factory=Limits)
    until_epoch: int | None = None
    stop_file: str | None = None
    checkpoint_every_s: float = 10.0
    fuse: Fuse = "never"
    baselines: bool = False
    own_cell: Mapping[str, str] | None = None
    store: str | None = None
    init_from: str | None = None
    workers: int = 1
    gpus: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Plain data for a process border."""
        return {**asdict(self), "spec": self.spec.to_dict(), "files": dict(self.files)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> "Job":
        """The job that `to_dict` wrote."""
        return cls(**{**plain, "spec": TrialSpec.from_dict(plain["spec"]), "limits": Limits(**plain["limits"])})

    def paths(self) -> dict[str, Path]:
        """The data files as paths."""
        return {name: Path(path) for name, path in self.files.items()}


def receive(plain_job: Mapping[str, Any]) -> Job:
    """The job that a driver sent, a person's own cell made known here."""
    job = Job.from_dict(plain_job)
    if job.own_cell:
        make_known(OwnCell(**job.own_cell))
    return job


@dataclass(frozen=True)
class Cost:
    """What one trial takes.

    Attributes:
        start_s: Seconds before its first and after its last epoch.
        epoch_s: Seconds of an epoch, training and validation; of trials that train together, its share.
        together: How many trains together with it, itself counted.
        memory_bytes: Of a process that it is alone in: of several workers, of the largest.
        disk_bytes: What it leaves behind.
        running_bytes: What it needs on disk while it runs.
        gpu_bytes: What torch takes of a GPU's memory for a process, without what the driver takes; 0 on the processor.
        gpu_size_bytes: How much memory that GPU has.
    """

    start_s: float
    epoch_s: float
    together: int
    memory_bytes: int
    disk_bytes: int
    running_bytes: int
    gpu_bytes: int = 0
    gpu_size_bytes: int = 0
