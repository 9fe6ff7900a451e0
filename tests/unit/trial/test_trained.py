"""A kept model: it says what it said in its trial, needs nothing but its file, and what is wrong with one is a line."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from rnnbench.base.errors import CheckpointError, InputError, ParameterError, RnnbenchError, UnknownNameError
from rnnbench.base.parameters import Value
from rnnbench.cells import own
from rnnbench.cells.own import OwnCell, make_known
from rnnbench.search.space import declared_for
from rnnbench.task.catalogue import forget_tasks, get_task
from rnnbench.task.files import read_lines
from rnnbench.trial.build import read_data
from rnnbench.trial.checkpoint import save_checkpoint
from rnnbench.trial.files import BEST
from rnnbench.trial.job import Job
from rnnbench.trial.kept import Kept, read_kept
from rnnbench.trial.loop import evaluate
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.run import run_trial
from rnnbench.trial.sealed import read_sealed, write_sealed
from rnnbench.trial.settings import torch_settings
from rnnbench.trial.spec import Budget, TrialSpec
from rnnbench.trial.trained import Trained, load_trained

pytestmark = pytest.mark.usefixtures("asked_tasks")

WORDS = ["aeioubb", "bcdfgaa", "aa"]
OWN = OwnCell(
    "kept.py",
    "Kept",
    """\"\"\"A cell of one's own.\"\"\"
from rnnbench.cells.elman import Elman


class Kept(Elman):
    \"\"\"h = tanh(W x + b + R h- + c).\"\"\"

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
""",
)


def spec_of(task: str, cell: str = "gru", changes: Mapping[str, Value] | None = None) -> TrialSpec:
    """A small trial of a task, every parameter resolved."""
    given: dict[str, Value] = {"network.hidden_size": 5, "training.batch_size": 50, "optimizer.lr": 0.02, **(changes or {})}
    values = {one.name: given.get(one.name, one.default) for one in declared_for(task, cell)}
    active = {
        one.name: values[one.name]
        for one in declared_for(task, cell)
        if one.is_active(values) and not (one.is_later and values[one.name] == one.default)
    }
    return TrialSpec("search", task, get_task(task).version, "generated", "0" * 64, cell, 1, active, seed=3, budget=Budget(2))


def train(spec: TrialSpec, folder: Path, **job: Any) -> dict[str, Any]:
    """Trains and returns the outcome; the model is in the folder."""
    return run_trial(Job(spec.key(), 1, spec, {}, str(folder), **job), lambda event: None)


@pytest.fixture(scope="module")
def kept(asked_tasks: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("kept")
    (folder / "outcome.json").write_text(json.dumps(train(spec_of("asked_letters"), folder)["metrics"]))
    return folder / BEST


def one_line(error: pytest.ExceptionInfo[RnnbenchError]) -> str:
    text = str(error.value)
    assert "\n" not in text
    return text


def test_a_kept_model_has_bit_for_bit_the_validation_numbers_of_its_trial(kept: Path) -> None:
    trained = load_trained(kept)
    assert not trained.module.training
    validation = read_data(trained.spec, {}).splits["validation"]
    with torch_settings(1):
        found = evaluate(trained.module, validation, Pulse(lambda: 0.0))
    recorded = json.loads((kept.parent / "outcome.json").read_text())
    assert found == {name: recorded[name] for name in found}
    assert dict(trained.data.splits) == {}


def test_it_answers_from_what_its_task_kept(kept: Path, tmp_path: Path) -> None:
    trained = load_trained(kept)
    answer = trained.ask(WORDS, top=2)
    assert [row["line"] for row in answer.rows] == ["aeioubb", "aeioubb", "bcdfgaa", "bcdfgaa", "aa", "aa"]
    assert sum(float(row["share"]) for row in answer.rows[:2]) == pytest.approx(1.0, abs=1e-6)
    (tmp_path / "words.txt").write_text("\n".join(WORDS) + "\n")
    assert read_lines(tmp_path / "words.txt") == WORDS
    assert trained.ask(files=[tmp_path / "words.txt"], top=2) == answer
    assert trained.ask("aa").rows == [answer.rows[4]]


def test_the_same_question_gives_the_same_answer_and_leaves_the_process_as_it_was(kept: Path) -> None:
    trained = load_trained(kept)
    before = torch.get_rng_state(), torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(before[1] + 1)
    try:
        first, second = trained.ask(WORDS), load_trained(kept).ask(WORDS)
        assert torch.get_num_threads() == before[1] + 1
    finally:
        torch.set_num_threads(before[1])
    assert first == second
    assert torch.equal(torch.get_rng_state(), before[0])
    assert torch.are_deterministic_algorithms_enabled() == before[2]
    assert torch.is_grad_enabled()
    assert (torch.tensor(1e-38) / 1000).item() != 0.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"topp": 2}, "no option 'topp' of predict in task 'asked_letters'; did you mean 'top'?"),
        ({"top": 3}, "predict.top is 3, must be a whole number from 1 to 2"),
        ({"top": None}, "predict.top is null, must be a whole number from 1 to 2"),
        ({"style": "word"}, "predict.style is 'word', must be one of words, numbers; did you mean 'words'?"),
        ({"style": "numbers", "digits": 2}, "predict.digits exists only with style words"),
    ],
)
def test_an_option_that_is_wrong_is_refused_with_what_is_right(kept: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ParameterError) as error:
        load_trained(kept).ask(WORDS, **options)
    assert one_line(error) == message


def test_a_model_of_a_task_without_answers_says_which_have_them(tmp_path: Path) -> None:
    train(spec_of("adding", changes={"task.num_train": 60, "task.length": 4}), tmp_path)
    with pytest.raises(InputError) as error:
        load_trained(tmp_path / BEST).ask("a")
    assert one_line(error).startswith("models of task 'adding' cannot be asked; those that can: ")
    assert "asked_letters" in str(error.value)


def flip(content: bytes) -> bytes:
    return content[:-100] + bytes([content[-100] ^ 1]) + content[-99:]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (flip, "damaged (its checksum does not fit)"),
        (lambda content: content[: len(content) // 2], "damaged (its checksum does not fit)"),
        (lambda content: b"", "not a checkpoint of rnnbench"),
    ],
    ids=["a bit", "half", "empty"],
)
def test_a_damaged_file_is_refused(kept: Path, tmp_path: Path, damage: Callable[[bytes], bytes], message: str) -> None:
    (tmp_path / BEST).write_bytes(damage(kept.read_bytes()))
    with pytest.raises(CheckpointError) as error:
        load_trained(tmp_path / BEST)
    assert message in one_line(error)


def _changed(kept: Kept, **facts: Any) -> Kept:
    return replace(kept, spec=replace(kept.spec, **facts))


def _larger(kept: Kept) -> Kept:
    return _changed(kept, parameters={**kept.spec.parameters, "network.hidden_size": 6})


def _weight_gone(kept: Kept) -> Kept:
    weights = safetensors.torch.load(kept.weights)
    del weights["head.bias"]
    return replace(kept, weights=safetensors.torch.save(weights))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda kept: _changed(kept, task_version=0),
            "trained with version 0 of task 'asked_letters', which has version 1 here; run its sweep again under a new name",
        ),
        (lambda kept: _changed(kept, cell_version=7), "trained with version 7 of cell 'gru', which has version 1 here"),
        (lambda kept: replace(kept, weights=b"none"), "not a model that this version can use"),
        (_larger, "not a model that this version can use"),
        (_weight_gone, "not a model that this version can use"),
    ],
)
def test_a_model_of_another_version_is_a_line_that_says_so(
    kept: Path, tmp_path: Path, change: Callable[[Kept], Kept], message: str
) -> None:
    change(read_kept(kept)).save(tmp_path / BEST)
    with pytest.raises(CheckpointError) as error:
        load_trained(tmp_path / BEST)
    assert message in one_line(error)
    assert str(tmp_path) in str(error.value)


def test_a_field_that_this_version_does_not_know_is_refused(kept: Path, tmp_path: Path) -> None:
    facts, _, weights = read_sealed(kept, b"rnnbench-model 1").partition(b"\n")
    write_sealed(tmp_path / BEST, b"rnnbench-model 1", facts.replace(b'"input_size"', b'"inputs"') + b"\n" + weights)
    with pytest.raises(CheckpointError, match="not a model that this version can use"):
        load_trained(tmp_path / BEST)


def older(kept: Path) -> dict[str, Any]:
    """What a model was kept as before it was kept as safetensors."""
    now = read_kept(kept)
    data = {"input_size": now.input_size, "output_size": now.output_size, "preparation": now.preparation}
    weights = safetensors.torch.load(now.weights)
    return {"key": now.spec.key(), "spec": now.spec.to_dict(), "module": weights, "data": data, "own_cell": None}


def test_a_model_from_when_it_was_kept_as_tensors_answers_the_same(kept: Path, tmp_path: Path) -> None:
    save_checkpoint(tmp_path / BEST, older(kept))
    assert load_trained(tmp_path / BEST).ask(WORDS) == load_trained(kept).ask(WORDS)


def test_a_model_from_before_its_preparation_was_kept_says_so(kept: Path, tmp_path: Path) -> None:
    state = older(kept)
    del state["data"]
    save_checkpoint(tmp_path / BEST, state)
    with pytest.raises(CheckpointError) as error:
        load_trained(tmp_path / BEST)
    assert "from before models kept what their task needs to use them; train it again" in one_line(error)


def test_without_its_task_the_model_names_it(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    forget_tasks()
    monkeypatch.setattr("rnnbench.task.catalogue.entry_points", lambda group: ())
    with pytest.raises(UnknownNameError, match="no task 'asked_letters'"):
        load_trained(kept)
    forget_tasks()


def test_a_cell_of_ones_own_is_taken_from_the_model_when_its_file_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_known(OWN)
    train(spec_of("asked_letters", OWN.name), tmp_path, own_cell=vars(OWN))
    answer = load_trained(tmp_path / BEST).ask(WORDS)
    monkeypatch.setattr(own, "_READ", {})
    assert own.find_own(OWN.name) is None
    trained = load_trained(tmp_path / BEST)
    assert trained.spec.cell == OWN.name
    assert trained.ask(WORDS) == answer


def test_loading_a_model_draws_nothing_from_the_random_stream(kept: Path) -> None:
    before = torch.get_rng_state()
    load_trained(kept)
    assert torch.equal(torch.get_rng_state(), before)


def test_rows_of_different_keys_are_a_mistake_of_the_task(kept: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trained = load_trained(kept)
    answer = trained.ask(WORDS)
    uneven = replace(answer, rows=[{"line": "a"}, {"word": "b"}])
    monkeypatch.setattr("asked_letters.task.answer", lambda module, data, question: uneven)
    with pytest.raises(AssertionError, match="the same keys"):
        trained.ask(WORDS)
    assert isinstance(trained, Trained)
