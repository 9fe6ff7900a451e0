"""Music: a person's own pieces in every form, the metric against another implementation, and how a piece goes on."""

import itertools
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.io import savemat
from scipy.stats import bernoulli
from sklearn.metrics import jaccard_score, precision_score, recall_score

from rnnbench.base.errors import DataError, ParameterError
from rnnbench.base.parameters import Value
from rnnbench.cells.build import build_network
from rnnbench.cells.network_parameters import NETWORK_PARAMETERS
from rnnbench.task.answers import Question
from rnnbench.task.catalogue import get_task
from rnnbench.task.module import Batch, TaskData, TaskModule
from rnnbench_tasks.polyphonic_music import task as music
from rnnbench_tasks.polyphonic_music.continuation import continue_piece
from rnnbench_tasks.polyphonic_music.notes import name_note, read_frames
from rnnbench_tasks.polyphonic_music.pieces import Piece, read_pieces

Roll = NDArray[np.uint8]
DEFAULTS = {parameter.name: parameter.default for parameter in get_task("polyphonic_music").parameters}


def roll_of(*frames: Sequence[int]) -> Roll:
    roll = np.zeros((len(frames), 88), dtype=np.uint8)
    for number, notes in enumerate(frames):
        roll[number, [note - 21 for note in notes]] = 1
    return roll


def random_rolls(count: int, seed: int = 0) -> list[Roll]:
    rng = np.random.default_rng(seed)
    return [(rng.random((int(rng.integers(3, 9)), 88)) < 0.05).astype(np.uint8) for _ in range(count)]


def folder(path: Path, texts: Mapping[str, str | bytes]) -> dict[str, Path]:
    """Files of a folder, by their place in it."""
    for name, text in texts.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return {name: path / name for name in texts}


def archive(path: Path, pieces: Mapping[str, NDArray[Any]]) -> dict[str, Path]:
    np.savez(path, **pieces)  # type: ignore[arg-type]  # its keywords are arrays
    return {path.name: path}


def read(files: Mapping[str, Path], splits: Sequence[str] = ("train", "validation", "test"), **changes: Value) -> TaskData:
    changed = {name.replace("__", "."): value for name, value in changes.items()}
    return music.read_data(files, "path:mine", {**DEFAULTS, **changed}, splits)


def pieces_of(split: Batch) -> list[Roll]:
    """The pieces that a padded split was made of."""
    assert split.lengths is not None
    rows = zip(split.inputs, split.targets, split.lengths.tolist(), strict=True)
    return [torch.cat([inputs[:length], targets[length - 1 : length]]).numpy() for inputs, targets, length in rows]


def build(cell: str = "gru", **network: Value) -> TaskModule:
    torch.manual_seed(0)
    chosen: dict[str, Value] = {one.name: one.default for one in NETWORK_PARAMETERS} | {"network.hidden_size": 12}
    chosen |= {f"network.{name}": value for name, value in network.items()}
    data = TaskData({}, input_size=88, output_size=88)
    return music.Module.build(partial(build_network, cell, parameters=chosen), data, DEFAULTS).eval()


TEXT = "60 64 67\n\n62\n"
TABLE = "60,62,64,67\n1,0,1,1\n0,0,0,0\n0,1,0,0\n"


def test_a_text_of_notes_and_a_table_of_keys_are_the_same_piece(tmp_path: Path) -> None:
    expected = roll_of([60, 64, 67], [], [62])
    files = folder(tmp_path, {"a.txt": TEXT, "b.csv": TABLE, "c.csv": TABLE.replace("\n", "\r\n").replace(",", ", "), "d.txt": TABLE})
    for name, path in files.items():
        (piece,) = read_pieces(path, name)
        assert piece.name == name
        assert np.array_equal(piece.roll, expected), name


def test_notes_have_their_names() -> None:
    assert [name_note(midi) for midi in (21, 60, 61, 69, 108)] == ["A0", "C4", "C#4", "A4", "C8"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("60 x\n62", r"a\.txt:1: 'x' is no MIDI number from 21 to 108"),
        ("60\n20", r"a\.txt:2: '20' is no MIDI number"),
        ("60\n109", r"a\.txt:2: '109' is no MIDI number"),
        ("60\n-60", r"a\.txt:2: '-60' is no MIDI number"),
        ("60\n6.5", r"a\.txt:2: '6\.5' is no MIDI number"),
        ("60\n60,64", r"a\.txt:2: '60,64' is no MIDI number .* separated by spaces"),
        ("60 64", r"a\.txt is 1x88, must be T x 88 with at least 2 frames"),
        ("", r"a\.txt: the file is empty"),
        ("60,62\n1,0\n1\n", r"a\.txt:3: 1 fields, but 2 columns"),
        ("60,62\n1,0\n1,90\n", r"a\.txt:3: '90' must be 0 or 1"),
        ("60,62\n1,nan\n1,0\n", r"a\.txt:2: 'nan' must be 0 or 1"),
        ("60,60\n1,0\n1,0\n", r"a\.txt:1: two columns have one MIDI number"),
        ("time,60\n1,0\n1,0\n", r"a\.txt:1: 'time' is no MIDI number .* names its columns"),
        ("60,62\n1,0\n", r"a\.txt is 1x88"),
        (b"60\n\xff\xfe\n", r"a\.txt:2: not UTF-8 \(byte 0xff\)"),
    ],
)
def test_a_text_that_is_no_piece_is_one_line_with_its_row(tmp_path: Path, text: str | bytes, message: str) -> None:
    (name, path), *_ = folder(tmp_path, {"a.txt": text}).items()
    with pytest.raises(DataError, match=message) as caught:
        read_pieces(path, name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": np.zeros((4, 87))}, r"array 'a' is 4x87, must be T x 88"),
        ({"a": np.zeros((1, 88))}, r"array 'a' is 1x88, .* at least 2 frames"),
        ({"a": np.full((4, 88), np.nan)}, "array 'a' holds values other than 0 and 1"),
        ({"a": np.full((4, 88), 64)}, "array 'a' holds values other than 0 and 1"),
        ({"a": np.zeros((4, 88), dtype=object)}, r"holds an array of objects"),
        ({"a": np.array(["x"])}, "array 'a' is 1, must be T x 88"),
        ({}, "holds no arrays"),
    ],
)
def test_an_array_that_is_no_piece_is_named(tmp_path: Path, arrays: dict[str, NDArray[Any]], message: str) -> None:
    (name, path), *_ = archive(tmp_path / "p.npz", arrays).items()
    with pytest.raises(DataError, match=rf"p\.npz: {message}"):
        read_pieces(path, name)


def test_a_damaged_archive_and_another_kind_of_file_are_refused(tmp_path: Path) -> None:
    files = archive(tmp_path / "p.npz", {"a": roll_of([60], [61])})
    files["p.npz"].write_bytes(files["p.npz"].read_bytes()[:100])
    with pytest.raises(DataError, match=r"p\.npz: not a whole \.npz file"):
        read(files)
    with pytest.raises(DataError, match=r"song\.mid: not a piece; give \.npz, \.txt or \.csv"):
        read(folder(tmp_path, {"song.mid": b"MThd"}))


def test_own_pieces_are_split_once_each_and_equal_ones_stay_together(tmp_path: Path) -> None:
    rolls = random_rolls(20)
    names = {f"p{number}": roll for number, roll in enumerate([*rolls, *rolls[:10]])}
    files = archive(tmp_path / "p.npz", names)
    data = read(files)
    found = {name: [roll.tobytes() for roll in pieces_of(split)] for name, split in data.splits.items()}
    assert sorted(itertools.chain(*found.values())) == sorted(roll.tobytes() for roll in names.values())
    sets = [set(pieces) for pieces in found.values()]
    assert not sets[0] & sets[1]
    assert not sets[0] & sets[2]
    assert not sets[1] & sets[2]
    assert data.facts["train pieces"] == len(found["train"]) >= 20
    alone = read(files, ("validation",))
    assert torch.equal(alone.splits["validation"].inputs, data.splits["validation"].inputs)
    other = read(files, data__seed=1)
    assert set(found["train"]) != {roll.tobytes() for roll in pieces_of(other.splits["train"])}


def test_folders_and_a_mat_file_say_which_split_a_piece_is_in(tmp_path: Path) -> None:
    rolls = random_rolls(4)
    texts = ["\n".join(" ".join(str(21 + key) for key in np.flatnonzero(frame)) for frame in roll) + "\n" for roll in rolls]
    places = dict(zip(("train/a.txt", "train/b.txt", "valid/c.txt", "test/d.txt"), texts, strict=True))
    cells = {name: np.empty((1, len(of)), dtype=object) for name, of in (("traindata", (0, 1)), ("validdata", (2,)), ("testdata", (3,)))}
    cells["traindata"][0, :] = [rolls[0], rolls[1]]
    cells["validdata"][0, 0], cells["testdata"][0, 0] = rolls[2], rolls[3]
    savemat(tmp_path / "mine.mat", cells)
    for files in (folder(tmp_path / "own", places), {"mine.mat": tmp_path / "mine.mat"}):
        data = read(files)
        found = {name: pieces_of(split) for name, split in data.splits.items()}
        assert [len(found[name]) for name in ("train", "validation", "test")] == [2, 1, 1]
        for roll, expected in zip([*found["train"], *found["validation"], *found["test"]], rolls, strict=True):
            assert np.array_equal(roll, expected)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        ({"train/a.txt": TEXT, "test/b.txt": TEXT, "c.txt": TEXT}, r"c\.txt is in none of the folders train, valid and test"),
        ({"train/a.txt": TEXT, "test/b.txt": TEXT}, "no piece is in the folder valid"),
        ({"a.txt": TEXT, "b.txt": TEXT, "c.txt": TEXT}, "1 different pieces cannot be split into train, validation, test"),
        ({"a.txt": TEXT}, "1 different pieces cannot be split"),
    ],
)
def test_pieces_that_cannot_be_split_are_one_line(tmp_path: Path, texts: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(folder(tmp_path, texts))


def test_parts_of_the_training_pieces_are_nested_and_change_nothing_else(tmp_path: Path) -> None:
    files = archive(tmp_path / "p.npz", {f"p{number}": roll for number, roll in enumerate(random_rolls(40))})
    whole, half, one = (read(files, data__train_fraction=fraction) for fraction in (1.0, 0.5, 0.01))
    rolls = [{roll.tobytes() for roll in pieces_of(data.splits["train"])} for data in (one, half, whole)]
    assert rolls[0] < rolls[1] < rolls[2]
    assert (len(rolls[0]), len(rolls[1])) == (1, len(rolls[2]) // 2)
    assert torch.equal(one.splits["validation"].inputs, whole.splits["validation"].inputs)
    # A trial from before fractions does not mention them.
    before = music.read_data(files, "path:mine", {"data.seed": 0}, ("train",))
    assert torch.equal(before.splits["train"].inputs, whole.splits["train"].inputs)


def test_the_metric_is_the_log_likelihood_of_every_frame_but_the_first_of_a_piece() -> None:
    rolls = [roll_of([60], [60, 64], [], [67]), roll_of([30], [40])]
    module = build()
    nats = 0.0
    for roll in rolls:
        with torch.inference_mode():
            logits = module(Batch(torch.from_numpy(roll[None, :-1]), torch.from_numpy(roll[None, 1:]), torch.tensor([len(roll) - 1])))
        nats -= float(bernoulli.logpmf(roll[1:], logits[0].double().sigmoid().numpy()).sum())
    split = music._pad([Piece("", roll) for roll in rolls])
    with torch.inference_mode():
        found = module.metrics({name: float(total) for name, total in module.totals(module(split), split).items()})
        loss = float(module.loss(module(split), split))
    assert found["nll"] == pytest.approx(nats / 4, rel=1e-6)
    assert loss == pytest.approx(found["nll"], rel=1e-6)


def test_what_stands_behind_a_piece_changes_nothing() -> None:
    split, module = music._pad([Piece("", roll) for roll in random_rolls(5)]), build()
    other = Batch(split.inputs.masked_fill(~split.mask().unsqueeze(2), 1), split.targets, split.lengths)
    with torch.inference_mode():
        one, two = (module.totals(module(batch), batch) for batch in (split, other))
    assert one["nats"] == two["nats"]


def test_frames_in_another_order_take_the_use_of_the_last_frame_away() -> None:
    data = music.read_data({}, "arpeggios", DEFAULTS, ("train", "validation"))
    rng = np.random.default_rng(0)

    def mixed(split: Batch) -> Batch:
        return music._pad([Piece("", rng.permutation(roll)) for roll in pieces_of(split)])

    ordered = music.baselines(data, "validation")
    wrong = music.baselines(TaskData({name: mixed(split) for name, split in data.splits.items()}, 88, 88), "validation")
    gain = {name: found["key frequency"] - found["each key given its own last value"] for name, found in (("o", ordered), ("w", wrong))}
    assert gain["o"] > 2.0
    # A piece's own keys come again in any order: less than half of the gain is left.
    assert gain["w"] < gain["o"] / 2


def test_a_confirmed_trial_is_examined_by_the_keys_it_would_play() -> None:
    rolls, module = random_rolls(6), build()
    split = music._pad([Piece("", roll) for roll in rolls])
    # Untrained, it would play next to nothing: some keys are made likely.
    with torch.inference_mode():
        module.head.bias[::3] += 2.0
        found = module.examine(split)
        said = (module(split) > 0)[split.mask()].numpy().ravel()
    truth = split.targets[split.mask()].numpy().ravel()
    assert found["frame accuracy"] == pytest.approx(jaccard_score(truth, said))
    assert found["precision"] == pytest.approx(precision_score(truth, said))
    assert found["recall"] == pytest.approx(recall_score(truth, said))
    with torch.inference_mode():
        each = [float(module.loss(module(one), one)) for one in (split.rows(torch.tensor([row])) for row in range(6))]
    assert found["nll, mean over pieces"] == pytest.approx(np.mean(each), rel=1e-5)


@pytest.mark.parametrize("cell", ["gru", "lstm", "min_gru", "tcn", "transformer"])
def test_a_piece_goes_on_as_if_all_of_it_were_read_again_for_every_frame(cell: str) -> None:
    (roll,), module = random_rolls(1), build(cell)
    with torch.no_grad():
        module.head.weight *= 5
    found = continue_piece(module, Piece("", roll), 6, 0.0, torch.Generator()).numpy()
    known = roll
    for frame in found:
        whole = torch.from_numpy(known[None])
        with torch.inference_mode():
            logits = module(Batch(whole, whole))[0, -1]
        assert np.array_equal(frame, (logits > 0).numpy())
        known = np.concatenate([known, frame[None]])


def test_frames_are_drawn_by_their_chances_and_the_seed(tmp_path: Path) -> None:
    module = build()
    with torch.no_grad():
        module.head.weight.zero_()
        module.head.bias.fill_(-20.0)
        module.head.bias[[39, 43]] = 1.0
    piece = Piece("", roll_of([60], [64]))

    def draw(temperature: float, seed: int = 0) -> torch.Tensor:
        return continue_piece(module, piece, 2000, temperature, torch.Generator().manual_seed(seed))

    for temperature in (1.0, 0.5):
        chance = 1 / (1 + np.exp(-1 / temperature))
        shares = draw(temperature).double().mean(0)
        assert set(shares.nonzero().flatten().tolist()) == {39, 43}
        assert shares[[39, 43]].numpy() == pytest.approx(chance, abs=3 * (chance * (1 - chance) / 2000) ** 0.5)
    assert torch.equal(draw(1.0), draw(1.0))
    assert not torch.equal(draw(1.0), draw(1.0, seed=1))
    assert torch.equal(draw(0.0), draw(0.0, seed=1))


def test_an_answer_is_a_piece_again(tmp_path: Path) -> None:
    module = build()
    with torch.no_grad():
        module.head.bias.fill_(-3.0)
    files = folder(tmp_path, {"a.txt": TEXT, "b.csv": TABLE})
    options: dict[str, Value] = {"length": 5, "temperature": 1.0, "seed": 3}
    one = music.answer(module, TaskData({}, 88, 88), Question(files=[files["a.txt"]], options=options))
    assert [row["frame"] for row in one.rows] == [4, 5, 6, 7, 8]
    expected = continue_piece(module, Piece("", roll_of([60, 64, 67], [], [62])), 5, 1.0, torch.Generator().manual_seed(3)).numpy()
    assert np.array_equal(read_frames(one.text.split("\n"), "answer"), expected)
    both = music.answer(module, TaskData({}, 88, 88), Question(files=list(files.values()), options=options))
    assert [row["piece"] for row in both.rows] == ["a.txt"] * 5 + ["b.csv"] * 5
    # The same notes, and the same seed for each.
    assert [row["notes"] for row in both.rows[:5]] == [row["notes"] for row in both.rows[5:]] == [row["notes"] for row in one.rows]


def test_what_reads_backwards_would_hear_the_answer() -> None:
    with pytest.raises(ParameterError, match=r"network\.bidirectional"):
        build(bidirectional=True)


def test_the_check_names_what_is_twice_silent_never_trained_or_long(tmp_path: Path) -> None:
    again, silent = roll_of([60], [62]), roll_of([], [])
    pieces = {"train/a": again, "train/b": again, "train/c": silent, "train/long": np.tile(again, (20, 1))}
    pieces |= {"valid/d": roll_of([60], [62], [60]), "test/e": again, "test/f": roll_of([61], [60])}
    found = music.check_data(archive(tmp_path / "p.npz", pieces), "path:p.npz", DEFAULTS)
    assert found == [
        "1 piece in more than one split, e.g. train train/a and test test/e",
        "1 piece without a note, e.g. train train/c",
        "1 key in test and never in train (MIDI numbers 61)",
        "train: the longest piece has 40 frames, the median 2: training.bucketing: true saves padding",
    ]
    assert music.check_data({}, "arpeggios", DEFAULTS) == []
