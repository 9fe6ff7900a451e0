"""A person's own sounds: manifests, folders of classes, and the splits that are made of them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.task.clip_splits import describe_split, divide_clips, split_clips
from rnnbench.task.clips import Clip, own_sounds, read_class_folders, read_manifest

COLUMNS: dict[str, Value] = {
    "data.manifest": None, "data.path_column": "path", "data.label_column": "label", "data.speaker_column": "speaker",
    "data.split_column": "split",
}  # fmt: skip


def write(folder: Path, content: Mapping[str, str]) -> dict[str, Path]:
    for name, text in content.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*")) if path.is_file()}


def manifest(folder: Path, table: str, name: str = "manifest.csv", **changes: Value) -> list[Clip] | None:
    files = write(folder, {name: table, "a.wav": "", "deep/b.wav": ""})
    return read_manifest(
        own_sounds(files), "path:own", {**COLUMNS, **{f"data.{key}": value for key, value in changes.items()}}, "data.label_column"
    )


def test_a_manifest_names_sounds_labels_speakers_and_splits(tmp_path: Path) -> None:
    found = manifest(tmp_path, "path,label,speaker,split\na.wav,yes,ann,train\n./deep/b.wav,no,bob,dev\n")
    assert found is not None
    assert [(clip.name, clip.text, clip.speaker, clip.split) for clip in found] == [
        ("a.wav", "yes", "ann", "train"),
        ("deep/b.wav", "no", "bob", "validation"),
    ]


def test_a_manifest_may_be_jsonl_with_other_columns_and_lie_in_a_folder_of_its_own(tmp_path: Path) -> None:
    lines = '{"file": "../a.wav", "word": "yes"}\n{"file": "b.wav", "word": "no"}\n'
    found = manifest(tmp_path, lines, "deep/words.jsonl", path_column="file", label_column="word")
    assert found is not None
    assert [(clip.name, clip.text, clip.speaker, clip.split) for clip in found] == [("a.wav", "yes", "", ""), ("deep/b.wav", "no", "", "")]


def test_an_absolute_path_within_the_folder_is_found(tmp_path: Path) -> None:
    found = manifest(tmp_path, f"path,label\n{tmp_path}/deep/b.wav,no\n")
    assert found is not None
    assert found[0].name == "deep/b.wav"


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("path,label\n", "no rows below the line"),
        ("file,label\na.wav,x\n", "row 1: no column 'path'"),
        ("path,word\na.wav,x\n", "row 1: no column 'label'.*set data.label_column to one of path, word"),
        ("path,label\na.wav,x\na.wav,\n", "manifest.csv, row 2: column 'label' is empty"),
        ("path,label\na.wav,x\nc.wav,y\n", "manifest.csv, row 2: no sound c.wav in the data's folder"),
        ("path,label\n../a.wav,x\n", "row 1: no sound ../a.wav"),
        ("path,label\n/etc/passwd,x\n", "row 1: no sound /etc/passwd"),
        ("path,label,split\na.wav,x,later\n", "row 1: split 'later', must be train, validation or test"),
        ("path,label,split\na.wav,x,train\na.wav,y,\n", "row 2: no split, but other rows have one"),
        ("path,label,speaker\na.wav,x,\na.wav,y,ann\n", "row 1: no speaker, but other rows have one"),
        ("path,label\na.wav,x,z\n", "3 fields, but 2 columns"),
    ],
)
def test_a_bad_manifest_is_one_line_with_file_and_row(table: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        manifest(tmp_path, table)


def test_a_manifest_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    files = write(tmp_path, {"a.wav": "", "manifest.csv": ""})
    files["manifest.csv"].write_bytes(b"path,label\na.wav,\xe9t\xe9\n")
    with pytest.raises(DataError, match=r"manifest\.csv:2: not UTF-8"):
        read_manifest(own_sounds(files), "path:own", COLUMNS, "data.label_column")


def test_one_of_several_tables_must_be_called_manifest_or_be_named(tmp_path: Path) -> None:
    write(tmp_path, {"other.csv": "path,label\na.wav,x\n"})
    with pytest.raises(DataError, match=r"several tables .*say which in data\.manifest"):
        manifest(tmp_path, "path,label\na.wav,y\n", "third.csv")
    named = manifest(tmp_path, "path,label\na.wav,y\n", "third.csv", manifest="other.csv")
    assert named is not None
    assert named[0].text == "x"
    by_name = manifest(tmp_path, "path,label\na.wav,z\n")
    assert by_name is not None
    assert by_name[0].text == "z"
    with pytest.raises(DataError, match=r"holds no 'gone\.csv'"):
        manifest(tmp_path, "path,label\na.wav,y\n", manifest="gone.csv")


def test_a_manifest_that_the_data_name_is_the_one_among_several_tables(tmp_path: Path) -> None:
    tables = {"one.csv": "path,label\na.wav,x\n", "two.csv": "path,label\na.wav,y\n", "manifest.csv": "path,label\na.wav,z\n"}
    sounds = own_sounds(write(tmp_path, {**tables, "a.wav": ""}))
    for name, label in (("one.csv", "x"), ("two.csv", "y"), ("manifest.csv", "z")):
        for chosen in (None, name):
            found = read_manifest(sounds, f"path:{name}", {**COLUMNS, "data.manifest": chosen}, "data.label_column")
            assert [clip.text for clip in found or ()] == [label]
    with pytest.raises(
        DataError, match=r"one\.csv: data\.manifest names 'two\.csv', but this is the manifest that data: .*leave one of them"
    ):
        read_manifest(sounds, "path:one.csv", {**COLUMNS, "data.manifest": "two.csv"}, "data.label_column")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("manifest.csv", "no other file lies in its folder, and the sounds of a manifest must lie in it or below"),
        ("rows.jsonl", "no other file lies in its folder"),
        ("sounds.zip", "an archive; unpack it and name the folder"),
        ("notes.txt", "neither a folder of sounds nor its manifest"),
    ],
)
def test_a_single_file_that_is_no_sound_is_refused(name: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=f"{name}: {message}"):
        own_sounds({name: tmp_path / name})


def test_folders_are_classes_and_folders_above_them_splits(tmp_path: Path) -> None:
    files = write(tmp_path, {"yes/a.WAV": "", "no/b.flac": "", "no/b.mp3": "", "no/notes.txt": "", "_noise_/c.wav": ""})
    assert [(clip.name, clip.text, clip.split) for clip in read_class_folders(own_sounds(files))] == [
        ("no/b.flac", "no", ""),
        ("no/b.mp3", "no", ""),
        ("yes/a.WAV", "yes", ""),
    ]
    split = write(tmp_path / "split", {"train/yes/a.wav": "", "valid/no/b.wav": "", "test/yes/c.wav": ""})
    assert [(clip.text, clip.split) for clip in read_class_folders(own_sounds(split))] == [
        ("yes", "test"),
        ("yes", "train"),
        ("no", "validation"),
    ]


def test_a_folder_without_sounds_or_with_a_sound_of_no_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no sound in it"):
        read_class_folders(own_sounds(write(tmp_path / "empty", {"notes.txt": "", "more.txt": ""})))
    with pytest.raises(DataError, match=r"loose\.wav: lies in no folder named as its class"):
        read_class_folders(own_sounds(write(tmp_path / "loose", {"loose.wav": "", "yes/a.wav": ""})))


def clips(num: int = 60, speakers: int = 6, split: Sequence[str] = ("",)) -> list[Clip]:
    return [
        Clip(f"{row}.wav", f"w{row % 4}", f"row {row}", f"s{row % speakers}" if speakers else "", split[row % len(split)])
        for row in range(num)
    ]


def speakers_of(of: Sequence[Clip], rows: Sequence[int]) -> set[str]:
    return {of[row].speaker for row in rows}


@pytest.mark.parametrize("how", ["official", "speaker"])
def test_drawn_splits_hold_speakers_apart_where_they_are_known(how: str) -> None:
    of = clips()
    found = split_clips(of, how, 0)  # type: ignore[arg-type]  # a literal by a parameter
    assert sorted(row for rows in found.values() for row in rows) == list(range(60))
    one, two, three = (speakers_of(of, rows) for rows in found.values())
    assert not one & two | one & three | two & three
    assert describe_split(of, found, "official") == "seeded; no speaker is in two splits"


def test_rows_are_drawn_by_class_where_speakers_are_not_known_or_not_asked_for() -> None:
    for of, how in ((clips(speakers=0), "official"), (clips(), "rows")):
        found = split_clips(of, how, 0, labels=[clip.text for clip in of])  # type: ignore[arg-type]  # a literal by a parameter
        assert [len(rows) for rows in found.values()] == [48, 6, 6]
        assert {of[row].text for row in found["test"]} == {"w0", "w1", "w2", "w3"}
    assert "several splits" in describe_split(of, found, "rows")


def test_named_splits_are_kept_and_what_is_missing_comes_from_the_training_rows() -> None:
    of = clips(split=("train", "train", "test"))
    found = split_clips(of, "official", 0, hold_out=False)
    assert found["test"] == list(range(2, 60, 3))
    assert len(found["validation"]) == 4
    assert not set(found["validation"]) & set(found["train"])
    assert describe_split(of, found, "official").startswith("as the set says: test, train; the rest seeded")


def test_the_seed_decides_what_is_drawn() -> None:
    assert split_clips(clips(), "rows", 0) == split_clips(clips(), "rows", 0)
    assert split_clips(clips(), "rows", 0) != split_clips(clips(), "rows", 1)


@pytest.mark.parametrize(
    ("of", "how", "message"),
    [
        (clips(speakers=2), "official", "row 0: 2 speakers cannot be split.*set data.split to rows"),
        (clips(speakers=0), "speaker", "row 0: the speaker is not known"),
        (clips(split=("test",)), "official", "row 0: no row is to train on"),
        (clips(num=2, speakers=0), "official", "row 0: 2 rows cannot be split"),
    ],
)
def test_splits_that_cannot_be_made_are_refused(of: list[Clip], how: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        split_clips(of, how, 0)  # type: ignore[arg-type]  # a literal by a parameter


def test_smaller_parts_of_the_training_rows_lie_within_larger_ones_and_change_no_other_split() -> None:
    def divided(fraction: float) -> dict[str, list[str]]:
        parameters: dict[str, Value] = {"data.split": "official", "data.seed": 3, "data.train_fraction": fraction}
        found = divide_clips(clips(), parameters, "test")
        assert len(found.whole_train) == 40
        return {name: [clip.name for clip in rows] for name, rows in found.clips.items()}

    half, quarter, whole = divided(0.5), divided(0.25), divided(1.0)
    assert set(quarter["train"]) < set(half["train"]) < set(whole["train"])
    assert [len(found["train"]) for found in (quarter, half, whole)] == [10, 20, 40]
    assert quarter["test"] == whole["test"]
    assert quarter["validation"] == whole["validation"]
