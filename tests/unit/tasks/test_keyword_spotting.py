"""Keyword spotting: sets and splits, accuracy in noise, a person's own sounds, answers."""

import copy
import itertools
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.task.answers import Question
from rnnbench.task.catalogue import get_task
from rnnbench.task.load import load_task
from rnnbench.task.module import Batch, TaskData
from rnnbench.task.sound_module import Augmented
from rnnbench.task.sources import locate
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.fused import FusedTrainer, can_fuse
from rnnbench.trial.loop import Trainer
from rnnbench.trial.pulse import Pulse
from rnnbench_tasks.keyword_spotting.tones import SAMPLE_RATE, WORDS, draw_words
from tests.unit.tasks.sounds import build, hiss, kept, measure, parameters, read, spec, train, write_sounds

TASK = "keyword_spotting"
AUGMENTED: dict[str, Value] = {"task.noise_from_db": 5.0, "task.noise_to_db": 20.0, "task.masks": 1}


def test_generated_words_are_even_over_classes_and_their_order_alone_tells_them_apart() -> None:
    data = read(TASK)
    for split in data.splits.values():
        assert split.targets.bincount().tolist() == [len(split) // 6] * 6
    found = load_task(TASK).baselines(data, "validation")
    # Every word has the same three tones: without their order there is only chance, 1/6, with a standard error of 0.028 on 180 rows.
    assert found["majority class"] == pytest.approx(1 / 6)
    assert found["nearest class mean"] < 1 / 6 + 4 * 0.028
    assert found["logistic regression"] < 1 / 6 + 4 * 0.028


@pytest.mark.slow
def test_a_network_learns_the_order_and_shuffled_labels_bring_it_to_chance() -> None:
    data = read(TASK, data_train_fraction=0.5)
    module = train(build(TASK, data, hidden_size=24), data.splits["train"], epochs=9)
    assert measure(module, data.splits["test"])["accuracy"] > 0.7
    whole = data.splits["train"]
    mixed = whole.targets[torch.randperm(len(whole), generator=torch.Generator().manual_seed(1))]
    shuffled = train(build(TASK, data, hidden_size=24), Batch(whole.inputs, mixed, whole.lengths), epochs=3)
    assert measure(shuffled, data.splits["test"])["accuracy"] < 1 / 6 + 4 * 0.028


def test_a_part_of_the_training_sounds_lies_within_a_larger_part_and_changes_no_other_split() -> None:
    whole, half, quarter = (read(TASK, data_train_fraction=share) for share in (1.0, 0.5, 0.25))
    rows = [{row.numpy().tobytes().rstrip(b"\0") for row in data.splits["train"].inputs} for data in (quarter, half, whole)]
    assert rows[0] < rows[1] < rows[2]
    assert torch.equal(whole.splits["validation"].inputs, quarter.splits["validation"].inputs)
    assert quarter.splits["train"].targets.bincount().tolist() == [10] * 6
    assert whole.preparation != quarter.preparation  # scales are learned from what is trained on
    assert whole.preparation["classes"] == quarter.preparation["classes"]


def test_accuracy_in_noise_and_the_confusion_follow_the_accuracy() -> None:
    data = read(TASK)
    module = train(build(TASK, data, hidden_size=16), data.splits["train"], epochs=6)
    test = data.splits["test"]
    with torch.inference_mode():
        one, other = module.examine(test), module.examine(test)
    assert one == other
    confusion: Any = one["confusion"]
    assert confusion["classes"] == list(WORDS)
    counts = np.array(confusion["counts"])
    assert counts.sum(axis=1).tolist() == test.targets.bincount(minlength=6).tolist()
    assert np.trace(counts) / 180 == pytest.approx(measure(module, test)["accuracy"])
    accuracy: Any = one["accuracy"]
    assert list(accuracy) == ["at 20 dB", "at 10 dB", "at 0 dB"]
    assert abs(accuracy["at 20 dB"] - measure(module, test)["accuracy"]) < 0.15
    assert accuracy["at 0 dB"] < accuracy["at 20 dB"]


def test_the_module_fuses_unless_it_trains_on_disturbed_sounds() -> None:
    data = read(TASK, splits=("train",))
    assert can_fuse(build(TASK, data))
    disturbed = build(TASK, data, AUGMENTED)
    assert isinstance(disturbed, Augmented)
    assert not can_fuse(disturbed)


def clock() -> Pulse:
    return Pulse(itertools.count().__next__)


def trainer(changes: Mapping[str, Value], stream: torch.Generator | None = None) -> tuple[Trainer, TaskData]:
    of = spec(TASK, changes)
    data = read_data(of, {})
    return Trainer(of, build_module(of, data), metric="accuracy", maximize=True, pulse=clock(), stream=stream), data


def test_fused_trials_have_the_numbers_that_each_has_alone() -> None:
    changes: dict[str, Value] = {"data.train_fraction": 0.3}
    rates = ({**changes, "optimizer.lr": 0.01}, {**changes, "optimizer.lr": 0.003})
    alone = []
    for change in rates:
        one, data = trainer(change, torch.Generator())
        alone.append(one.run_epoch(data.splits["train"], data.splits["validation"]))
    together = [trainer(change, torch.Generator())[0] for change in rates]
    found = FusedTrainer(together, clock()).run_epoch(data.splits["train"], data.splits["validation"])
    for one, metrics in zip(together, alone, strict=True):
        fused = found[one]
        assert isinstance(fused, dict)
        # Float32 sums in another order.
        assert fused["loss"] == pytest.approx(metrics["loss"], rel=1e-4)
        assert fused["train_loss"] == pytest.approx(metrics["train_loss"], rel=1e-4)


def test_disturbed_training_continued_within_an_epoch_is_bit_equal() -> None:
    changes = {**AUGMENTED, "data.train_fraction": 0.4, "training.batch_size": 16, "network.dropout": 0.2}
    whole, data = trainer(changes)
    states: list[dict[str, Any]] = []
    whole.after_batch = lambda one: states.append(copy.deepcopy(one.state()))
    expected = whole.run_epoch(data.splits["train"], data.splits["validation"])
    again, _ = trainer(changes)
    again.restore(states[2])
    torch.rand(5)  # whatever else drew in between
    found = again.run_epoch(data.splits["train"], data.splits["validation"])
    assert {**found, "train_s": 0} == {**expected, "train_s": 0}
    for one, other in zip(whole.module.parameters(), again.module.parameters(), strict=True):
        assert torch.equal(one, other)


def test_validation_is_of_undisturbed_sounds() -> None:
    data = read(TASK, splits=("train", "validation"))
    plain, disturbed = build(TASK, data).eval(), build(TASK, data, AUGMENTED).eval()
    assert measure(plain, data.splits["validation"]) == measure(disturbed, data.splits["validation"])


def own(folder: Path, manifest: str = "", num: int = 12) -> dict[str, Path]:
    names = [f"{'yes' if row % 2 else 'no'}/{row}.wav" for row in range(num)]
    return write_sounds(folder, {name: hiss(row) for row, name in enumerate(names)}, manifest=manifest)


def test_a_persons_own_folders_of_words_are_read(tmp_path: Path) -> None:
    data = read(TASK, "path:own", own(tmp_path))
    assert data.preparation["classes"] == ["no", "yes"]
    assert [len(split) for split in data.splits.values()] == [10, 1, 1]
    assert data.facts["sample rate in Hz"] == 8000
    assert data.facts["train seconds"] == pytest.approx(3.0)


def test_a_manifest_means_its_folder_and_has_the_say_over_the_folders_of_words(tmp_path: Path) -> None:
    files = own(tmp_path, manifest="path,label\n" + "".join(f"{'yes' if row % 2 else 'no'}/{row}.wav,{row % 3}\n" for row in range(12)))
    found = locate(get_task(TASK), "path:manifest.csv", tmp_path, files["manifest.csv"])
    assert found == files
    assert read(TASK, "path:manifest.csv", found).preparation["classes"] == ["0", "1", "2"]


def test_a_manifest_with_speakers_holds_them_apart(tmp_path: Path) -> None:
    lines = [f"{'yes' if row % 2 else 'no'}/{row}.wav,{'ja' if row % 2 else 'nein'},s{row // 2}" for row in range(12)]
    data = read(TASK, "path:own", own(tmp_path, manifest="path,label,speaker\n" + "\n".join(lines)))
    assert data.preparation["classes"] == ["ja", "nein"]
    assert data.facts["splits"] == "seeded; no speaker is in two splits"


def test_other_rates_and_channels_are_brought_to_the_training_sounds_and_counted(tmp_path: Path) -> None:
    write_sounds(tmp_path, {f"train/yes/{row}.wav": hiss(row) for row in range(3)})
    write_sounds(tmp_path, {"train/no/x.wav": np.stack([hiss(9, rate=16000)] * 2, axis=1)}, rate=16000)
    files = write_sounds(tmp_path, {"test/no/y.flac": hiss(10), "valid/yes/z.wav": hiss(11)})
    data = read(TASK, "path:own", files)
    assert data.facts["train rows resampled from 16000 Hz"] == 1
    assert data.facts["train rows mixed down from 2 channels"] == 1
    assert data.splits["train"].lengths is not None
    assert data.splits["train"].lengths.tolist() == [2400] * 4
    forced = read(TASK, "path:own", files, data_sample_rate=16000)
    assert forced.splits["test"].inputs.shape == (1, 4800)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"yes/1.wav": b""}, r"yes/1\.wav: the file is empty"),
        ({"yes/1.wav": b"RIFF1234WAVEjunk"}, r"yes/1\.wav: not sound that can be read"),
        (
            {"manifest.csv": b"path,label\nyes/1.wav,a\nno/0.wav,a\nyes/3.wav,a\n"},
            r"row \d .*: all training rows are 'a'; two classes are needed",
        ),
        (
            {"manifest.csv": b"path,label,split\n" + b"yes/1.wav,a,train\nno/0.wav,b,train\n" * 2 + b"yes/3.wav,c,test\n"},
            "row 5.*'c' is in the test split, but no",
        ),
        ({"manifest.csv": b"path,label\nyes/1.wav,a\n"}, "1 rows cannot be split"),
    ],
)
def test_bad_sounds_and_tables_are_one_line_with_file_and_row(changes: dict[str, bytes], message: str, tmp_path: Path) -> None:
    files = own(tmp_path)
    for name, content in changes.items():
        (tmp_path / name).write_bytes(content)
        files[name] = tmp_path / name
    with pytest.raises(DataError, match=message) as caught:
        read(TASK, "path:own", files, data_seed=1)
    assert "\n" not in str(caught.value)


def test_too_short_and_too_long_sounds_are_refused_with_the_parameter_that_decides(tmp_path: Path) -> None:
    files = own(tmp_path) | write_sounds(tmp_path, {"yes/tiny.wav": hiss(0, seconds=0.03)})
    with pytest.raises(DataError, match=r"tiny\.wav: 30\.0 ms long, shorter than one step of 35\.0 ms"):
        read(TASK, "path:own", files)
    with pytest.raises(DataError, match=r"0\.3 s long, and data\.max_seconds is 0\.2"):
        read(TASK, "path:own", files, data_max_seconds=0.2)


def test_data_check_tells_of_what_is_odd(tmp_path: Path) -> None:
    sounds = {"yes/1.wav": hiss(1), "yes/same.wav": hiss(1), "no/silent.wav": np.zeros(2400, dtype=np.int16), "no/a.wav": hiss(2)}
    files = write_sounds(tmp_path, sounds | {f"yes/n{row}.wav": hiss(10 + row) for row in range(20)})
    files |= write_sounds(tmp_path, {"no/loud.wav": np.full(2400, 32767, dtype=np.int16)}, rate=16000)
    files |= write_sounds(tmp_path, {"_noise/x.wav": hiss(5)})
    (tmp_path / "no" / "b.M4A").write_bytes(b"")
    files["no/b.M4A"] = tmp_path / "no" / "b.M4A"
    lines = load_task(TASK).check_data(files, "path:own", parameters(TASK))
    text = "\n".join(lines)
    assert "1 sounds are there several times, sample by sample: yes/1.wav = yes/same.wav" in text
    assert "1 sounds are silent (every sample is zero): no/silent.wav" in text
    assert "1 sounds are clipped (loudest samples in a row): no/loud.wav" in text
    assert "sounds have 2 sample rates (8000 Hz: 24, 16000 Hz: 1)" in text
    assert "1 sounds belong to no row: _noise/x.wav" in text
    assert "1 sounds are of a kind that is not read (no/b.M4A); convert them to wav or flac" in text
    assert "rows are sorted by label" in text


def test_a_model_answers_from_its_preparation_alone_at_any_rate(tmp_path: Path) -> None:
    data = read(TASK)
    module = train(build(TASK, data, hidden_size=24), data.splits["train"], epochs=8)
    again = build(TASK, kept(data), hidden_size=24)
    again.load_state_dict(module.state_dict())
    sounds, words = draw_words("validation", 5)
    files = write_sounds(tmp_path, {f"{row}.wav": sounds[row] for row in range(20)}, rate=SAMPLE_RATE)
    with torch.inference_mode():
        answer = load_task(TASK).answer(again.eval(), kept(data), Question(files=list(files.values()), options={"top": 2}))
    right = [str(row["word"]) == words[int(Path(str(row["file"])).stem)] for row in answer.rows]
    assert sum(right) >= 14
    for row in answer.rows:
        assert list(row) == ["file", "seconds", "word", "probability", "word 2", "probability 2", "changed"]
        first, second = row["probability"], row["probability 2"]
        assert isinstance(first, float)
        assert isinstance(second, float)
        assert 1 >= first >= second
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(DataError, match=r"text\.wav: not sound"):
        load_task(TASK).answer(again, kept(data), Question(files=[tmp_path / "text.wav"], options={"top": 1}))


def test_speech_commands_are_split_by_their_lists(tmp_path: Path) -> None:
    names = ["yes/aa_nohash_0.wav", "no/bb_nohash_0.wav", "yes/cc_nohash_0.wav", "no/cc_nohash_1.wav", "_background_noise_/hum.wav"]
    folder = tmp_path / "content"
    write_sounds(folder, {name: hiss(row, rate=16000) for row, name in enumerate(names)}, rate=16000)
    (folder / "validation_list.txt").write_text("yes/cc_nohash_0.wav\n")
    (folder / "testing_list.txt").write_text("no/cc_nohash_1.wav\n")
    path = tmp_path / "speech_commands_v0.02.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, arcname=".")
    data = read(TASK, "speech_commands", {path.name: path})
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 2, "validation": 1, "test": 1}
    assert data.facts["splits"] == "as the set says: test, train, validation; the rest seeded; 1 speakers are in several splits"
    (folder / "testing_list.txt").unlink()
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, arcname=".")
    with pytest.raises(DataError, match=r"no testing_list\.txt in it"):
        read(TASK, "speech_commands", {path.name: path})


def digits(data_home: Path) -> dict[str, Path]:
    return locate(get_task(TASK), "fsdd", data_home)


@pytest.mark.slow
def test_fsdd_has_its_official_test_split_and_an_even_validation_split(data_home: Path) -> None:
    data = read(TASK, "fsdd", digits(data_home))
    assert {name: len(split) for name, split in data.splits.items()} == {"train": 2430, "validation": 270, "test": 300}
    assert data.splits["test"].targets.bincount().tolist() == [30] * 10
    # A tenth of each speaker's 45 sounds of a digit is 4 or 5.
    assert all(24 <= count <= 30 for count in data.splits["validation"].targets.bincount().tolist())
    assert sum(float(data.facts[f"{name} seconds"]) for name in data.splits) == pytest.approx(1312, abs=1)
    floor = get_task(TASK).data["fsdd"].floor
    assert floor is not None
    tested = TaskData({"train": data.splits["train"], "validation": data.splits["test"]}, 80, 10, preparation=data.preparation)
    assert load_task(TASK).baselines(tested, "validation")["logistic regression"] == pytest.approx(floor.value, abs=0.01)


@pytest.mark.slow
def test_fsdd_may_leave_speakers_out(data_home: Path) -> None:
    facts = read(TASK, "fsdd", digits(data_home), splits=("test",), data_split="speaker").facts
    assert (facts["train speakers"], facts["validation speakers"], facts["test speakers"]) == (4, 1, 1)
    assert facts["splits"] == "seeded; no speaker is in two splits"
    assert facts["test rows"] == 500
