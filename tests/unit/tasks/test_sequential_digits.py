"""Digits: a person's own images, parts of the training images, images asked of a model, and which class it takes for which."""

import gzip
import struct
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import confusion_matrix, recall_score

from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.task.answers import Question
from rnnbench.task.catalogue import get_task
from rnnbench.task.files import read_bytes
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench.task.sources import differs_from_published, locate
from rnnbench_tasks.sequential_digits import task as digits
from rnnbench_tasks.sequential_digits.images import read_images

DEFAULTS: dict[str, Value] = {parameter.name: parameter.default for parameter in get_task("sequential_digits").parameters}


def read(
    data: str = "digits", files: Mapping[str, Path] | None = None, splits: Sequence[str] = ("train", "validation", "test"), **changes: Value
) -> TaskData:
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    return digits.read_data(files or {}, data, {**DEFAULTS, **changed}, splits)


def build(data: TaskData, **changes: Value) -> TaskModule:
    torch.manual_seed(0)
    network: dict[str, Value] = {one.name: one.default for one in NETWORK_PARAMETERS} | {"network.hidden_size": 16}
    parameters = {**DEFAULTS, **{name.replace("__", "."): value for name, value in changes.items()}}
    return digits.Module.build(partial(build_network, "gru", parameters=network), data, parameters).eval()


def own_images(
    count: int = 60, classes: Sequence[int] = (3, 5, 7), size: tuple[int, int] = (4, 5)
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Images that tell their class: the labels come in turn."""
    labels = np.array([classes[number % len(classes)] for number in range(count)])
    images = np.random.default_rng(0).integers(0, 50, (count, *size)).astype(np.uint8)
    images[:, 0, 0] = 30 * labels
    return images, labels


def archive(path: Path, **arrays: NDArray[Any]) -> dict[str, Path]:
    np.savez(path, **arrays)  # type: ignore[arg-type]  # its keywords are arrays
    return {path.name: path}


def idx(path: Path, values: NDArray[np.uint8]) -> Path:
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}i", *values.shape)
    path.write_bytes(gzip.compress(header + values.tobytes()))
    return path


# Own images.


def test_own_images_are_split_by_class_and_scaled_alike(tmp_path: Path) -> None:
    images, labels = own_images()
    data = read("path:mine", archive(tmp_path / "mine.npz", images=images, labels=labels))
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 48, "validation": 6, "test": 6}
    assert data.preparation == {"height": 4, "width": 5, "full": 255.0, "classes": ["3", "5", "7"]}
    assert (data.input_size, data.output_size) == (5, 3)
    for split in data.splits.values():
        counts = split.targets.bincount(minlength=3)
        assert int(counts.max() - counts.min()) <= 1
        for inputs, target in zip(split.inputs, split.targets, strict=True):
            assert float(inputs[0, 0]) == pytest.approx(30 * (3, 5, 7)[int(target)] / 255)
    rows = sorted(row.numpy().tobytes() for split in data.splits.values() for row in split.inputs)
    assert rows == sorted(row.tobytes() for row in (images / 255).astype(np.float32))


def test_an_archive_with_test_images_keeps_them_apart(tmp_path: Path) -> None:
    images, labels = own_images(80)
    files = archive(tmp_path / "keras.npz", x_train=images[:60], y_train=labels[:60], x_test=images[60:], y_test=labels[60:])
    data = read("path:keras", files)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 54, "validation": 6, "test": 20}
    np.testing.assert_allclose(data.splits["test"].inputs.numpy(), images[60:] / 255, rtol=1e-6)
    alone = read("path:keras", files, ("validation",))
    assert torch.equal(alone.splits["validation"].inputs, data.splits["validation"].inputs)


def test_images_of_shares_are_taken_as_they_are(tmp_path: Path) -> None:
    images, labels = own_images()
    data = read("path:mine", archive(tmp_path / "mine.npz", images=images / 255, labels=labels), ("test",))
    assert data.preparation["full"] == 1.0
    assert float(data.splits["test"].inputs.max()) <= 1


def test_mnist_packed_anew_or_unpacked_is_known_as_published(data_home: Path, tmp_path: Path) -> None:
    card = get_task("sequential_digits")
    assert differs_from_published(card, "mnist", data_home) == []
    for name, path in locate(card, "mnist", data_home).items():
        (tmp_path / name.removesuffix(".gz")).write_bytes(read_bytes(path))
    assert set(locate(card, "mnist", tmp_path)) == {file.path.removeprefix("mnist/") for file in card.data["mnist"].or_files[0]}
    assert differs_from_published(card, "mnist", tmp_path) == []
    labels = tmp_path / "t10k-labels-idx1-ubyte"
    labels.write_bytes(labels.read_bytes()[:-1] + b"\0")
    assert differs_from_published(card, "mnist", tmp_path) == ["t10k-labels-idx1-ubyte"]


def test_a_folder_of_idx_files_is_read_as_mnist_is(tmp_path: Path) -> None:
    images, labels = own_images(100, (0, 1, 2, 3), (6, 6))
    parts = {"train": (images[:80], labels[:80]), "t10k": (images[80:], labels[80:])}
    files = {}
    for part, (pixels, of) in parts.items():
        for name, values in ((f"{part}-images-idx3-ubyte.gz", pixels), (f"{part}-labels-idx1-ubyte.gz", of.astype(np.uint8))):
            files[name] = idx(tmp_path / name, values)
    data = read("path:folder", files)
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 72, "validation": 8, "test": 20}
    assert data.splits["test"].targets.tolist() == labels[80:].tolist()
    unpacked = {}
    for name, path in files.items():
        unpacked[name.removesuffix(".gz")] = path.with_suffix("")
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
    again = read("path:folder", unpacked)
    assert all(torch.equal(again.splits[name].inputs, split.inputs) for name, split in data.splits.items())
    del files["t10k-labels-idx1-ubyte.gz"]
    with pytest.raises(DataError, match=r"there is no t10k-labels-idx1-ubyte\.gz"):
        read("path:folder", files)


def test_idx_files_with_too_few_images_name_those_of_training(tmp_path: Path) -> None:
    images, labels = own_images(24, (0, 1, 2, 3), (6, 6))
    # The test images are named first: it is not they that are too few.
    files = {}
    for part, rows in (("t10k", slice(4, None)), ("train", slice(4))):
        for name, values in ((f"{part}-images-idx3-ubyte.gz", images), (f"{part}-labels-idx1-ubyte.gz", labels.astype(np.uint8))):
            files[name] = idx(tmp_path / name, values[rows])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: 4 images to train on cannot be split by class"):
        read("path:folder", files)


GOOD, LABELS = own_images()


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"images": GOOD}, "holds no array 'labels', but images; it needs images and labels"),
        ({"x_train": GOOD, "y_train": LABELS}, "holds no array 'x_test'"),
        ({}, "holds no array 'images', but none"),
        ({"images": GOOD[0], "labels": LABELS}, "'images' is 4x5, must be N x H x W"),
        ({"images": GOOD, "labels": LABELS[:-1]}, "'labels' is 59, must be 60, one for each image"),
        ({"images": GOOD, "labels": LABELS.astype(str)}, "'labels' holds <U21, must hold whole numbers"),
        ({"images": GOOD, "labels": LABELS / 2}, "'labels' holds float64, must hold whole numbers"),
        ({"images": GOOD, "labels": np.zeros(60, dtype=int)}, "all images to train on have the label 0"),
        ({"images": np.where(GOOD > 200, np.nan, GOOD), "labels": LABELS}, "'images' holds a value that is missing or not finite"),
        ({"images": GOOD.astype(int) - 1, "labels": LABELS}, "holds values from -1 to 209"),
        ({"images": GOOD.astype(int) * 9, "labels": LABELS}, "must be 0 to 255"),
        ({"images": GOOD.astype(str), "labels": LABELS}, "must hold numbers"),
        ({"images": GOOD[:2], "labels": LABELS[:2]}, "2 rows cannot be split into train, validation, test"),
        ({"x_train": GOOD, "y_train": LABELS, "x_test": GOOD, "y_test": LABELS + 1}, "image 1 of the test split has the label 4, which no"),
        ({"x_train": GOOD[:4], "y_train": LABELS[:4], "x_test": GOOD, "y_test": LABELS}, "4 images to train on cannot be split by class"),
    ],
)
def test_an_archive_that_cannot_be_used_is_one_line(tmp_path: Path, arrays: dict[str, NDArray[Any]], message: str) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read("path:mine", archive(tmp_path / "mine.npz", **arrays))
    assert "\n" not in str(caught.value)


def test_a_damaged_archive_and_other_files_are_one_line(tmp_path: Path) -> None:
    files = archive(tmp_path / "mine.npz", images=GOOD, labels=LABELS)
    files["mine.npz"].write_bytes(files["mine.npz"].read_bytes()[:200])
    with pytest.raises(DataError, match=r"mine\.npz: not a whole \.npz file"):
        read("path:mine", files)
    np.savez(tmp_path / "mine.npz", images=np.array([None]), labels=LABELS)
    with pytest.raises(DataError, match=r"mine\.npz: holds an array of objects, which would run code"):
        read("path:mine", files)
    (tmp_path / "a.txt").write_text("1 2 3")
    with pytest.raises(DataError, match=r"a\.txt: give one \.npz file, or a folder with the four idx files"):
        read("path:a", {"a.txt": tmp_path / "a.txt"})


def test_parts_of_the_training_images_are_nested_and_have_every_class() -> None:
    parts = [read(data__train_fraction=fraction) for fraction in (0.02, 0.2, 1.0)]
    rows = [{row.numpy().tobytes() for row in data.splits["train"].inputs} for data in parts]
    assert rows[0] < rows[1] < rows[2]
    assert [len(data.splits["train"]) for data in parts] == [26, 252, 1257]
    assert all(24 <= int(count) <= 27 for count in parts[1].splits["train"].targets.bincount())
    before = digits.read_data({}, "digits", {"data.seed": 0, "task.order": "rows"}, ("train", "validation"))
    for name in ("train", "validation"):
        assert torch.equal(before.splits[name].inputs, parts[2].splits[name].inputs)
        assert torch.equal(before.splits["validation"].inputs, parts[0].splits["validation"].inputs)


# Asking a model.


@pytest.mark.parametrize("order", ["rows", "pixels", "permuted"])
def test_a_model_says_of_an_image_in_any_file_what_it_says_of_the_same_image_in_the_data(tmp_path: Path, order: str) -> None:
    data = read(splits=("test",), task__order=order)
    module = build(data, task__order=order)
    pixels = np.round(read(splits=("test",)).splits["test"].inputs.numpy()[:5] * 16).astype(np.uint8)
    with torch.inference_mode():
        chances = module(data.splits["test"].rows(torch.arange(5))).double().softmax(1)
    np.save(tmp_path / "many.npy", pixels)
    np.save(tmp_path / "shares.npy", pixels / 16)
    np.savez(tmp_path / "each.npz", **{f"image{number}": image for number, image in enumerate(pixels)})
    np.savez(tmp_path / "trained.npz", images=pixels, labels=np.arange(5))
    lines = [",".join(str(value) for value in image.ravel()) for image in pixels]
    (tmp_path / "bare.csv").write_text("\n".join(lines) + "\n")
    names = ",".join(f"pixel{number}" for number in range(64))
    (tmp_path / "named.csv").write_text("\n".join([f"label,{names}", *(f"9,{line}" for line in lines)]) + "\n")
    kept = TaskData({}, data.input_size, data.output_size, preparation=data.preparation)
    for name in ("many.npy", "shares.npy", "each.npz", "trained.npz", "bare.csv", "named.csv"):
        rows = digits.answer(module, kept, Question(files=[tmp_path / name])).rows
        assert [row["class"] for row in rows] == [str(best) for best in chances.argmax(1).tolist()], name
        assert [row["probability"] for row in rows] == pytest.approx(chances.max(1).values.tolist(), rel=1e-5), name
        assert len({row["image"] for row in rows}) == 5


def test_a_picture_is_read_as_grey_values(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (8, 8)).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "a.png")
    Image.fromarray(np.stack([grey] * 3, axis=2)).save(tmp_path / "b.bmp")
    for name in ("a.png", "b.bmp"):
        (image,) = read_images(tmp_path / name, 8, 8, 16)
        assert image.name == name
        np.testing.assert_allclose(image.pixels, grey / 255, rtol=1e-6)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.png", b"\x89PNG\r\n", r"a\.png: not a whole picture"),
        ("a.npy", b"\x93NUMPY", r"a\.npy: not a whole \.npy file of numbers"),
        ("a.npz", b"PK\x03\x04", r"a\.npz: not a whole \.npz file of numbers"),
        ("a.txt", b"1 2", r"a\.txt: not an image; give \.png"),
        ("a.csv", b"1,2,3\n", r"a\.csv:1: 3 values, must be 4: an image of 2x2 row by row"),
        ("a.csv", b"a,b,c,d\n1,2,3,x\n", r"a\.csv:2: 'x' is not a number"),
        ("a.csv", b"1,2,3,\n", r"a\.csv:1 holds a value that is missing"),
        ("a.csv", b"1,2,3,4\n1,2,3,400\n", r"a\.csv:2 holds values from 1 to 400, must be 0 to 255"),
        ("a.csv", b"a,b,c,d\n", "no rows below the line"),
        ("a.csv", b"", "the file is empty"),
        ("a.csv", b"1,2,3,\xff\n", r"a\.csv:1: not UTF-8"),
    ],
)
def test_a_file_without_an_image_is_one_line(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message) as caught:
        read_images(tmp_path / name, 2, 2, 255)
    assert "\n" not in str(caught.value)


def test_an_image_of_another_size_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 28), dtype=np.uint8)).save(tmp_path / "a.png")
    np.save(tmp_path / "b.npy", np.zeros((3, 4, 4)))
    np.save(tmp_path / "c.npy", np.zeros(4))
    for name, message in (
        ("a.png", "a.png is 20x28, but this model reads 8x8"),
        ("b.npy", "b.npy 1 is 4x4"),
        ("c.npy", "c.npy is 4, must be H x W"),
    ):
        with pytest.raises(DataError, match=message):
            read_images(tmp_path / name, 8, 8, 16)


# Looking closer.


def test_a_confirmed_trial_shows_which_digit_was_taken_for_which() -> None:
    data = read(splits=("test",))
    module, test = build(data), data.splits["test"]
    with torch.inference_mode():
        found = module.examine(test)
        said = module(test).argmax(1).numpy()
    assert found["confusion"]["classes"] == [str(digit) for digit in range(10)]
    assert found["confusion"]["counts"] == confusion_matrix(test.targets.numpy(), said, labels=range(10)).tolist()
    expected = recall_score(test.targets.numpy(), said, labels=range(10), average=None, zero_division=0)
    assert list(found["recall"].values()) == pytest.approx(expected.tolist())


def test_a_class_that_is_not_tested_has_no_recall() -> None:
    data = read(splits=("test",))
    test = data.splits["test"]
    without = test.rows((test.targets != 4).nonzero().flatten())
    with torch.inference_mode():
        found = build(data).examine(Batch(without.inputs, without.targets))
    assert "of 4" not in found["recall"]
    assert found["confusion"]["counts"][4] == [0] * 10


def test_the_check_names_what_is_twice_blank_or_rare(tmp_path: Path) -> None:
    images, labels = own_images(100, (0, 0, 0, 0, 1))
    tests, of = images[:20].copy(), labels[:20]
    tests[1] = tests[0]
    tests[2] = 9
    arrays: dict[str, NDArray[Any]] = {"x_train": images[20:], "y_train": labels[20:], "x_test": tests, "y_test": of}
    assert digits.check_data(archive(tmp_path / "a.npz", **arrays), "path:a", DEFAULTS) == [
        "test: 1 of 20 images repeated",
        "test: 1 of 20 images of one grey",
        "train: 14 images of class 1, 58 of 0: accuracy says little of the rare one",
    ]
    arrays["x_test"] = images[80:]
    assert digits.check_data(archive(tmp_path / "b.npz", **arrays), "path:b", DEFAULTS)[-2] == (
        "test: 20 of 20 images also in train or validation, pixel for pixel"
    )
    assert Counter(line.split(":")[0] for line in digits.check_data({}, "digits", DEFAULTS)) == {}
