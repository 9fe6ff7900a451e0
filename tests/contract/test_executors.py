"""One contract for every executor: same keys, same statuses, same numbers bit for bit."""

from collections.abc import Callable

import pytest

from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.sweep.executor import Executor, InlineExecutor
from rnnbench.sweep.local_executor import LocalExecutor
from rnnbench.sweep.ray_executor import RayExecutor
from rnnbench.task.catalogue import get_task
from rnnbench.task.load import load_task
from tests.contract.sweeps import SMALL, run, table

EXECUTORS: dict[str, Callable[[], Executor]] = {
    "inline": InlineExecutor,
    "local with one worker": lambda: LocalExecutor(1, max_concurrent=1),
    "local with two workers": lambda: LocalExecutor(1, max_concurrent=2),
    "ray with one worker": lambda: RayExecutor("local", 1, max_concurrent=1, num_cpus=1),
    "ray with two workers": lambda: RayExecutor("local", 1, max_concurrent=2, num_cpus=2),
}

# The numbers are bit-equal within one mode: all trials one by one, or all in groups of any size.
TEXTS = {"single": f"{SMALL}resources: {{fuse: never}}\n", "fused": f"{SMALL}resources: {{fuse: always}}\n"}
PAIRS = [pytest.param((e, m), marks=pytest.mark.slow if e.startswith("ray") else [], id=f"{e}, {m}") for e in EXECUTORS for m in TEXTS]


@pytest.fixture(scope="module", params=PAIRS)
def form(request: pytest.FixtureRequest) -> tuple[str, str]:
    executor, mode = request.param
    return executor, mode


@pytest.fixture(scope="module")
def reference(form: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> list[TrialRecord]:
    return run(TEXTS[form[1]], tmp_path_factory.mktemp("reference"), InlineExecutor())


@pytest.fixture(scope="module")
def trials(form: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> list[TrialRecord]:
    return run(TEXTS[form[1]], tmp_path_factory.mktemp("executor"), EXECUTORS[form[0]]())


def test_every_trial_runs_in_the_mode_that_was_asked_for(form: tuple[str, str], trials: list[TrialRecord]) -> None:
    assert {trial.outcome["mode"] for trial in trials} == {form[1]}


def test_every_planned_trial_ends_once(trials: list[TrialRecord]) -> None:
    assert [trial.status for trial in trials] == [Status.COMPLETED] * 8
    assert [trial.attempts for trial in trials] == [1] * 8
    assert len({trial.key for trial in trials}) == 8


def test_the_table_equals_that_of_any_other_executor_bit_for_bit(trials: list[TrialRecord], reference: list[TrialRecord]) -> None:
    assert table(trials) == table(reference)


def test_only_the_confirmed_winners_open_the_test_set(trials: list[TrialRecord]) -> None:
    opened = [trial.spec.stage for trial in trials if trial.test_opened_at is not None]
    assert opened == ["confirm"] * 4
    assert all((trial.outcome["test"] is not None) == (trial.spec.stage == "confirm") for trial in trials)


def test_one_trial_of_each_stage_computes_the_baselines_of_the_split_that_it_is_judged_on(trials: list[TrialRecord]) -> None:
    for stage, name, other in (("search", "baselines", "test_baselines"), ("confirm", "test_baselines", "baselines")):
        of_stage = [trial for trial in trials if trial.stage == stage]
        assert [bool(trial.outcome[name]) for trial in of_stage] == [True] + [False] * 3
        assert not any(trial.outcome[other] for trial in of_stage)
    searched, confirmed = (next(trial for trial in trials if trial.stage == stage) for stage in ("search", "confirm"))
    # The same images, read and judged here.
    code, parameters = load_task("sequential_digits"), {one.name: one.default for one in get_task("sequential_digits").parameters}
    data = code.read_data({}, "digits", parameters, ("train", "validation", "test"))
    expected = {split: code.baselines(data, split) for split in ("validation", "test")}
    assert expected["validation"]["logistic regression"] != expected["test"]["logistic regression"]
    assert searched.outcome["baselines"] == pytest.approx(expected["validation"])
    assert confirmed.outcome["test_baselines"] == pytest.approx(expected["test"])


def test_confirmation_retrains_each_cells_best_with_fresh_seeds(trials: list[TrialRecord]) -> None:
    for cell in ("elman", "lstm"):
        mine = [trial for trial in trials if trial.spec.cell == cell]
        best = max((trial for trial in mine if trial.spec.stage == "search"), key=lambda trial: trial.best or 0.0)
        confirmed = [trial for trial in mine if trial.spec.stage == "confirm"]
        assert all(trial.spec.parameters == best.spec.parameters for trial in confirmed)
        assert len({trial.spec.seed for trial in [best, *confirmed]}) == 3
