"""Where a trial computes: this machine's processor, or the GPU that its worker was given; and in which precision."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch

from rnnbench.base.errors import RnnbenchError
from rnnbench.task.module import TaskData
from rnnbench.trial.job import Job
from rnnbench.trial.parameters import PRECISION
from rnnbench.trial.spec import TrialSpec

CPU = torch.device("cpu")
_HALVES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def find_device(job: Job, rank: int = 0) -> torch.device:
    """The device of a worker of a job; the environment says which GPUs the trial has, and each worker takes the one of its rank.

    Raises:
        RnnbenchError: torch finds no such GPU, or the precision needs one.
    """
    precision = precision_of(job.spec)
    if not job.gpus:
        if precision in ("tf32", "fp16"):
            raise RnnbenchError(f"{PRECISION} {precision} is for GPUs; set resources.gpus, or take float32 or bf16")
        return CPU
    # Read when the first handle is made: without it some products are not the same twice.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if rank >= found:
        raise RnnbenchError(f"resources.gpus is {job.gpus:g}, but torch finds {found} of the {job.workers} GPUs that the trial needs")
    return torch.device("cuda", rank)


def place(data: TaskData, device: torch.device) -> TaskData:
    """The same data with its splits on a device."""
    if device.type == "cpu":
        return data
    return replace(data, splits={name: split.to(device) for name, split in data.splits.items()})


def default_stream(device: torch.device) -> torch.Generator:
    """What dropout of a trial that is alone on its device draws from."""
    if device.type == "cpu":
        return torch.default_generator
    torch.cuda.init()
    stream: torch.Generator = torch.cuda.default_generators[device.index or 0]
    return stream


def settle(device: torch.device) -> None:
    """Waits until a GPU has done what it was asked: it is asked without waiting, so that a clock alone says nothing."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def restart_gpu_peak(device: torch.device) -> None:
    """Lets `gpu_peak_bytes` start again."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)


def gpu_peak_bytes(device: torch.device) -> int:
    """The most memory that this process has held on a GPU since `restart_gpu_peak`; 0 for the processor."""
    return torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0


def name_of(device: torch.device) -> str:
    """What is recorded with a trial: cpu, or the GPU's name."""
    return "cpu" if device.type == "cpu" else torch.cuda.get_device_name(device)


def precision_of(spec: TrialSpec) -> str:
    """What `training.precision` says."""
    return str(spec.parameters.get(PRECISION, "float32"))


@contextmanager
def lowered(spec: TrialSpec, device: torch.device) -> Iterator[None]:
    """Forward passes of training compute in the trial's precision: bf16 and fp16 by autocast, weights stay float32."""
    half = _HALVES.get(precision_of(spec))
    if half is None:
        yield
        return
    with torch.autocast(device.type, dtype=half):
        yield


@contextmanager
def matrix_settings(job: Job) -> Iterator[None]:
    """On a GPU: products in TF32 where the trial says so, else in full float32, which is not what cuDNN does by itself."""
    if not job.gpus:
        yield
        return
    matmul, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    before = matmul.allow_tf32, cudnn.allow_tf32
    matmul.allow_tf32 = cudnn.allow_tf32 = precision_of(job.spec) == "tf32"
    try:
        yield
    finally:
        matmul.allow_tf32, cudnn.allow_tf32 = before
