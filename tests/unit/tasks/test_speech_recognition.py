"""Speech recognition: sets and splits, errors as jiwer counts them, the loss by definition, a person's own sounds, answers."""

import copy
import io
import itertools
import math
import struct
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.task.answers import Question
from rnnbench.task.catalogue import get_task
from rnnbench.task.load import load_task
from rnnbench.task.module import Batch, TaskData
from rnnbench.task.sources import locate
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.fused import FusedTrainer, can_fuse
from rnnbench.trial.loop import Trainer
from rnnbench.trial.pulse import Pulse
from rnnbench_tasks.speech_recognition.module import Module, count_edits, error_rates
from rnnbench_tasks.speech_recognition.sphinx import read_mfc
from rnnbench_tasks.speech_recognition.tones import WORDS, draw_sentences
from tests.unit.tasks.sounds import build, hiss, kept, measure, parameters, read, spec, train, write_sounds

TASK = "speech_recognition"


def edit_distance(one: Sequence[str], other: Sequence[str]) -> int:
    """By definition, the whole table."""
    table = [[row + column for column in range(len(other) + 1)] for row in range(len(one) + 1)]
    for row, column in itertools.product(range(1, len(one) + 1), range(1, len(other) + 1)):
        swap = table[row - 1][column - 1] + (one[row - 1] != other[column - 1])
        table[row][column] = min(swap, table[row - 1][column] + 1, table[row][column - 1] + 1)
    return table[-1][-1]


def test_errors_are_edits_over_true_words_and_characters_of_the_whole_split() -> None:
    random = np.random.default_rng(0)
    truths = [" ".join(random.choice(["bad", "cab", "egg"], size=random.integers(1, 6))) for _ in range(40)]
    said = [" ".join(random.choice(["bad", "ca", "eggs"], size=random.integers(0, 6))) for _ in range(40)]
    found = count_edits(truths, said)
    words = [(truth.split(), text.split()) for truth, text in zip(truths, said, strict=True)]
    assert found["word_edits"] == sum(edit_distance(*pair) for pair in words)
    assert found["words"] == sum(len(truth) for truth, _ in words)
    assert found["character_edits"] == sum(edit_distance(truth, text) for truth, text in zip(truths, said, strict=True))
    assert found["characters"] == sum(map(len, truths))
    assert error_rates(found)["wer"] == found["word_edits"] / found["words"]
    assert error_rates(count_edits(["a b", "c"], ["", ""])) == {"wer": 1.0, "cer": 1.0, "sentence_errors": 1.0}


def test_the_loss_is_minus_the_logarithm_of_all_paths_that_spell_the_transcript() -> None:
    data = read(TASK, splits=("train",), data_train_fraction=0.01)
    module = build(TASK, data)
    assert isinstance(module, Module)
    scores = torch.randn(2, 4, 3, generator=torch.Generator().manual_seed(0))
    chances = scores.double().softmax(-1).numpy()
    window, hop, stack = module.features.settings.window, module.features.settings.hop, module.features.settings.stack
    lengths = torch.tensor([window + (4 * stack - 1) * hop, window + (3 * stack - 1) * hop])
    batch = Batch(torch.zeros(2, int(lengths.max())), torch.tensor([[2, 2], [1, 0]]), lengths, torch.tensor([2, 1]))
    nats = 0.0
    for row, (steps, wanted) in enumerate(((4, [2, 2]), (3, [1]))):
        paths = itertools.product(range(3), repeat=steps)
        spelled = [path for path in paths if [unit for unit, _ in itertools.groupby(path) if unit] == wanted]
        nats -= math.log(sum(math.prod(chances[row, step, unit] for step, unit in enumerate(path)) for path in spelled))
    assert float(module.loss(scores.double(), batch)) == pytest.approx(nats / 3, rel=1e-9)


def test_generated_sentences_are_of_known_words_and_enough_steps() -> None:
    data = read(TASK)
    assert data.preparation["units"] == {"kind": "characters", "units": [" ", *"abcdefgh"]}
    sounds, texts = draw_sentences("test", 0)
    assert len(sounds) == 100
    assert {word for text in texts for word in text.split()} == set(WORDS)
    assert {len(text.split()) for text in texts} == {1, 2, 3, 4}


@pytest.mark.slow
def test_a_network_learns_to_write_and_the_wrong_transcripts_teach_it_nothing() -> None:
    data = read(TASK, splits=("train", "validation"))
    whole = data.splits["train"]
    module = train(build(TASK, data, hidden_size=32, bidirectional=True), whole, epochs=8)
    assert measure(module, data.splits["validation"])["wer"] < 0.5
    assert whole.target_lengths is not None
    # Transcripts of the same number of letters change places, so that each fits its new sound.
    order = whole.target_lengths.argsort(stable=True)
    mixed = torch.empty_like(order)
    mixed[order] = order.roll(1)
    wrong = Batch(whole.inputs, whole.targets[mixed], whole.lengths, whole.target_lengths[mixed])
    misled = train(build(TASK, data, hidden_size=32, bidirectional=True), wrong, epochs=4)
    assert measure(misled, data.splits["validation"])["wer"] > 0.8


def test_a_word_that_no_training_transcript_has_is_never_right() -> None:
    module = build(TASK, read(TASK, splits=("train",), task_units="words", data_train_fraction=0.05))
    assert isinstance(module, Module)
    numbers = module.units.encode("bad zebra")
    assert numbers[1] == 1
    truth, said = module.units.decode_truth(numbers), module.units.decode(numbers)
    assert count_edits([truth], [said])["word_edits"] == 1


def test_the_module_fuses_unless_it_trains_on_disturbed_sounds() -> None:
    data = read(TASK, splits=("train",), data_train_fraction=0.1)
    assert can_fuse(build(TASK, data))
    assert not can_fuse(build(TASK, data, {"task.masks": 1}))


def clock() -> Pulse:
    return Pulse(itertools.count().__next__)


def trainer(changes: dict[str, Value], stream: torch.Generator | None = None) -> tuple[Trainer, TaskData]:
    of = spec(TASK, {"data.train_fraction": 0.15, "training.batch_size": 16, **changes})
    data = read_data(of, {})
    return Trainer(of, build_module(of, data), metric="wer", maximize=False, pulse=clock(), stream=stream), data


def test_fused_trials_have_the_numbers_that_each_has_alone() -> None:
    rates: list[dict[str, Value]] = [{"optimizer.lr": 0.01}, {"optimizer.lr": 0.003}]
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
        assert fused["wer"] == pytest.approx(metrics["wer"])


def test_disturbed_training_continued_within_an_epoch_is_bit_equal() -> None:
    changes: dict[str, Value] = {"task.noise_from_db": 0.0, "task.masks": 2}
    whole, data = trainer(changes)
    states: list[dict[str, Any]] = []
    whole.after_batch = lambda one: states.append(copy.deepcopy(one.state()))
    expected = whole.run_epoch(data.splits["train"], data.splits["validation"])
    again, _ = trainer(changes)
    again.restore(states[1])
    found = again.run_epoch(data.splits["train"], data.splits["validation"])
    assert {**found, "train_s": 0} == {**expected, "train_s": 0}


def test_examining_tells_every_decoders_errors_and_shows_transcripts() -> None:
    data = read(TASK, data_train_fraction=0.1)
    module, few = build(TASK, data).eval(), data.splits["test"].rows(torch.arange(12))
    with torch.inference_mode():
        found: Any = module.examine(few)
    assert found["wer"]["best path"] == pytest.approx(measure(module, few)["wer"])
    assert list(found["cer"]) == ["best path", "beam", "beam and language model"]
    assert len(found["examples"]) == 10
    assert isinstance(module, Module)
    assert [row["said"] for row in found["examples"]] == module.truths(few)[:10]


def test_validation_may_be_decoded_by_beam_search() -> None:
    data = read(TASK, data_train_fraction=0.1)
    few = data.splits["validation"].rows(torch.arange(8))
    with torch.inference_mode():
        examined: Any = build(TASK, data).eval().examine(few)
    by_beam = measure(build(TASK, data, {"task.decoding": "beam"}).eval(), few)
    assert by_beam["wer"] == pytest.approx(examined["wer"]["beam and language model"])


def test_baselines_are_what_can_be_written_without_hearing() -> None:
    data = read(TASK, splits=("train", "validation"))
    found = load_task(TASK).baselines(data, "validation")
    assert found["nothing"] == 1.0
    assert set(found) == {"nothing", "the commonest transcript", "the commonest word, as many as usual"}
    assert 0.5 < min(found.values()) <= 1.0


MANIFEST = "path,text\n" + "".join(f"{row}.wav,{text}\n" for row, text in enumerate(["Oh. Yes!", "no", "yes no", "no no", "go"] * 4))


def own(folder: Path, manifest: str = MANIFEST, seconds: float = 0.5) -> dict[str, Path]:
    return write_sounds(folder, {f"{row}.wav": hiss(row, seconds) for row in range(20)}, manifest=manifest)


def test_a_persons_own_manifest_is_read_and_transcripts_cleaned_as_asked(tmp_path: Path) -> None:
    data = read(TASK, "path:own", own(tmp_path))
    assert data.preparation["units"] == {"kind": "characters", "units": sorted(set("Oh. Yes! no yes go"))}
    words = read(TASK, "path:own", own(tmp_path), task_units="words", data_transcripts="words")
    assert words.preparation["units"] == {"kind": "words", "units": ["go", "no", "oh", "yes"]}
    assert words.splits["train"].target_lengths is not None
    assert words.facts["train words"] == int(words.splits["train"].target_lengths.sum())
    assert [len(split) for split in words.splits.values()] == [16, 2, 2]


def test_a_manifest_means_the_same_as_its_folder_and_chooses_among_tables(tmp_path: Path) -> None:
    files, card = own(tmp_path), get_task(TASK)
    assert locate(card, "path:manifest.csv", tmp_path, files["manifest.csv"]) == files
    folder, named = (read(TASK, data, files) for data in ("path:own", "path:manifest.csv"))
    assert named.preparation == folder.preparation
    assert all(torch.equal(named.splits[name].inputs, split.inputs) for name, split in folder.splits.items())
    other = tmp_path / "other.csv"
    other.write_text(MANIFEST.replace("go", "stop"), encoding="utf-8")
    units = read(TASK, "path:other.csv", locate(card, "path:other.csv", tmp_path, other)).preparation["units"]
    assert units == {"kind": "characters", "units": sorted(set("Oh. Yes! no yes stop"))}


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ("", r"no manifest\.csv or \.jsonl in it"),
        ("path,words\n0.wav,x\n", r"row 1: no column 'text'.*set data\.text_column"),
        ("path,text\n0.wav,a\n1.wav,  \n", "row 2: column 'text' is empty"),
        ("path,text\n0.wav,a\n1.wav,b\n2.wav,?!\n", r"row 3 \(2\.wav\): nothing is left of the text '\?!'"),
        ("path,text\n0.wav,a\n1.wav,b\n", "2 rows cannot be split"),
        ("path,text\n0.wav,a\n1.wav,b\ngone.wav,c\n", r"row 3: no sound gone\.wav"),
    ],
)
def test_a_bad_manifest_is_one_line_with_file_and_row(manifest: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message) as caught:
        read(TASK, "path:own", own(tmp_path, manifest), data_transcripts="words")
    assert "\n" not in str(caught.value)


def test_a_sound_too_short_for_its_transcript_is_named(tmp_path: Path) -> None:
    long = MANIFEST.replace("no no", "so many words in so short a time")
    with pytest.raises(
        DataError, match=r"manifest\.csv, row \d+ \(\d+\.wav\): 24 steps of the network, but CTC needs 32 to write its 32 units"
    ):
        read(TASK, "path:own", own(tmp_path, long))
    # A blank must part equal neighbours: 49 steps write 48 letters, but not 26 equal ones.
    equal = MANIFEST.replace("go", "o" * 26)
    with pytest.raises(DataError, match="49 steps of the network, but CTC needs 51 to write its 26 units"):
        read(TASK, "path:own", own(tmp_path, equal), data_stack=1, data_hop_ms=9.8)


def test_data_check_names_sounds_that_several_rows_have(tmp_path: Path) -> None:
    files = own(tmp_path, MANIFEST + "3.wav,other words\n")
    lines = load_task(TASK).check_data(files, "path:own", parameters(TASK))
    assert any(line.startswith("1 of them have several labels or texts: 3.wav = 3.wav") for line in lines)


def test_data_check_goes_on_behind_a_sound_of_several_channels(tmp_path: Path) -> None:
    files = own(tmp_path, MANIFEST)
    for name in ("0.wav", "2.wav"):
        samples, rate = soundfile.read(files[name])
        soundfile.write(files[name], np.column_stack([samples, samples]), rate)
    soundfile.write(files["4.wav"], np.zeros(9000), 8000)
    lines = load_task(TASK).check_data(files, "path:own", parameters(TASK))
    assert "2 sounds will be mixed down from 2 channels: 0.wav, 2.wav" in lines
    assert "1 sounds are silent (every sample is zero): 4.wav" in lines


def mfc(frames: int, seed: int = 0) -> bytes:
    values = np.random.default_rng(seed).standard_normal(13 * frames).astype(">f4")
    return struct.pack(">i", len(values)) + values.tobytes()


def test_sphinx_features_are_big_endian_frames_of_thirteen() -> None:
    assert read_mfc(mfc(7), "a") == pytest.approx(np.random.default_rng(0).standard_normal(91).astype(np.float32).reshape(7, 13))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "a: the file is empty"),
        (mfc(7)[:-4], "a: 90 numbers where its header says 91"),
        (struct.pack("<i", 13) + bytes(52), "a: 13 numbers where its header says 218103808"),
        (struct.pack(">i", 12) + bytes(48), "a: 12 numbers are no frames of 13 cepstra"),
        (struct.pack(">i", 0), "a: 0 numbers are no frames"),
        (struct.pack(">i", 26) + bytes(52) + struct.pack(">13f", *[float("inf")] * 13), "a: frame 1 holds a number that is not finite"),
    ],
)
def test_damaged_sphinx_features_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_mfc(content, "a")


def pack(path: Path, content: dict[str, bytes]) -> dict[str, Path]:
    with tarfile.open(path, "w:gz") as tar:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return {path.name: path}


def sphere(seed: int) -> bytes:
    stream = io.BytesIO()
    soundfile.write(stream, hiss(seed, rate=16000), 16000, format="NIST", subtype="PCM_16")
    return stream.getvalue()


def test_an4_as_sound_has_its_published_test_split_and_marks_are_not_said(tmp_path: Path) -> None:
    rows = {f"an{row}-s{row % 5}-b": row for row in range(12)}
    content = {f"an4/wav/an4_clstk/s{row % 5}/{name}.sph": sphere(row) for name, row in rows.items()}
    content["an4/wav/an4test_clstk/t0/an99-t0-b.sph"] = sphere(99)
    content["an4/etc/an4_train.transcription"] = "".join(f"<s> YES <sil> ++NOISE++ NO </s> ({name})\n" for name in rows).encode()
    content["an4/etc/an4_test.transcription"] = b"GO HOME (an99-t0-b)\n"
    data = read(TASK, "an4", pack(tmp_path / "an4_sphere.tar.gz", content))
    assert len(data.splits["test"]) == 1
    assert data.preparation["units"] == {"kind": "characters", "units": sorted(set("YES NO"))}
    assert data.facts["test: characters that no training transcript has"] == "'G' 'H' 'M'"
    assert data.facts["splits"] == "as the set says: test, train; the rest seeded; no speaker is in two splits"
    content["an4/etc/an4_train.transcription"] += b"YES (an77-s1-b)\n"
    with pytest.raises(DataError, match=r"an4_train\.transcription:13: 'YES \(an77-s1-b\)' is no transcript and the name of a recording"):
        read(TASK, "an4", pack(tmp_path / "an4_sphere.tar.gz", content))


def test_a_model_answers_from_its_preparation_alone(tmp_path: Path) -> None:
    data = read(TASK, data_train_fraction=0.1)
    module, again = build(TASK, data), build(TASK, kept(data))
    again.load_state_dict(module.state_dict())
    few = data.splits["validation"].rows(torch.arange(5))
    assert few.lengths is not None
    sounds = {f"{row}.wav": few.inputs[row, :length].numpy() for row, length in enumerate(few.lengths.tolist())}
    files = write_sounds(tmp_path, sounds)
    options: dict[str, Value] = {"decoding": "best_path", "beam_width": 4, "lm_weight": 0.5, "unit_bonus": 0.0}
    with torch.inference_mode():
        answer = load_task(TASK).answer(again.eval(), kept(data), Question(files=list(files.values()), options=options))
        beam = load_task(TASK).answer(again, kept(data), Question(files=list(files.values()), options={**options, "decoding": "beam"}))
        assert isinstance(module, Module)
        expected = module.eval().transcribe(module(few), few, None)
    assert [row["text"] for row in answer.rows] == expected
    assert [list(row) for row in beam.rows] == [["file", "seconds", "text", "changed"]] * 5
    assert f"{files['0.wav']}: {expected[0]}" in answer.text


def an4(data_home: Path) -> dict[str, Path]:
    return locate(get_task(TASK), "an4_mfcc", data_home)


@pytest.mark.slow
def test_an4s_speakers_are_held_apart_and_all_are_there(data_home: Path, tmp_path: Path) -> None:
    data = read(TASK, "an4_mfcc", an4(data_home), data_deltas=2)
    facts: Any = data.facts
    assert sum(len(split) for split in data.splits.values()) == 948
    assert sum(facts[f"{name} speakers"] for name in data.splits) == 74
    assert sum(facts[f"{name} words"] for name in data.splits) == 5442
    assert facts["splits"] == "as the set says: train; the rest seeded; no speaker is in two splits"
    assert data.input_size == 78
    module = build(TASK, kept(data)).eval()
    path = tmp_path / "one.mfc"
    path.write_bytes(mfc(90))
    options: dict[str, Value] = {"decoding": "beam", "beam_width": 4, "lm_weight": 0.5, "unit_bonus": 0.0}
    with torch.inference_mode():
        answer = load_task(TASK).answer(module, kept(data), Question(files=[path], options=options))
        assert answer.rows[0]["seconds"] == pytest.approx(0.9)
        with pytest.raises(DataError, match=r"this model was trained on Sphinx features, not on sound; give it \.mfc files"):
            load_task(TASK).answer(module, kept(data), Question(files=[tmp_path / "a.wav"], options=options))


@pytest.mark.slow
def test_yesno_is_whole_and_its_floor_is_what_the_card_says(data_home: Path) -> None:
    data = read(TASK, "yesno", locate(get_task(TASK), "yesno", data_home))
    facts: Any = data.facts
    assert [len(split) for split in data.splits.values()] == [36, 12, 12]
    assert sum(facts[f"{name} words"] for name in data.splits) == 480
    assert sum(facts[f"{name} seconds"] for name in data.splits) == pytest.approx(368, abs=1)
    tested = TaskData({"train": data.splits["train"], "validation": data.splits["test"]}, 0, 0, preparation=data.preparation)
    floor = get_task(TASK).data["yesno"].floor
    assert floor is not None
    assert load_task(TASK).baselines(tested, "validation")[floor.baseline] == pytest.approx(floor.value, abs=0.001)
