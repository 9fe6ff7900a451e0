"""How fast cells are: forward, forward and backward, and the memory between the two, beside torch's own LSTM."""

# Shapes: B batch, T time, I = H inputs and units.

import platform
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from rnnbench.base.errors import InputError
from rnnbench.cells.load import load_cell
from rnnbench.cells.table import get_cell

REFERENCE = "torch.nn.LSTM"
Run = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Timing:
    """One cell at one size.

    Attributes:
        form: cell (as it is used), eager (the loop over its steps by plain autograd) or compiled (that loop by torch.compile).
        forward_ms, total_ms: Medians; total is forward and backward.
        memory_mb: What is kept between forward and backward; on a GPU the peak of both.
        ratio, ratio_low, ratio_high: Total over the reference's in the same round: median and quartiles.
    """

    cell: str
    form: str
    batch: int
    steps: int
    units: int
    forward_ms: float
    total_ms: float
    memory_mb: float
    ratio: float
    ratio_low: float
    ratio_high: float


@dataclass(frozen=True)
class Plan:
    """What is measured: every cell at every size.

    Attributes:
        forms: See Timing.
        rounds: Each measures every cell once, so that a slow moment of the machine falls on all.
        last_only: Whether the gradient comes from the last output alone, as a classifier's, and not from every one.
        flush_denormal: Whether numbers too small for full precision count as zero, as in every trial.
    """

    cells: tuple[str, ...]
    batch: int = 64
    steps: tuple[int, ...] = (64, 512)
    units: tuple[int, ...] = (32, 128, 256)
    rounds: int = 7
    threads: int = 1
    device: str = "cpu"
    forms: tuple[str, ...] = ("cell",)
    flush_denormal: bool = True
    last_only: bool = False


def describe_machine(plan: Plan) -> dict[str, Any]:
    """What the figures hold for."""
    processor = torch.cuda.get_device_name() if plan.device == "cuda" else _processor()
    return {"processor": processor, "threads": plan.threads, "torch": torch.__version__, "python": platform.python_version()}


def measure(plan: Plan) -> Iterator[Timing]:
    """The timings, size by size.

    Raises:
        InputError: there is no such device here.
    """
    if plan.device not in ("cpu", "cuda"):
        raise InputError(f"--device is {plan.device!r}, must be cpu or cuda")
    if plan.device == "cuda" and not torch.cuda.is_available():
        raise InputError("--device is cuda, but torch finds no GPU here")
    threads, torch_threads = plan.threads, torch.get_num_threads()
    torch.set_num_threads(threads)
    torch.set_flush_denormal(plan.flush_denormal)
    try:
        for steps in plan.steps:
            for units in plan.units:
                yield from _measure_size(plan, steps, units)
    finally:
        torch.set_num_threads(torch_threads)
        torch.set_flush_denormal(False)


def _measure_size(plan: Plan, steps: int, units: int) -> Iterator[Timing]:
    torch.manual_seed(0)
    x_BTI = torch.randn(plan.batch, steps, units, device=plan.device, requires_grad=True)
    runs: dict[tuple[str, str], Run] = {(REFERENCE, "cell"): _Reference(units).to(plan.device)}
    for name in plan.cells:
        for form in plan.forms:
            run = _build(name, form, units, plan.device)
            if run is not None:
                runs[name, form] = run
    times: dict[tuple[str, str], list[tuple[float, float]]] = {key: [] for key in runs}
    for key, run in runs.items():
        # The first call finds structures, picks kernels and compiles.
        _time(run, x_BTI, plan)
        times[key] = []
    for _ in range(plan.rounds):
        for key, run in runs.items():
            times[key].append(_time(run, x_BTI, plan))
    reference = [total for _, total in times[REFERENCE, "cell"]]
    for (name, form), pairs in times.items():
        ratios = sorted(total / base for (_, total), base in zip(pairs, reference, strict=True))
        low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else (ratios[0],) * 3
        yield Timing(
            cell=name,
            form=form,
            batch=plan.batch,
            steps=steps,
            units=units,
            forward_ms=1e3 * statistics.median(forward for forward, _ in pairs),
            total_ms=1e3 * statistics.median(total for _, total in pairs),
            memory_mb=_memory(runs[name, form], x_BTI, plan) / 2**20,
            ratio=statistics.median(ratios),
            ratio_low=low,
            ratio_high=high,
        )


class _Reference(nn.Module):
    def __init__(self, units: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(units, units, batch_first=True)

    def forward(self, x_BTI: Tensor) -> Tensor:
        outputs_BTH: Tensor = self.lstm(x_BTI)[0]
        return outputs_BTH


def _build(name: str, form: str, units: int, device: str) -> Run | None:
    """None where the form does not exist: a loop over steps is no rival of a layer that has none."""
    entry = get_cell(name)
    layer = load_cell(entry)(units, units, **entry.options({})).to(device)
    if form == "cell":
        return lambda x_BTI: layer(x_BTI)[0]
    if not hasattr(layer, "step"):
        return None
    if form == "eager":
        return lambda x_BTI: layer.unroll(x_BTI, layer.initial_state(x_BTI))[0]
    compiled: Run = torch.compile(lambda x_BTI: layer.unroll(x_BTI, layer.initial_state(x_BTI))[0])
    return compiled


def _time(run: Run, x_BTI: Tensor, plan: Plan) -> tuple[float, float]:
    """Seconds of the forward pass, and of both."""
    begun = _now(x_BTI)
    outputs_BTH = run(x_BTI)
    forward = _now(x_BTI)
    wanted = outputs_BTH[:, -1] if plan.last_only else outputs_BTH
    wanted.backward(torch.ones_like(wanted))
    ended = _now(x_BTI)
    x_BTI.grad = None
    return forward - begun, ended - begun


def _now(x_BTI: Tensor) -> float:
    if x_BTI.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter()


def _memory(run: Run, x_BTI: Tensor, plan: Plan) -> float:
    """Bytes that the forward pass leaves for the backward pass; on a GPU the peak of both above what was there before."""
    if x_BTI.is_cuda:
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        _time(run, x_BTI, plan)
        return torch.cuda.max_memory_allocated() - before
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        run(x_BTI)
    return sum(kept.values())


def _processor() -> str:
    try:
        with Path("/proc/cpuinfo").open(encoding="utf-8") as lines:
            return next(line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def as_documents(timings: Sequence[Timing]) -> list[dict[str, Any]]:
    """The timings as plain data."""
    return [asdict(timing) for timing in timings]
