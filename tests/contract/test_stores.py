"""What every store of checkpoints does: the folder itself, and an S3 store."""

from pathlib import Path

import pytest

from rnnbench.base.errors import StoreError
from rnnbench.base.store import Store, open_store
from tests.s3 import ADDRESS, Server

KEYS = ["0a" * 32, "ff" * 32]


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest) -> Store:
    """A store of each kind."""
    if request.param == "s3":
        request.getfixturevalue("s3")
    return open_store(ADDRESS if request.param == "s3" else None)


def write(folder: Path, key: str, name: str, content: bytes) -> Path:
    """A file where a trial would write it."""
    place = folder / key[:2] / key / name
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(content)
    return place


def read(store: Store, file: Path) -> bytes | None:
    found = store.get(file)
    return None if found is None else found.read_bytes()


def test_what_is_put_is_found_and_what_is_deleted_is_not(store: Store, tmp_path: Path) -> None:
    store.check()
    one, other = write(tmp_path, KEYS[0], "best.ckpt", b"one"), write(tmp_path, KEYS[1], "best.ckpt", b"\0" * 70_000)
    for file in (one, other):
        store.put(file)
    missing = tmp_path / "aa" / ("aa" * 32) / "best.ckpt"
    assert store.sizes([one, other, missing]) == {one: 3, other: 70_000}
    # As many as are listed instead of asked for one by one.
    assert store.sizes([one, missing, *(missing.with_name(f"{number}.ckpt") for number in range(20))]) == {one: 3}
    assert store.list_all(tmp_path) == {one: 3, other: 70_000}
    assert read(store, one) == b"one"
    assert read(store, missing) is None
    assert Path(store.where(one)).name.endswith("best.ckpt")
    store.delete(one, missing)
    assert read(store, one) is None
    assert store.list_all(tmp_path) == {other: 70_000}
    store.delete(one, other)
    assert store.list_all(tmp_path) == {}
    assert not [path for path in tmp_path.rglob("*") if path.is_file()], "something is left on this machine"


def test_nothing_was_ever_put(store: Store, tmp_path: Path) -> None:
    assert store.list_all(tmp_path) == {}
    assert store.sizes([]) == {}


def test_what_is_put_again_replaces_and_what_was_before_stays_under_its_name(s3: Server, tmp_path: Path) -> None:
    store = open_store(ADDRESS)
    for content in (b"first", b"second", b"third"):
        last = write(tmp_path, KEYS[0], "last.ckpt", content)
        before = last.with_name("last.previous.ckpt")
        store.put(last, before)
        assert not last.exists()
    assert (read(store, last), read(store, before)) == (b"third", b"second")
    assert s3.objects() == {f"{KEYS[0]}.last.ckpt": b"third", f"{KEYS[0]}.last.previous.ckpt": b"second"}


@pytest.mark.slow
def test_a_large_object_is_there_whole_or_as_it_was(s3: Server, tmp_path: Path) -> None:
    store = open_store(ADDRESS)
    store.put(write(tmp_path, KEYS[0], "last.ckpt", b"small"))
    large = write(tmp_path, KEYS[0], "last.ckpt", b"x" * 25_000_000)
    s3.fails = lambda method, path, query: "partNumber=2" in query
    with pytest.raises(StoreError, match="does not answer or refuses"):
        store.put(large)
    assert large.exists(), "what the store has not taken stays on this machine"
    assert s3.objects() == {f"{KEYS[0]}.last.ckpt": b"small"}
    s3.fails = lambda method, path, query: False
    store.put(large)
    assert list(map(len, s3.objects().values())) == [25_000_000]


def test_objects_of_others_below_the_prefix_are_left_alone(s3: Server, tmp_path: Path) -> None:
    s3.replace("notes.txt", b"mine")
    s3.replace("0a0a.best.ckpt", b"mine")
    s3.replace(f"deeper/{KEYS[0]}.best.ckpt", b"mine")
    assert open_store(ADDRESS).list_all(tmp_path) == {}


@pytest.mark.slow
def test_a_store_that_is_away_or_refuses_is_one_line_without_the_key(s3: Server, tmp_path: Path) -> None:
    store, file = open_store(ADDRESS), write(tmp_path, KEYS[0], "best.ckpt", b"one")
    with pytest.raises(StoreError, match="NO_SUCH_BUCKET") as caught:
        open_store("s3://nobody/here").put(file)
    s3.stop()
    for ask in (
        store.check,
        lambda: store.put(file),
        lambda: store.get(file),
        lambda: store.list_all(tmp_path),
        lambda: store.delete(file),
    ):
        with pytest.raises(StoreError, match=f"^the store of checkpoints {ADDRESS} does not answer or refuses: ") as caught:
            ask()
        assert "\n" not in str(caught.value)
        assert s3.secret not in str(caught.value)
