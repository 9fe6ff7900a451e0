"""How long a network takes to answer, by a clock of ours: medians by the row, in bounded time, and the network left as it was."""

import pytest
import torch

from rnnbench.task.module import Batch
from rnnbench.trial.latency import LEAST_PASSES, MOST_PASSES, measure_latency
from tests.unit.trial.test_flops import made


class Ticking:
    """A clock that stands still but for passes: so long for each row, of each size first ten times, then one, two, three, two, two ..."""

    def __init__(self, seconds_a_row: float) -> None:
        self.now = 0.0
        self.seconds_a_row = seconds_a_row
        self.rows: list[int] = []

    def __call__(self) -> float:
        return self.now

    def pass_rows(self, module: torch.nn.Module, given: tuple[Batch], _: object) -> None:
        rows = len(given[0])
        passes = self.rows.count(rows)
        self.now += rows * self.seconds_a_row * ((10, 1, 2, 3)[passes] if passes < 4 else 2)
        self.rows.append(rows)


@pytest.fixture
def clock() -> Ticking:
    return Ticking(0.002)


def test_it_is_the_median_pass_by_its_rows_without_the_first(clock: Ticking) -> None:
    _, module, data = made("adding", "gru")
    module.register_forward_hook(clock.pass_rows)
    found = measure_latency(module, data.splits["train"], 8, 0.0, clock)
    assert found == {
        "one_ms": pytest.approx(4.0),
        "batch_ms": pytest.approx(4.0),
        "batch": 8,
        "steps": data.splits["train"].inputs.shape[1],
    }
    assert clock.rows == [1] * (LEAST_PASSES + 1) + [8] * (LEAST_PASSES + 1)


def test_it_takes_its_time_and_no_more(clock: Ticking) -> None:
    _, module, data = made("adding", "gru")
    module.register_forward_hook(clock.pass_rows)
    measure_latency(module, data.splits["train"], 2, 0.1, clock)
    # 20 ms for the first row, then 2, 4, 6 and 4 for each of the next, until 50 ms are over; pairs take twice as long.
    assert (clock.rows.count(1), clock.rows.count(2)) == (9, LEAST_PASSES + 1)
    clock.rows, clock.seconds_a_row = [], 1e-9
    measure_latency(module, data.splits["train"], 2, 0.1, clock)
    assert clock.rows.count(1) == MOST_PASSES + 1


def test_of_rows_of_different_length_those_in_the_middle_are_taken(clock: Ticking) -> None:
    _, module, data = made("text_classification", "elman")
    train = data.splits["train"]
    assert train.lengths is not None
    middle = int(train.lengths.sort().values[len(train) // 2])
    assert measure_latency(module, train, 10**6, 0.0, clock)["steps"] == middle
    assert measure_latency(module, train, 10**6, 0.0, clock)["batch"] == len(train)
    assert module.carried is None
