"""Adaptive searches: the same results give the same draw, and draws move to where results are good."""

import math
from pathlib import Path

import pytest

from rnnbench.search.adaptive import NUM_STARTUP, Observation, draw_slot
from rnnbench.search.domains import build_domain
from rnnbench.search.sweepfile import SweepFile, read_sweep

TEXT = """\
task: sequential_digits
cells: [lstm]
search: {method: METHOD, num_samples: 60, seed: 3}
space:
  network.hidden_size: {lograndint: [4, 256]}
  network.dropout: {uniform: [0.0, 0.9]}
  optimizer.name: {choice: [adam, sgd]}
  optimizer.lr: {loguniform: [1e-5, 1.0]}
  optimizer.momentum: {one_minus_loguniform: [0.01, 1.0], when: {optimizer.name: [sgd]}}
"""


def read(method: str, folder: Path) -> SweepFile:
    path = folder / "sweep.yaml"
    path.write_text(TEXT.replace("METHOD", method))
    return read_sweep(path)


def loss(drawn: dict[str, object]) -> float:
    lr, dropout = drawn["optimizer.lr"], drawn["network.dropout"]
    assert isinstance(lr, float)
    assert isinstance(dropout, float)
    return abs(math.log10(lr) + 3) + dropout + (0.5 if drawn["optimizer.name"] == "sgd" else 0.0)


def search(sweep: SweepFile, number: int) -> list[Observation]:
    seen: list[Observation] = []
    for draw in range(number):
        drawn = draw_slot(sweep, sweep.tasks[0], "lstm", draw, seen)
        if drawn["optimizer.name"] != "sgd":
            del drawn["optimizer.momentum"]
        seen.append(Observation(draw, drawn, loss(dict(drawn))))
    return seen


@pytest.mark.parametrize("method", ["tpe", "cmaes"])
def test_the_same_results_give_the_same_draws_and_better_ones_than_chance(method: str, tmp_path: Path) -> None:
    sweep = read(method, tmp_path)
    seen = search(sweep, 60)
    assert search(sweep, 60) == seen
    early = sum(one.value or 0.0 for one in seen[:NUM_STARTUP]) / NUM_STARTUP
    late = sum(one.value or 0.0 for one in seen[-15:]) / 15
    assert late < 0.6 * early
    for one in seen:
        assert 1e-5 <= float(str(one.parameters["optimizer.lr"])) <= 1.0
        assert 0.0 <= float(str(one.parameters.get("optimizer.momentum", 0.5))) <= 0.99
        assert 4 <= int(str(one.parameters["network.hidden_size"])) <= 256


@pytest.mark.parametrize("method", ["tpe", "cmaes"])
def test_running_and_failed_slots_are_taken_into_account(method: str, tmp_path: Path) -> None:
    sweep = read(method, tmp_path)
    seen = search(sweep, 20)
    running = [*seen[:-2], Observation(18, seen[18].parameters, None), Observation(19, seen[19].parameters, math.inf)]
    drawn = draw_slot(sweep, sweep.tasks[0], "lstm", 20, running)
    assert set(drawn) == {dimension.name for dimension in sweep.space}
    assert draw_slot(sweep, sweep.tasks[0], "lstm", 20, list(reversed(running))) == drawn, "the order of what was seen matters"
    all_failed = [Observation(number, one.parameters, math.inf) for number, one in enumerate(seen)]
    assert draw_slot(sweep, sweep.tasks[0], "lstm", 20, all_failed).keys() == drawn.keys()


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        ("uniform", [0.5, 2.0]), ("loguniform", [1e-4, 1.0]), ("one_minus_loguniform", [0.01, 1.0]), ("normal", [3.0, 2.0]),
        ("randint", [2, 9]), ("lograndint", [1, 100]), ("quniform", [0.0, 1.0, 0.25]),
    ],
)  # fmt: skip
def test_a_value_and_its_position_belong_together(kind: str, arguments: list[float]) -> None:
    domain = build_domain(kind, arguments)
    values = [domain.at(share / 200) for share in range(1, 200)]
    for value in values:
        again = domain.at(domain.position(value))
        assert again == pytest.approx(value, rel=1e-9)
        assert type(again) is type(value)
    assert values == sorted(values, key=lambda value: float(str(value)), reverse=kind == "one_minus_loguniform")
    assert domain.at(0.0) != domain.at(1.0)


def test_listed_values_have_equal_shares() -> None:
    domain = build_domain("choice", ["a", "b", "c", "d"])
    drawn = [domain.at(share / 400) for share in range(400)]
    assert {value: drawn.count(value) for value in drawn} == {"a": 100, "b": 100, "c": 100, "d": 100}


def test_quasirandom_points_spread_and_a_longer_search_begins_with_them(tmp_path: Path) -> None:
    from rnnbench.search.plan import plan

    sweep = read("quasirandom", tmp_path)
    prints = {("sequential_digits", "digits"): "x"}
    trials = plan(sweep, prints)
    rates = sorted(math.log10(float(str(spec.parameters["optimizer.lr"]))) for spec in trials)
    # Sixty points of a Sobol sequence: every tenth of the log range has its six, more or less one or two.
    counts = [sum(-5 + 0.5 * part <= rate < -5 + 0.5 * (part + 1) for rate in rates) for part in range(10)]
    assert min(counts) >= 4
    assert max(counts) <= 8
    path = tmp_path / "sweep.yaml"
    assert [spec.key() for spec in plan(read_sweep(path, num_samples=7), prints)] == [spec.key() for spec in trials[:7]]
