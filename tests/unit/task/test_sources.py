"""Where files are found, what they are called, and whether their bytes are the published ones."""

import gzip
import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import rnnbench.task.own_files as own_files
from rnnbench.base.errors import DataError, UnknownNameError
from rnnbench.task.cards import DataCard, DataFile, MetricCard, OwnDataCard, TaskCard
from rnnbench.task.sources import checksum, data_home, differs_from_published, find_files, fingerprint, locate, own_name

ONE, TWO = b"one", b"two"
SHA_ONE, SHA_TWO = (hashlib.sha256(content).hexdigest() for content in (ONE, TWO))


def card_of(*files: DataFile, or_files: tuple[tuple[DataFile, ...], ...] = (), takes_own: bool = True) -> TaskCard:
    sets = {
        "real": DataCard(title="", licence="", rows="", files=files, or_files=or_files),
        "made": DataCard(title="", licence="", rows="", embedded=True),
    }
    metric = MetricCard(name="m", title="", direction="min", unit="")
    own = OwnDataCard(accepts="anything") if takes_own else None
    return TaskCard("toy", 1, "", "", metric, sets, "made", "none", own_data=own)


def file(path: str, **more: Any) -> DataFile:
    return DataFile(path=path, url=more.pop("url", "https://example.org/x"), **more)


def put(home: Path, path: str, content: bytes = ONE) -> Path:
    place = home / path
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def test_the_data_home_is_the_named_folder_or_one_in_the_cache(tmp_path: Path) -> None:
    assert data_home({"RNNBENCH_DATA": str(tmp_path)}) == tmp_path
    assert data_home({"RNNBENCH_DATA": "~/x"}) == Path.home() / "x"
    assert data_home({"RNNBENCH_DATA": "x"}) == Path.cwd() / "x"
    assert data_home({}) == data_home({"RNNBENCH_DATA": ""}) == Path.home() / ".cache" / "rnnbench"


def test_files_go_by_the_last_part_of_their_path(tmp_path: Path) -> None:
    card = card_of(file("set/a.csv", sha256=SHA_ONE), file("set/b.csv"))
    places = {"a.csv": put(tmp_path, "set/a.csv"), "b.csv": put(tmp_path, "set/b.csv")}
    assert locate(card, "real", tmp_path) == places
    assert locate(card, "made", tmp_path) == {}


def test_files_with_one_last_part_go_by_their_whole_path(tmp_path: Path) -> None:
    card = card_of(file("set/train/x.csv"), file("set/test/x.csv"), file("set/names.csv"))
    places = {
        name: put(tmp_path, path) for name, path in (("set/train/x.csv",) * 2, ("set/test/x.csv",) * 2, ("names.csv", "set/names.csv"))
    }
    assert locate(card, "real", tmp_path) == places


def test_a_missing_file_is_one_line_with_the_command_that_fetches_it(tmp_path: Path) -> None:
    card = card_of(file("set/a.csv"), file("set/b.csv"), file("set/c.csv"))
    put(tmp_path, "set/b.csv")
    wanted = rf"^data set 'real' of task 'toy' needs {tmp_path}/set/a\.csv, which is not there \(and 1 more\); "
    with pytest.raises(DataError, match=wanted + r"fetch it with: rnnbench data fetch toy real \(or set RNNBENCH_DATA"):
        locate(card, "real", tmp_path)
    assert find_files(card.data["real"], tmp_path) is None
    with pytest.raises(DataError, match="nobody publishes it in this form: put it there"):
        locate(card_of(file("set/a.csv", url="")), "real", tmp_path)
    with pytest.raises(DataError, match=r"again\.csv, which is not there"):
        locate(card_of(or_files=((file("again.csv"),),)), "real", tmp_path)
    with pytest.raises(DataError, match="is not embedded, and its card names no files"):
        locate(card_of(), "real", tmp_path)


def test_another_form_serves_only_where_all_of_it_is_there(tmp_path: Path) -> None:
    form = (file("again/a.json", url=""), file("again/b.json", url=""))
    card = card_of(file("set/a.csv"), or_files=(form,))
    put(tmp_path, "again/a.json")
    with pytest.raises(DataError, match=r"set/a\.csv"):
        locate(card, "real", tmp_path)
    put(tmp_path, "again/b.json")
    assert set(locate(card, "real", tmp_path)) == {"a.json", "b.json"}
    put(tmp_path, "set/a.csv")
    assert set(locate(card, "real", tmp_path)) == {"a.csv"}


def test_a_file_packed_anew_is_known_by_what_it_holds(tmp_path: Path) -> None:
    published = gzip.compress(ONE, 9, mtime=1)
    sums = {"sha256": hashlib.sha256(published).hexdigest(), "unpacked_sha256": SHA_ONE}
    card, place = card_of(file("set/a.gz", **sums)), put(tmp_path, "set/a.gz", published)
    first = fingerprint(card, "real", tmp_path)
    assert differs_from_published(card, "real", tmp_path) == []
    place.write_bytes(gzip.compress(ONE, 1, mtime=22))
    assert differs_from_published(card, "real", tmp_path) == []
    # A key is of the bytes that are here, as before.
    assert fingerprint(card, "real", tmp_path) != first
    for other in (gzip.compress(TWO), gzip.compress(ONE)[:-1], ONE, b""):
        place.write_bytes(other)
        assert differs_from_published(card, "real", tmp_path) == ["a.gz"]
    plain = card_of(file("set/a.gz", sha256=sums["sha256"]))
    place.write_bytes(gzip.compress(ONE, 1, mtime=333))
    assert differs_from_published(plain, "real", tmp_path) == ["a.gz"]


def test_the_home_may_be_the_folder_of_one_set_where_a_checksum_can_tell(tmp_path: Path) -> None:
    put(tmp_path, "a.csv")
    assert locate(card_of(file("set/a.csv", sha256=SHA_ONE)), "real", tmp_path) == {"a.csv": tmp_path / "a.csv"}
    # It may be any file of that name.
    with pytest.raises(DataError):
        locate(card_of(file("set/a.csv")), "real", tmp_path)
    # Nor can one file be two.
    with pytest.raises(DataError):
        locate(card_of(file("train/a.csv", sha256=SHA_ONE), file("test/a.csv", sha256=SHA_ONE)), "real", tmp_path)
    place = put(tmp_path, "set/a.csv")
    assert locate(card_of(file("set/a.csv", sha256=SHA_ONE)), "real", tmp_path) == {"a.csv": place}


def test_a_folder_in_the_place_of_a_file_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "set" / "a.csv").mkdir(parents=True)
    with pytest.raises(DataError, match="which is not there"):
        locate(card_of(file("set/a.csv")), "real", tmp_path)


@pytest.mark.parametrize("path", ["/etc/passwd", "../a.csv", "set/../../a.csv", "", ".", "set//a.csv", "set/./a.csv", "set/"])
def test_a_card_names_files_below_the_data_home_only(path: str) -> None:
    with pytest.raises(ValidationError, match="must be a path below the data home"):
        DataFile(path=path)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/a", "example.org/a", "https://example.org/a b"])
def test_a_card_names_addresses_of_http_only(url: str) -> None:
    with pytest.raises(ValidationError):
        DataFile(path="a.csv", url=url)


def test_other_bytes_than_published_are_told_in_every_form(tmp_path: Path) -> None:
    card = card_of(file("set/a.csv", sha256=SHA_ONE), file("set/b.csv"), or_files=((file("again/a.json", sha256=SHA_TWO, url=""),),))
    put(tmp_path, "set/a.csv", ONE)
    put(tmp_path, "set/b.csv", b"whatever: its publisher gives no checksum")
    assert differs_from_published(card, "real", tmp_path) == []
    put(tmp_path, "set/a.csv", b"other")
    assert differs_from_published(card, "real", tmp_path) == ["a.csv"]
    # The checksum of another file of the set does not count.
    put(tmp_path, "set/a.csv", TWO)
    assert differs_from_published(card, "real", tmp_path) == ["a.csv"]
    # That of the same file in another form does.
    same = card_of(file("set/a.csv", sha256=SHA_ONE), or_files=((file("set/a.csv", sha256=SHA_TWO, url=""),),))
    assert differs_from_published(same, "real", tmp_path) == []
    assert differs_from_published(card, "made", tmp_path) == []


def test_the_fingerprint_follows_bytes_and_names_and_not_places(tmp_path: Path) -> None:
    card = card_of(file("set/a.csv", sha256=SHA_ONE))
    homes = [tmp_path / "x", tmp_path / "y"]
    put(homes[0], "set/a.csv")
    put(homes[1], "a.csv")
    first, second = (fingerprint(card, "real", home) for home in homes)
    assert first == second
    put(homes[0], "set/a.csv", TWO)
    assert fingerprint(card, "real", homes[0]) != first
    assert fingerprint(card, "made", homes[0]) == fingerprint(card, "made", homes[1])


def test_a_fingerprint_notices_a_change_of_the_same_size(tmp_path: Path) -> None:
    own, card = put(tmp_path, "my.csv"), card_of()
    first = fingerprint(card, own_name(own), tmp_path, own)
    own.write_bytes(TWO)
    os.utime(own, ns=(0, 0))
    assert fingerprint(card, own_name(own), tmp_path, own) != first


def test_ones_own_file_goes_by_its_name(tmp_path: Path) -> None:
    own = put(tmp_path, "my.csv")
    assert own_name(own) == "path:my.csv"
    assert locate(card_of(), "path:my.csv", tmp_path, own) == {"my.csv": own}
    with pytest.raises(UnknownNameError, match=r"no data set 'path:my\.csv'"):
        fingerprint(card_of(takes_own=False), "path:my.csv", tmp_path, own)


def test_a_manifest_stands_for_its_folder_where_the_task_takes_one(tmp_path: Path) -> None:
    own, sound = put(tmp_path, "set/manifest.csv"), put(tmp_path, "set/deep/a.wav")
    card = replace(card_of(), own_data=OwnDataCard("a folder with a manifest", manifests=(".csv",)))
    assert locate(card, own_name(own), tmp_path, own) == {"deep/a.wav": sound, "manifest.csv": own}
    first = fingerprint(card, own_name(own), tmp_path, own)
    sound.write_bytes(TWO)
    assert fingerprint(card, own_name(own), tmp_path, own) != first
    assert locate(card, own_name(sound), tmp_path, sound) == {"a.wav": sound}
    (tmp_path / "set.csv").mkdir()
    inside = put(tmp_path, "set.csv/b.wav")
    assert locate(card, "path:set.csv", tmp_path, tmp_path / "set.csv") == {"b.wav": inside}
    assert locate(card_of(), own_name(own), tmp_path, own) == {"manifest.csv": own}


def test_own_data_of_which_only_the_name_is_known_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="where it lies is not known here"):
        locate(card_of(), "path:my.csv", tmp_path)


def test_ones_own_folder_is_all_its_files_by_their_place_in_order(tmp_path: Path) -> None:
    for path in ("b/2.txt", "a/1.txt", "a/10.txt", "a/deep/er.txt", "top.csv"):
        put(tmp_path / "my", path)
    found = locate(card_of(), "path:my", tmp_path, tmp_path / "my")
    assert list(found) == ["a/1.txt", "a/10.txt", "a/deep/er.txt", "b/2.txt", "top.csv"]
    assert found["a/1.txt"] == tmp_path / "my" / "a" / "1.txt"


def test_hidden_files_and_what_systems_leave_behind_are_no_data(tmp_path: Path) -> None:
    leavings = (".DS_Store", ".git/config", "a/.ipynb_checkpoints/1.txt", "__MACOSX/a/1.txt", "a/Thumbs.db", "desktop.ini")
    for path in (*leavings, "a/1.txt"):
        put(tmp_path / "my", path)
    assert list(locate(card_of(), "path:my", tmp_path, tmp_path / "my")) == ["a/1.txt"]
    # The folder itself may be hidden: it was named.
    put(tmp_path / ".my", "a/1.txt")
    assert list(locate(card_of(), "path:.my", tmp_path, tmp_path / ".my")) == ["a/1.txt"]


def test_links_are_followed_wherever_they_lead(tmp_path: Path) -> None:
    elsewhere = put(tmp_path, "elsewhere/cats/1.txt").parent.parent
    put(tmp_path, "my/dogs/1.txt", TWO)
    (tmp_path / "my" / "cats").symlink_to(elsewhere / "cats")
    (tmp_path / "my" / "dogs" / "2.txt").symlink_to(elsewhere / "cats" / "1.txt")
    found = locate(card_of(), "path:my", tmp_path, tmp_path / "my")
    assert list(found) == ["cats/1.txt", "dogs/1.txt", "dogs/2.txt"]
    assert found["dogs/2.txt"].read_bytes() == ONE


def test_links_that_lead_nowhere_or_in_a_circle_are_told(tmp_path: Path) -> None:
    put(tmp_path, "my/a/1.txt")
    link = tmp_path / "my" / "a" / "b"
    link.symlink_to(tmp_path / "gone")
    with pytest.raises(DataError, match=r"my/a/b: cannot be read \(a link to .*gone; No such file"):
        locate(card_of(), "path:my", tmp_path, tmp_path / "my")
    link.unlink()
    link.symlink_to(tmp_path / "my")
    with pytest.raises(DataError, match="my/a/b is a link to a folder that it lies in"):
        locate(card_of(), "path:my", tmp_path, tmp_path / "my")
    link.unlink()
    link.symlink_to(link)
    with pytest.raises(DataError, match=r"my/a/b: cannot be read"):
        locate(card_of(), "path:my", tmp_path, tmp_path / "my")


def test_a_folder_without_files_and_a_place_without_anything_are_told(tmp_path: Path) -> None:
    (tmp_path / "my" / "deep").mkdir(parents=True)
    with pytest.raises(DataError, match=r"my holds no files \(hidden ones do not count\)"):
        locate(card_of(), "path:my", tmp_path, tmp_path / "my")
    with pytest.raises(DataError, match="gone is not there"):
        locate(card_of(), "path:gone", tmp_path, tmp_path / "gone")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DataError, match="pipe is neither a file nor a folder"):
        locate(card_of(), "path:pipe", tmp_path, tmp_path / "pipe")
    put(tmp_path / "with", "1.txt")
    os.mkfifo(tmp_path / "with" / "pipe")
    assert list(locate(card_of(), "path:with", tmp_path, tmp_path / "with")) == ["1.txt"]


def test_a_huge_folder_is_a_mistake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(own_files, "MAX_OWN_FILES", 3)
    for number in range(3):
        put(tmp_path / "my", f"{number}.txt")
    assert len(locate(card_of(), "path:my", tmp_path, tmp_path / "my")) == 3
    put(tmp_path / "my", "3.txt")
    with pytest.raises(DataError, match="holds more than 3 files; name the folder that holds the data alone"):
        locate(card_of(), "path:my", tmp_path, tmp_path / "my")


def test_a_name_that_is_not_utf_8_is_told(tmp_path: Path) -> None:
    put(tmp_path, "my/good.txt")
    with open(os.fsencode(tmp_path / "my") + b"/\xff.txt", "wb"):  # noqa: PTH123 - a path of bytes
        pass
    with pytest.raises(DataError, match=r"my: the file name '\\udcff\.txt' is not UTF-8; rename it"):
        locate(card_of(), "path:my", tmp_path, tmp_path / "my")


def test_a_file_that_cannot_be_read_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone: cannot be read \(No such file or directory\)"):
        checksum(tmp_path / "gone")
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory\)"):
        checksum(tmp_path)
