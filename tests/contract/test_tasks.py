"""One contract for every task of the catalogue on its embedded data set, and the real sets where they are at hand."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import pytest
import torch
from scipy.io import loadmat
from torch.utils.data import DataLoader

from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.task.cards import TaskCard
from rnnbench.task.catalogue import get_task, list_tasks
from rnnbench.task.load import load_task
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.task.sources import locate

JUDGED = ("validation", "test")
every_task = pytest.mark.parametrize("card", list_tasks(), ids=lambda card: card.name)


def read(card: TaskCard, splits: Sequence[str] = ("train", "validation"), data: str | None = None, home: Path | None = None) -> TaskData:
    name = data or card.default_data
    files = locate(card, name, home) if home else {}
    return load_task(card.name).read_data(files, name, {p.name: p.default for p in card.parameters}, splits)


def module_for(card: TaskCard, data: TaskData) -> TaskModule:
    torch.manual_seed(0)
    parameters: dict[str, Value] = {parameter.name: parameter.default for parameter in NETWORK_PARAMETERS}
    network_of = partial(build_network, "gru", parameters={**parameters, "network.hidden_size": 16})
    return load_task(card.name).Module.build(network_of, data, {p.name: p.default for p in card.parameters})


def totals(module: TaskModule, split: Batch, rows: int) -> dict[str, float]:
    found: dict[str, float] = {}
    module.carried = None
    with torch.inference_mode():
        for index in torch.arange(len(split)).split(rows):
            batch = split.rows(index)
            for name, value in module.totals(module(batch), batch).items():
                found[name] = found.get(name, 0.0) + float(value)
    return found


@every_task
def test_the_card_has_an_embedded_default_and_knows_its_published_sets(card: TaskCard) -> None:
    assert card.data[card.default_data].embedded
    assert {number.data for number in card.published} <= set(card.data)


@every_task
def test_reading_twice_gives_the_same_data(card: TaskCard) -> None:
    one, other = read(card, ("train", "validation", "test")), read(card, ("train", "validation", "test"))
    for name in one.splits:
        assert torch.equal(one.splits[name].inputs, other.splits[name].inputs)
        assert torch.equal(one.splits[name].targets, other.splits[name].targets)
    assert one.preparation == other.preparation


@every_task
def test_only_the_asked_splits_are_built_and_asking_does_not_change_them(card: TaskCard) -> None:
    data = read(card)
    assert set(data.splits) == {"train", "validation"}
    everything = read(card, ("test", "train", "validation"))
    assert torch.equal(data.splits["validation"].inputs, everything.splits["validation"].inputs)


@every_task
def test_no_row_is_in_two_splits(card: TaskCard) -> None:
    data = read(card, ("train", "validation", "test"))
    rows = {name: {row.numpy().tobytes() for row in split.inputs} for name, split in data.splits.items()}
    # Pieces of different splits are padded to different lengths; generated rows are equal only with vanishing probability.
    assert not rows["train"] & rows["validation"]
    assert not rows["train"] & rows["test"]
    assert not rows["validation"] & rows["test"]


@every_task
def test_metrics_do_not_depend_on_the_batch_size(card: TaskCard) -> None:
    data = read(card)
    module, split = module_for(card, data).eval(), data.splits["validation"]
    if module.carries_state:
        pytest.skip("its rows follow each other: its own tests compare it with reading row after row")
    whole, parts = module.metrics(totals(module, split, len(split))), module.metrics(totals(module, split, 7))
    assert card.metric.name in whole
    assert "loss" in whole
    for name, value in whole.items():
        # Float32 outputs of differently shaped batches differ by rounding; their sums are float64.
        assert parts[name] == pytest.approx(value, rel=1e-5)


@every_task
def test_the_metrics_lie_in_the_ranges_of_the_card_and_its_own_has_one(card: TaskCard) -> None:
    data = read(card)
    module, split = module_for(card, data).eval(), data.splits["validation"]
    assert card.range_of(card.metric.name) != (-math.inf, math.inf)
    for name, value in module.metrics(totals(module, split, len(split))).items():
        low, high = card.range_of(name)
        assert low <= value <= high, name


@pytest.mark.slow
@every_task
def test_what_an_examination_finds_lies_in_the_ranges_of_the_card(card: TaskCard) -> None:
    data = read(card, ("train", "validation", "test"))
    module = module_for(card, data).eval()
    with torch.inference_mode():
        examined = module.examine(data.splits["test"])
    inner = {f"{name} {key}": value for name, found in examined.items() if isinstance(found, dict) for key, value in found.items()}
    for name, value in {**examined, **inner}.items():
        if isinstance(value, float):
            low, high = card.range_of(name)
            assert low <= value <= high, name


@every_task
def test_parts_of_a_batch_add_up_to_the_loss_of_the_whole(card: TaskCard) -> None:
    """What `resources.workers` relies on: mean losses of parts, weighted with what they are means over, give that of the whole."""
    data = read(card)
    module, train = module_for(card, data).double(), data.splits["train"]
    assert card.data_parallel != module.carries_state
    if not card.data_parallel:
        return
    batch_size = min(len(train), 13)
    rows = module.plan_epoch(train, batch_size, torch.Generator().manual_seed(0))[0]

    def loss_of(part: torch.Tensor) -> tuple[float, float]:
        batch = train.rows(part)
        inputs = batch.inputs.double() if batch.inputs.dtype == torch.float32 else batch.inputs
        batch = replace(batch, inputs=inputs)
        with torch.no_grad():
            return float(module.training_step(batch, 0)), float(module.loss_size(batch))

    whole, total = loss_of(rows)
    parts = [loss_of(rows[rank::3]) for rank in range(3)]
    assert sum(size for _, size in parts) == total
    assert sum(loss * size for loss, size in parts) / total == pytest.approx(whole, rel=1e-6)


@every_task
def test_the_loss_falls_when_the_module_trains(card: TaskCard) -> None:
    data = read(card)
    module = module_for(card, data)
    optimizer = torch.optim.Adam(module.parameters(), lr=1e-2)
    # So few and short rows that any task's can be learned by heart.
    train = data.splits["train"]
    batch = train.rows(torch.arange(4) if train.lengths is None else train.lengths.argsort(stable=True)[:4])
    losses = []
    for step in range(60):
        optimizer.zero_grad()
        loss = module.training_step(batch, step)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]


@every_task
def test_a_stock_lightning_trainer_drives_the_module_to_the_same_metrics(card: TaskCard, tmp_path: Path) -> None:
    data = read(card)
    module = module_for(card, data)
    train = [data.splits["train"].rows(rows) for rows in torch.arange(96).split(32)]
    validation = [data.splits["validation"].rows(rows) for rows in torch.arange(40).split(16)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Lightning advises worker processes for what are lists of tensors
        trainer = pl.Trainer(
            accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, num_sanity_val_steps=0, default_root_dir=tmp_path,
        )  # fmt: skip
        trainer.fit(module, _loader(train), _loader(validation))
    by_hand = module_for(card, data)
    optimizer = by_hand.configure_optimizers()
    for step, batch in enumerate(train):
        optimizer.zero_grad()
        by_hand.training_step(batch, step).backward()
        optimizer.step()
    split = data.splits["validation"].rows(torch.arange(40))
    expected = by_hand.eval().metrics(totals(by_hand, split, 16))
    logged = {name: float(value) for name, value in trainer.callback_metrics.items()}
    assert logged == pytest.approx(expected, rel=1e-5)


def _loader(batches: list[Batch]) -> DataLoader[Batch]:
    return DataLoader(batches, batch_size=None)  # type: ignore[arg-type]  # a list is a data set to torch, but not to its types


@every_task
def test_baselines_are_finite_on_each_split_and_know_what_needs_no_memory(card: TaskCard) -> None:
    code, data = load_task(card.name), read(card, ("train", "validation", "test"))
    found = {
        split: code.baselines(replace(data, splits={"train": data.splits["train"], split: data.splits[split]}), split) for split in JUDGED
    }
    assert found["validation"]
    assert list(found["validation"]) == list(found["test"])
    assert all(math.isfinite(value) for of_split in found.values() for value in of_split.values())
    if card.must_beat is not None:
        names = {"validation": card.must_beat.baseline, "test": card.must_beat.on_test or card.must_beat.baseline}
        assert {split: found[split][card.must_beat.baseline] for split in JUDGED} == {split: data.facts[names[split]] for split in JUDGED}


def test_the_digits_are_all_there_once_and_stratified() -> None:
    data = read(get_task("sequential_digits"), ("train", "validation", "test"))
    assert [len(data.splits[name]) for name in ("train", "validation", "test")] == [1257, 270, 270]
    assert all(26 <= int(count) <= 28 for count in data.splits["validation"].targets.bincount())


def test_shuffled_labels_bring_the_logistic_baseline_to_chance() -> None:
    data = read(get_task("sequential_digits"))
    train = data.splits["train"]
    mixed = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    wrong = TaskData({**data.splits, "train": Batch(train.inputs, train.targets[mixed])}, data.input_size, data.output_size)
    code = load_task("sequential_digits")
    assert code.baselines(data, "validation")["logistic regression"] > 0.9
    assert code.baselines(wrong, "validation")["logistic regression"] < 0.25


def test_the_adding_problem_marks_one_number_in_each_half_and_sums_them() -> None:
    batch = read(get_task("adding")).splits["validation"]
    values_NT, marks_NT = batch.inputs.unbind(2)
    half = marks_NT.shape[1] // 2
    assert torch.equal(marks_NT[:, :half].sum(1), torch.ones(len(batch)))
    assert torch.equal(marks_NT[:, half:].sum(1), torch.ones(len(batch)))
    torch.testing.assert_close((values_NT * marks_NT).sum(1), batch.targets)
    # The variance of a sum of two U[0, 1] is 1/6: three standard errors of 1000 rows.
    assert abs(float(((batch.targets - 1) ** 2).mean()) - 1 / 6) < 3 * 0.1972 / 1000**0.5


def test_permuted_pixels_are_the_same_pixels_in_one_other_order() -> None:
    card = get_task("sequential_digits")
    code, defaults = load_task(card.name), {parameter.name: parameter.default for parameter in card.parameters}
    pixels = code.read_data({}, "digits", {**defaults, "task.order": "pixels"}, ("test",)).splits["test"].inputs
    permuted = code.read_data({}, "digits", {**defaults, "task.order": "permuted"}, ("test",)).splits["test"].inputs
    other = (
        code.read_data({}, "digits", {**defaults, "task.order": "permuted", "task.permutation_seed": 1}, ("test",)).splits["test"].inputs
    )
    assert pixels.shape == permuted.shape == (270, 64, 1)
    assert torch.equal(pixels.sort(dim=1).values, permuted.sort(dim=1).values)
    assert not torch.equal(permuted, pixels)
    assert not torch.equal(permuted, other)


@pytest.mark.parametrize(
    ("data", "pieces", "frames"), [("jsb", (229, 76, 77), (13807, 4602, 4725)), ("nottingham", (694, 173, 170), (176561, 45513, 44463))]
)
def test_the_real_music_is_read_whole(data: str, pieces: tuple[int, ...], frames: tuple[int, ...], data_home: Path) -> None:
    facts = read(get_task("polyphonic_music"), ("train", "validation", "test"), data, data_home).facts
    assert tuple(facts[f"{name} pieces"] for name in ("train", "validation", "test")) == pieces
    assert tuple(facts[f"{name} frames"] for name in ("train", "validation", "test")) == frames


def test_the_floor_of_the_chorales_equals_an_independent_count(data_home: Path) -> None:
    card = get_task("polyphonic_music")
    content = loadmat(locate(card, "jsb", data_home)["JSB_Chorales.mat"])
    counts = np.ones((2, 88, 2))
    for piece in content["traindata"][0]:
        for before, after in zip(piece[:-1].astype(int), piece[1:].astype(int), strict=True):
            counts[before, np.arange(88), after] += 1
    chance = counts / counts.sum(axis=2, keepdims=True)
    nats, steps = 0.0, 0
    for piece in content["testdata"][0]:
        for before, after in zip(piece[:-1].astype(int), piece[1:].astype(int), strict=True):
            nats -= float(np.log(chance[before, np.arange(88), after]).sum())
            steps += 1
    floor = card.data["jsb"].floor
    assert floor is not None
    assert nats / steps == pytest.approx(floor.value, abs=0.005)
    data = read(card, ("train", "test"), "jsb", data_home)
    ours = load_task(card.name).baselines(data, "test")
    assert ours["each key given its own last value"] == pytest.approx(nats / steps, rel=1e-5)


def test_mnist_is_read_whole(data_home: Path) -> None:
    data = read(get_task("sequential_digits"), ("train", "validation", "test"), "mnist", data_home)
    assert [len(data.splits[name]) for name in ("train", "validation", "test")] == [54000, 6000, 10000]
    # The class counts of the published test labels.
    assert data.splits["test"].targets.bincount().tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert data.splits["validation"].targets.bincount().sum() == 6000
