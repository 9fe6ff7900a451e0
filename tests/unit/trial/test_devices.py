"""Devices and precision: bf16 trains near float32, what needs a GPU says so, and nothing changes where nothing is asked."""

import time
from pathlib import Path

import pytest
import torch

from rnnbench.base.errors import RnnbenchError
from rnnbench.base.parameters import Value
from rnnbench.search.plan import plan
from rnnbench.sweep.fusing import Fusing
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.devices import find_device, precision_of
from rnnbench.trial.door import category_of, run_job
from rnnbench.trial.job import Job
from rnnbench.trial.loop import Trainer
from rnnbench.trial.pulse import Pulse
from tests.contract.sweeps import read_text
from tests.unit.trial.test_fused import spec

SMALL: dict[str, Value] = {"network.hidden_size": 8, "training.batch_size": 300, "optimizer.lr": 0.01}


def losses(cell: str, precision: str, **changes: Value) -> list[float]:
    of = spec(
        cell, {**SMALL, **{name.replace("__", "."): value for name, value in changes.items()}, "training.precision": precision}, seed=5
    )
    data = read_data(of, {})
    trainer = Trainer(of, build_module(of, data), metric="accuracy", maximize=True, pulse=Pulse(time.monotonic))
    return [trainer.run_epoch(data.splits["train"], data.splits["validation"])["train_loss"] for _ in range(2)]


# One that torch computes in one call, two whose backward pass is derived by hand, one without recurrence; and noise within steps.
@pytest.mark.parametrize(
    ("cell", "changes"), [("lstm", {}), ("peephole_lstm", {}), ("min_gru", {}), ("tcn", {}), ("lstm", {"network__zoneout": 0.1})]
)
def test_bf16_trains_near_float32_and_is_not_float32(cell: str, changes: dict[str, Value]) -> None:
    full, half = losses(cell, "float32", **changes), losses(cell, "bf16", **changes)
    assert full != half
    # bf16 keeps 8 bits: a product is off by 2^-9 as a share, and the loss, about 2.3, by some of these.
    assert half == pytest.approx(full, rel=8 * 2.0**-9)


def test_precisions_of_gpus_are_refused_on_a_processor(tmp_path: Path) -> None:
    for precision in ("tf32", "fp16"):
        of = spec("lstm", {**SMALL, "training.precision": precision}, seed=5)
        with pytest.raises(RnnbenchError, match="is for GPUs"):
            find_device(Job(of.key(), 1, of, {}, str(tmp_path)))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_trial_that_needs_a_gpu_fails_with_one_line_where_there_is_none(tmp_path: Path) -> None:
    of = spec("lstm", SMALL, seed=5)
    ended = run_job(Job(of.key(), 1, of, {}, str(tmp_path), gpus=0.5).to_dict(), lambda event: None)
    assert (ended["status"], ended["category"], ended["outcome"]["device"]) == ("failed", "error", "cuda")
    assert ended["error"] == "resources.gpus is 0.5, but torch finds 0 of the 1 GPUs that the trial needs"


def test_a_gpu_without_room_is_out_of_memory() -> None:
    assert (
        category_of(torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79 GiB")) == "oom"
    )


def test_the_precision_is_part_of_the_key_only_where_it_is_not_float32(tmp_path: Path) -> None:
    text = "task: sequential_digits\ncells: [gru_v1]\nsearch: {num_samples: 1}\n"
    keys = []
    for line in ("", "space: {training.precision: float32}\n", "space: {training.precision: bf16}\n"):
        sweep = read_text(text + line, tmp_path)
        (of,) = plan(sweep, {("sequential_digits", sweep.tasks[0].data): "embedded"})
        keys.append(of.key())
        assert precision_of(of) == ("bf16" if "bf16" in line else "float32")
        assert Fusing("always", 1).may_fuse(of) == ("bf16" not in line)
    assert keys[0] == keys[1] != keys[2]
