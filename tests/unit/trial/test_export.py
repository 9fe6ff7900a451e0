"""An exported model: bit-equal where it is loaded, whole or not at all where it is written, harmless whatever its files hold."""

import errno
import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

import rnnbench
from rnnbench.base.errors import CheckpointError, InputError
from rnnbench.base.files import write_atomic
from rnnbench.cells import own
from rnnbench.cells.own import OwnCell, make_known
from rnnbench.trial import export as exporting
from rnnbench.trial.export import export
from rnnbench.trial.exported import load_exported
from rnnbench.trial.files import BEST, CARD, PREPARATION, SPEC, WEIGHTS
from rnnbench.trial.spec import TrialSpec
from rnnbench.trial.trained import Trained, load_trained
from tests.unit.trial.test_trained import WORDS, one_line, spec_of, train

pytestmark = pytest.mark.usefixtures("asked_tasks")

VERSIONS = {"rnnbench": "1", "torch": torch.__version__}


@pytest.fixture(scope="module")
def trained(asked_tasks: None, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    train(spec_of("asked_letters"), folder)
    return load_trained(folder / BEST)


@pytest.fixture
def folder(trained: Trained, tmp_path: Path) -> Path:
    """An export to be tampered with."""
    export(trained, tmp_path / "model", "# A card\n", VERSIONS)
    return tmp_path / "model"


def test_an_export_is_bit_equal_to_its_model(trained: Trained, folder: Path) -> None:
    found = load_exported(folder)
    assert found.spec == trained.spec
    assert found.data == trained.data
    ours, theirs = trained.module.state_dict(), found.module.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items())
    assert found.ask(WORDS, top=2) == trained.ask(WORDS, top=2)
    assert rnnbench.load(folder).ask(WORDS, top=2) == rnnbench.load(f"{folder}/").ask(WORDS, top=2) == trained.ask(WORDS, top=2)


def test_the_files_are_the_four_that_are_promised_and_readable_without_us(trained: Trained, folder: Path) -> None:
    assert sorted(path.name for path in folder.iterdir()) == sorted([CARD, WEIGHTS, PREPARATION, SPEC])
    assert {oct(path.stat().st_mode & 0o777) for path in (*folder.iterdir(), folder)} == {"0o644", "0o755"}
    described = json.loads((folder / SPEC).read_text())
    assert described["key"] == trained.spec.key()
    assert described["versions"] == VERSIONS
    for name, checksum in described["files"].items():
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == checksum
    assert described["files"].keys() == {CARD, WEIGHTS, PREPARATION}
    weights = safetensors.torch.load_file(folder / WEIGHTS)
    assert sum(weight.numel() for weight in weights.values()) == sum(weight.numel() for weight in trained.module.parameters())


def test_a_card_that_a_person_edits_does_not_spoil_the_model(folder: Path) -> None:
    (folder / CARD).write_text("# Mine\n")
    assert load_exported(folder).ask(WORDS).rows


def test_weights_that_share_memory_are_written_and_read(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module_class = type(trained.module)

    class Tied(module_class):  # type: ignore[misc, valid-type]  # a class of the test's plug-in
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.same = self.head.weight
            self.register_buffer("steps", torch.tensor([2**40, -1]))

    monkeypatch.setattr("asked_letters.task.Module", Tied)
    train(spec_of("asked_letters"), tmp_path / "trial")
    tied = load_trained(tmp_path / "trial" / BEST)
    export(tied, tmp_path / "tied", "", VERSIONS)
    found = load_exported(tmp_path / "tied").module.state_dict()
    assert torch.equal(found["same"], found["head.weight"])
    assert found["steps"].tolist() == [2**40, -1]


@pytest.mark.parametrize("number", [0, 1, 2, 3])
def test_an_export_that_fails_leaves_nothing(trained: Trained, tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def full(path: Path, content: bytes) -> None:
        if len(written) == number:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        written.append(path)
        write_atomic(path, content)

    monkeypatch.setattr(exporting, "write_atomic", full)
    with pytest.raises(OSError, match="No space left"):
        export(trained, tmp_path / "model", "", VERSIONS)
    assert list(tmp_path.iterdir()) == []


def test_an_export_is_read_back_before_anybody_can_see_it(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def rounded(weights: dict[str, torch.Tensor]) -> bytes:
        return safetensors_save({name: weight + (name == "head.bias") * 1e-6 for name, weight in weights.items()})

    safetensors_save = safetensors.torch.save
    monkeypatch.setattr(safetensors.torch, "save", rounded)
    with pytest.raises(AssertionError, match="the weights of its model"):
        export(trained, tmp_path / "model", "", VERSIONS)
    assert list(tmp_path.iterdir()) == []


def test_only_a_new_or_empty_folder_is_filled(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "empty").mkdir()
    export(trained, tmp_path / "empty", "", VERSIONS)
    export(trained, tmp_path / "new" / "deep", "", VERSIONS)
    assert load_exported(tmp_path / "empty").ask(WORDS) == load_exported(tmp_path / "new" / "deep").ask(WORDS)
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    for place in (tmp_path / "empty", tmp_path / "file", tmp_path / "link", Path(), tmp_path / "file" / "below"):
        before = sorted(os.walk(tmp_path))
        with pytest.raises(InputError) as error:
            export(trained, place, "", VERSIONS)
        assert "\n" not in str(error.value)
        assert sorted(os.walk(tmp_path)) == before


def rewrite(folder: Path, name: str, content: bytes) -> None:
    """Replaces a file, and its checksum with it: what somebody would do who wants it to be read."""
    (folder / name).write_bytes(content)
    described = json.loads((folder / SPEC).read_text())
    described["files"][name] = hashlib.sha256(content).hexdigest()
    (folder / SPEC).write_text(json.dumps(described))


def describe(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Changes spec.json, and its key with it."""
    described = json.loads((folder / SPEC).read_text())
    change(described)
    described["key"] = TrialSpec.from_dict(described["spec"]).key()
    (folder / SPEC).write_text(json.dumps(described))


def reweigh(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    weights = safetensors.torch.load_file(folder / WEIGHTS)
    change(weights)
    rewrite(folder, WEIGHTS, safetensors.torch.save(weights))


def _flip(folder: Path) -> None:
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)


def _pickle(folder: Path) -> None:
    rewrite(folder, WEIGHTS, b"\x80\x04cos\nsystem\n(S'touch executed'\ntR.")


def _link(folder: Path) -> None:
    (folder / WEIGHTS).rename(folder / "elsewhere")
    (folder / WEIGHTS).symlink_to(folder / "elsewhere")


def _huge_header(folder: Path) -> None:
    rewrite(folder, WEIGHTS, (2**62).to_bytes(8, "little") + b"{}")


def _overlap(folder: Path) -> None:
    header = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
    rewrite(folder, WEIGHTS, len(header).to_bytes(8, "little") + header + bytes(4))


def _type_of_a_weight(folder: Path) -> None:
    reweigh(folder, lambda weights: weights.update({"head.bias": weights["head.bias"].double()}))


HOSTILE: dict[str, tuple[Callable[[Path], Any], str]] = {
    "a bit of the weights": (_flip, "damaged or changed"),
    "no weights": (lambda folder: (folder / WEIGHTS).unlink(), f"it has no file {WEIGHTS}"),
    "no description": (lambda folder: (folder / SPEC).unlink(), f"it has no file {SPEC}"),
    "a link": (_link, f"it has no file {WEIGHTS}"),
    "a pickle": (_pickle, "refused, its files do not make a model"),
    "a header of 2**62 bytes": (_huge_header, "refused, its files do not make a model"),
    "weights that overlap": (_overlap, "refused, its files do not make a model"),
    "a weight more": (lambda f: reweigh(f, lambda w: w.update(more=torch.ones(3))), "refused, its files do not make a model"),
    "a weight less": (lambda f: reweigh(f, lambda w: w.pop("head.bias")), "refused, its files do not make a model"),
    "a weight of another shape": (
        lambda f: reweigh(f, lambda w: w.update({"head.bias": torch.ones(3)})),
        "refused, its files do not make a model",
    ),
    "a weight of another type": (_type_of_a_weight, "head.bias is torch.float64, must be torch.float32"),
    "another seed": (
        lambda folder: (folder / SPEC).write_text((folder / SPEC).read_text().replace('"seed": 3', '"seed": 4')),
        "changed since it was exported",
    ),
    "more units than weights": (
        lambda f: describe(f, lambda d: d["spec"]["parameters"].update({"network.hidden_size": 60_000})),
        "its network has at least 10800540000 weights",
    ),
    "a budget of weights": (
        lambda f: describe(f, lambda d: d["spec"]["parameters"].update({"network.param_budget": 10**11})),
        "its network has at least 90000000000 weights",
    ),
    "units out of range": (
        lambda f: describe(f, lambda d: d["spec"]["parameters"].update({"network.hidden_size": 10**12})),
        "network.hidden_size is 1e+12, must be a whole number",
    ),
    "an unknown parameter": (
        lambda f: describe(f, lambda d: d["spec"]["parameters"].update({"network.hook": "x"})),
        "no parameter 'network.hook'",
    ),
    "a huge output": (lambda f: describe(f, lambda d: d.update(output_size=10**9)), "do not fit"),
    "an output that is no number": (lambda f: describe(f, lambda d: d.update(output_size="2")), "do not fit"),
    "a key more": (lambda f: describe(f, lambda d: d.update(code="import os")), "not the description of an exported model"),
    "another format": (lambda f: describe(f, lambda d: d.update(format=2)), "of format 1"),
    "a list": (lambda folder: (folder / SPEC).write_text("[]"), "no object"),
    "a number that is none": (lambda folder: rewrite(folder, PREPARATION, b'{"letters": NaN}'), "NaN is no number"),
    "a key twice": (lambda folder: rewrite(folder, PREPARATION, b'{"letters": "a", "letters": "b"}'), "a key stands twice"),
    "nested a million deep": (lambda folder: rewrite(folder, PREPARATION, b"[" * 1_000_000), "not JSON of ours"),
    "not UTF-8": (lambda folder: rewrite(folder, PREPARATION, b"\xff\xfe"), "not JSON of ours"),
    "a preparation of nothing": (lambda folder: rewrite(folder, PREPARATION, b"{}"), "refused, its files do not make a model"),
    "checksums that are no mapping": (lambda f: describe(f, lambda d: d.update(files=["x"])), "refused, its files do not make a model"),
    "another version of the task": (lambda f: describe(f, lambda d: d["spec"].update(task_version=9)), "version 9 of task 'asked_letters'"),
    "a seed of words": (lambda f: describe(f, lambda d: d["spec"].update(seed="3")), "the seed is not a whole number"),
}


@pytest.mark.parametrize(("tamper", "message"), HOSTILE.values(), ids=HOSTILE)
def test_a_hostile_or_damaged_export_is_refused_with_one_line(folder: Path, tamper: Callable[[Path], Any], message: str) -> None:
    tamper(folder)
    with pytest.raises(CheckpointError) as error:
        load_exported(folder)
    assert message in one_line(error)
    assert len(str(error.value)) < 600


def test_a_file_that_is_too_large_is_not_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(load_exported.__globals__["MOST"], PREPARATION, 5)
    with pytest.raises(CheckpointError, match="refused, it has more than 5 bytes"):
        load_exported(folder)


def test_a_folder_that_is_not_there_is_a_line(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=f"not an exported model, it has no file {SPEC}"):
        load_exported(tmp_path / "none")


def test_the_code_of_an_own_cell_runs_only_where_somebody_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    marker = tmp_path / "ran"
    source = f"""
from pathlib import Path
from rnnbench.cells.elman import Elman

Path({str(marker)!r}).touch()


class Sneaky(Elman):
    \"\"\"A cell.\"\"\"
"""
    cell = OwnCell("sneaky.py", "Sneaky", source)
    make_known(cell)
    spec = spec_of("asked_letters", cell.name)
    train(spec, tmp_path / "trial", own_cell=vars(cell))
    model = load_trained(tmp_path / "trial" / BEST)
    export(model, tmp_path / "model", "", VERSIONS)
    monkeypatch.setattr(own, "_READ", {})  # another process, that has never seen the file
    marker.unlink()
    with pytest.raises(CheckpointError) as error:
        load_exported(tmp_path / "model")
    assert "is Python code of its author" in one_line(error)
    assert not marker.exists()
    assert load_exported(tmp_path / "model", run_own_cell=True).ask(WORDS) == model.ask(WORDS)
    assert marker.exists()


def test_an_export_says_what_was_trained_and_not_where(trained: Trained, folder: Path) -> None:
    text = (folder / SPEC).read_text()
    assert str(folder.parent) not in text
    assert replace(trained.spec, draw=0) == replace(TrialSpec.from_dict(json.loads(text)["spec"]), draw=0)
