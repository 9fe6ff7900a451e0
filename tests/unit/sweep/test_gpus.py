"""Which GPU each trial gets, what its worker's environment says, and what is refused; there need be no GPU here."""

import pytest

from rnnbench.base.errors import InputError
from rnnbench.base.machine import available_cpus
from rnnbench.sweep.gpus import deal, list_gpus, require_gpus
from rnnbench.sweep.local_executor import LocalExecutor
from rnnbench.sweep.ray_executor import RayExecutor


def test_gpus_are_called_as_the_environment_calls_them() -> None:
    assert list_gpus(2, {}) == ["0", "1"]
    assert list_gpus(2, {"CUDA_VISIBLE_DEVICES": "3, GPU-5ab"}) == ["3", "GPU-5ab"]
    assert list_gpus(0, {"CUDA_VISIBLE_DEVICES": "7"}) == []


@pytest.mark.parametrize(
    ("each", "workers", "dealt"),
    [
        (1, 1, ["0", "1", "2"]),
        (0.5, 1, ["0", "1", "2", "0", "1", "2"]),
        (1 / 3, 1, ["0", "1", "2"] * 3),
        (0.6, 1, ["0", "1", "2"]),
        (1, 2, ["0,1"]),
        (1, 3, ["0,1,2"]),
        (1, 4, []),
    ],
)
def test_a_gpu_holds_as_many_trials_as_its_shares_allow_and_each_worker_has_its_own(each: float, workers: int, dealt: list[str]) -> None:
    assert deal(["0", "1", "2"], each, workers) == dealt


def test_each_slot_of_the_local_executor_tells_its_workers_their_gpu() -> None:
    executor = LocalExecutor(1, places=["4", "5"])
    assert executor.concurrent == min(2, available_cpus())
    assert executor.environs() == [{"CUDA_VISIBLE_DEVICES": gpu} for gpu in ("4", "5")][: executor.concurrent]
    assert LocalExecutor(1, max_concurrent=1).environs() == [{}]


def test_a_machine_with_too_few_gpus_is_refused_in_one_line() -> None:
    with pytest.raises(InputError, match=r"resources\.gpus is 1, this machine has no GPU that torch can use"):
        require_gpus(1.0, 1, 0)
    with pytest.raises(InputError, match=r"resources\.workers is 2, each with a GPU, and this machine has 1"):
        require_gpus(1.0, 2, 1)
    require_gpus(0.0, 4, 0)
    require_gpus(0.25, 1, 1)


def test_ray_reserves_all_that_a_trial_needs_at_once_and_knows_how_many_fit() -> None:
    executor = RayExecutor("local", 2, gpus=1, workers=2)
    assert executor.bundle() == {"CPU": 4.0, "GPU": 2.0}
    assert executor._room({"CPU": 16.0, "GPU": 6.0}) == 3
    assert RayExecutor("local", 1, gpus=0.5)._room({"CPU": 16.0, "GPU": 2.0}) == 4
    assert RayExecutor("local", 2).bundle() == {"CPU": 2.0}
    # Enough in all, but on no machine at once.
    nodes = [{"Alive": True, "Resources": {"CPU": 8.0, "GPU": 1.0}}, {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 1.0}}]
    with pytest.raises(InputError, match="4 CPUs and 2 GPUs of one machine"):
        executor._require_room(nodes)
    executor._require_room([*nodes, {"Alive": True, "Resources": {"CPU": 4.0, "GPU": 2.0}}])
