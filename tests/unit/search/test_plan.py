"""The plan: a pure function of file and seed, the same on every machine."""

import json
from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import pytest

from rnnbench.base.errors import InputError
from rnnbench.search.find import find_sweep_file
from rnnbench.search.plan import Scored, plan, plan_confirm
from rnnbench.search.sweepfile import SweepFile, read_sweep
from rnnbench.task.cards import TaskCard
from rnnbench.task.catalogue import list_tasks
from rnnbench.trial.spec import TrialSpec

FOLDER = Path(str(files("rnnbench_search_spaces")))
SHIPPED = sorted(FOLDER.rglob("*.yaml"))
GOLDEN = Path(__file__).parents[2] / "golden" / "plan.json"
TEXT = """\
task: sequential_digits
cells: [elman, lstm]
search: {method: random, num_samples: 3, seed: 5}
budget: {max_epochs: 2}
replicates: 2
confirm: {top_k: 2, seeds: 3}
space:
  network.hidden_size: {choice: [8, 16, 32]}
  optimizer.name: {choice: [adam, sgd]}
  optimizer.lr: {loguniform: [1e-3, 1e-1]}
  optimizer.momentum: {one_minus_loguniform: [0.01, 1.0], when: {optimizer.name: [sgd]}}
  cell.forget_bias: {uniform: [0, 2], when: {cell: [lstm]}}
"""


def read(folder: Path, text: str = TEXT, overrides: Sequence[str] = ()) -> SweepFile:
    path = folder / "sweep.yaml"
    path.write_text(text)
    return read_sweep(path, overrides=overrides)


def planned(folder: Path, text: str = TEXT, overrides: Sequence[str] = ()) -> list[TrialSpec]:
    sweep = read(folder, text, overrides)
    return plan(sweep, {(task.name, task.data): "f" for task in sweep.tasks})


def test_the_keys_of_a_plan_are_frozen(tmp_path: Path) -> None:
    # A change here makes every finished trial of every user unknown: raise a version instead.
    assert [spec.key() for spec in planned(tmp_path)] == json.loads(GOLDEN.read_text())


def test_draw_i_is_the_same_for_every_cell(tmp_path: Path) -> None:
    specs = planned(tmp_path)
    assert len(specs) == 12
    for spec in specs:
        twin = next(s for s in specs if (s.cell, s.draw, s.replicate) == ("elman", spec.draw, spec.replicate))
        assert spec.parameters["optimizer.lr"] == twin.parameters["optimizer.lr"]
        assert spec.seed == twin.seed


def test_no_parameter_changes_what_another_draws(tmp_path: Path) -> None:
    fewer = (
        TEXT.replace("  network.hidden_size: {choice: [8, 16, 32]}\n", "").replace(", when: {cell: [lstm]}}", "}").replace("elman, ", "")
    )
    rates = {spec.draw: spec.parameters["optimizer.lr"] for spec in planned(tmp_path)}
    assert {spec.draw: spec.parameters["optimizer.lr"] for spec in planned(tmp_path, fewer)} == rates


def test_a_condition_gives_the_parameter_only_where_it_holds(tmp_path: Path) -> None:
    specs = planned(tmp_path, overrides=["search.num_samples=20"])
    assert {spec.parameters["optimizer.name"] for spec in specs} == {"adam", "sgd"}
    for spec in specs:
        assert ("optimizer.momentum" in spec.parameters) == (spec.parameters["optimizer.name"] == "sgd")
        assert ("cell.forget_bias" in spec.parameters) == (spec.cell == "lstm")


def test_replicates_share_their_configuration_and_differ_in_seed(tmp_path: Path) -> None:
    first, second = (spec for spec in planned(tmp_path) if spec.cell == "lstm" and spec.draw == 1)
    assert first.group_key() == second.group_key()
    assert first.seed != second.seed


def test_more_samples_extend_a_plan(tmp_path: Path) -> None:
    few = {spec.key() for spec in planned(tmp_path)}
    more = [spec.key() for spec in planned(tmp_path, overrides=["search.num_samples=6"])]
    assert few == set(more[: len(few)])
    assert len(more) == 2 * len(few)


def test_another_seed_gives_other_trials(tmp_path: Path) -> None:
    assert not {s.key() for s in planned(tmp_path)} & {s.key() for s in planned(tmp_path, overrides=["search.seed=6"])}


def test_a_grid_is_every_combination_once(tmp_path: Path) -> None:
    text = TEXT.replace("{method: random, num_samples: 3, seed: 5}", "{method: grid}").replace(
        "{loguniform: [1e-3, 1e-1]}", "{grid: [0.01, 0.1]}"
    )
    text = text.replace("{one_minus_loguniform: [0.01, 1.0], when", "{choice: [0.5, 0.9, 0.99], when").replace(
        "{uniform: [0, 2], when", "{choice: [0, 1], when"
    )
    specs = planned(tmp_path, text)
    configurations = {spec.group_key() for spec in specs}
    # 3 sizes x 2 rates x (adam, sgd with 3 momenta), for lstm also 2 biases.
    assert len(configurations) == 3 * 2 * 4 * (1 + 2)
    assert len(specs) == 2 * len(configurations)


def test_a_grid_multiplies_the_draws_of_a_random_search(tmp_path: Path) -> None:
    text = TEXT.replace("{choice: [8, 16, 32]}", "{grid: [8, 16, 32]}")
    assert len(planned(tmp_path, text)) == 3 * 12
    assert {s.parameters["optimizer.lr"] for s in planned(tmp_path, text)} == {s.parameters["optimizer.lr"] for s in planned(tmp_path)}


@pytest.mark.parametrize(("direction", "values", "winners"), [("max", (1.0, 5.0, 3.0), [1, 2]), ("min", (1.0, 5.0, 3.0), [0, 2])])
def test_confirmation_takes_the_best_means_with_fresh_seeds(
    tmp_path: Path, direction: str, values: tuple[float, ...], winners: list[int]
) -> None:
    specs = [spec for spec in planned(tmp_path) if spec.cell == "lstm"]
    # The single best value belongs to a configuration whose mean is not among the best.
    scored = [Scored(spec, values[spec.draw] + (2.5 if spec.replicate else -2.5) * (spec.draw == 0)) for spec in specs]
    confirmed = plan_confirm(read(tmp_path), scored, {"sequential_digits": direction})
    assert [spec.draw for spec in confirmed] == [winner for winner in winners for _ in range(3)]
    assert {spec.stage for spec in confirmed} == {"confirm"}
    assert len({spec.seed for spec in [*specs, *confirmed]}) == 6 + 3
    assert all(replace(spec, stage="search").group_key() in {s.group_key() for s in specs} for spec in confirmed)


def test_the_winners_of_each_question_are_confirmed(tmp_path: Path) -> None:
    text = TEXT.replace("space:\n", "space:\n  data.train_fraction: {grid: [0.5, 1.0]}\n")
    specs = [spec for spec in planned(tmp_path, text) if spec.cell == "lstm"]
    # Trained on all rows every configuration is better than any on half of them.
    scored = [Scored(spec, float(spec.draw) + (10.0 if spec.parameters.get("data.train_fraction", 1.0) == 1.0 else 0.0)) for spec in specs]
    confirmed = plan_confirm(read(tmp_path, text), scored, {"sequential_digits": "max"})
    found = {(spec.parameters.get("data.train_fraction", 1.0), spec.draw) for spec in confirmed}
    assert found == {(0.5, 4), (0.5, 2), (1.0, 5), (1.0, 3)}
    assert len(confirmed) == 4 * 3


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.relative_to(FOLDER).with_suffix("").as_posix())
def test_every_shipped_sweep_file_plans_its_draws_for_each_cell_and_point_of_its_grids(path: Path) -> None:
    assert find_sweep_file(path.relative_to(FOLDER).with_suffix("").as_posix()) == path
    sweep = read_sweep(path)
    grids = [dimension.name for dimension in sweep.space if dimension.domain.kind == "grid"]
    specs = plan(sweep, {(task.name, task.data): "f" for task in sweep.tasks})
    points = len({tuple((name, spec.parameters[name]) for name in grids) for spec in specs})
    assert len(specs) == (sweep.search.num_samples or 1) * sweep.replicates * len(sweep.cells) * len(sweep.tasks) * points


def test_no_two_shipped_sweep_files_name_one_sweep() -> None:
    assert len({read_sweep(path).name for path in SHIPPED}) == len(SHIPPED)


@pytest.mark.parametrize("card", list_tasks(), ids=lambda card: card.name)
def test_every_task_has_a_first_sweep_that_needs_no_download(card: TaskCard) -> None:
    names = {"elman", "gru", "lstm", "compare"} if card.name == "sequential_digits" else {card.name}
    embedded = {(card.name, name) for name, data in card.data.items() if data.embedded}
    assert all({(task.name, task.data) for task in read_sweep(find_sweep_file(name)).tasks} <= embedded for name in names)


def test_an_unknown_sweep_name_gets_a_suggestion() -> None:
    with pytest.raises(InputError, match="did you mean 'compare'"):
        find_sweep_file("compair")
