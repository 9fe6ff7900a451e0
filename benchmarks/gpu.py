"""What a GPU gains: sixteen trials fused in one process against one after the other, and mixed precision, by cell and size.

    python benchmarks/gpu.py > benchmarks/results/gpu.json     (on a machine with a GPU; some minutes)
    python benchmarks/gpu.py --device cpu --units 8 --cells gru --trials 2 --seconds 0.1     (a look whether it runs)

Seconds of a training batch and trial, the quickest of those that fit into `--seconds` after a first one; sequential digits row by row.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack
from itertools import pairwise

import torch

from rnnbench.base.parameters import Value
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.cells.table import get_cell
from rnnbench.task.catalogue import get_task
from rnnbench.task.module import Batch, TaskData
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.devices import find_device, matrix_settings, name_of, place
from rnnbench.trial.fused import FusedTrainer
from rnnbench.trial.job import Job
from rnnbench.trial.loop import Trainer
from rnnbench.trial.parameters import OPTIMIZER_PARAMETERS, TRAINING_PARAMETERS
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.settings import torch_settings
from rnnbench.trial.spec import TrialSpec

CELLS = ("lstm", "gru", "peephole_lstm", "layer_norm_lstm", "min_gru", "transformer")
BATCH = 128


class _Enough(Exception):
    """The time of a measurement is used up."""


def main() -> None:
    """Prints one JSON document."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--cells", nargs="+", default=list(CELLS))
    parser.add_argument("--units", nargs="+", type=int, default=[32, 64, 128])
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement")
    chosen = parser.parse_args()
    rows = []
    for cell in chosen.cells:
        for units in chosen.units:
            precisions = ["float32", "bf16"] + (["tf32", "fp16"] if chosen.device == "cuda" else [])
            found = {name: _measure([_job(cell, units, name, 0, chosen.device)], chosen.seconds) for name in precisions}
            jobs = [_job(cell, units, "float32", seed, chosen.device) for seed in range(chosen.trials)]
            found["fused"] = _measure(jobs, chosen.seconds) / chosen.trials
            rows.append({"cell": cell, "units": units, "seconds": found})
            print(cell, units, {name: f"{1e3 * value:.3g} ms" for name, value in found.items()}, file=sys.stderr)
    device = name_of(torch.device("cuda", 0) if chosen.device == "cuda" else torch.device("cpu"))
    print(json.dumps({"device": device, "torch": torch.__version__, "batch": BATCH, "trials": chosen.trials, "rows": rows}, indent=1))


def _job(cell: str, units: int, precision: str, seed: int, device: str) -> Job:
    card, entry = get_task("sequential_digits"), get_cell(cell)
    declared = (*NETWORK_PARAMETERS, *entry.parameters, *OPTIMIZER_PARAMETERS, *TRAINING_PARAMETERS, *card.parameters)
    own: dict[str, Value] = {"network.hidden_size": units, "training.batch_size": BATCH, "training.precision": precision}
    values = {parameter.name: own.get(parameter.name, parameter.default) for parameter in declared}
    active = {parameter.name: values[parameter.name] for parameter in declared if parameter.is_active(values)}
    spec = TrialSpec("search", card.name, card.version, card.default_data, "embedded", cell, entry.version, active, seed)
    return Job(spec.key(), 1, spec, {}, "", gpus=float(device == "cuda"))


def _measure(jobs: Sequence[Job], seconds: float) -> float:
    """Seconds of a batch of all trials together."""
    with ExitStack() as stack:
        stack.enter_context(torch_settings(1))
        stack.enter_context(matrix_settings(jobs[0]))
        device = find_device(jobs[0])
        data = read_data(jobs[0].spec, {})
        trainers = [_trainer(job, data, device) for job in jobs]
        splits = place(data, device).splits
        return _quickest(trainers, splits["train"], splits["validation"].rows(torch.arange(1)), device, seconds)


def _trainer(job: Job, data: TaskData, device: torch.device) -> Trainer:
    module, pulse = build_module(job.spec, data).to(device), Pulse(time.monotonic)
    return Trainer(job.spec, module, metric="accuracy", maximize=True, pulse=pulse, stream=torch.Generator(device))


def _quickest(trainers: Sequence[Trainer], train: Batch, validation: Batch, device: torch.device, seconds: float) -> float:
    marks: list[float] = []

    def mark(*_: object) -> None:
        if device.type == "cuda":
            torch.cuda.synchronize()
        marks.append(time.perf_counter())
        if len(marks) > 2 and marks[-1] - marks[0] > seconds:
            raise _Enough

    together = FusedTrainer(trainers, Pulse(time.monotonic), mark) if len(trainers) > 1 else None
    trainers[0].after_batch = mark
    try:
        while True:
            (together or trainers[0]).run_epoch(train, validation)
    except _Enough:
        # The first batch finds kernels; a gap between epochs holds a validation and is never the shortest.
        return min(later - earlier for earlier, later in pairwise(marks[1:]))


if __name__ == "__main__":
    main()
