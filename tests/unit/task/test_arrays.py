"""Arrays of numpy's files: whole ones come back, and whatever is wrong with one is a line that names it."""

import io
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rnnbench.base.errors import DataError
from rnnbench.task.arrays import load_array, load_arrays


def packed(*, compressed: bool) -> bytes:
    stream = io.BytesIO()
    save = np.savez_compressed if compressed else np.savez
    save(stream, a=np.arange(600), b=np.ones((3, 4)))
    return stream.getvalue()


WHOLE = {compressed: packed(compressed=compressed) for compressed in (False, True)}


@given(
    compressed=st.booleans(),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=3),
    kept=st.floats(0, 1) | st.just(1.0),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
def test_a_damaged_archive_is_read_or_one_line(compressed: bool, changes: list[tuple[float, int]], kept: float, tmp_path: Path) -> None:
    content = bytearray(WHOLE[compressed])
    for place, value in changes:
        content[int(place * len(content))] = value
    path = tmp_path / "a.npz"
    path.write_bytes(content[: int(kept * len(content))])
    with suppress(DataError):  # some damage cannot be seen
        assert all(isinstance(array, np.ndarray) for array in load_arrays(path).values())


def test_whole_files_come_back(tmp_path: Path) -> None:
    (tmp_path / "a.npz").write_bytes(WHOLE[True])
    assert load_arrays(tmp_path / "a.npz")["a"].tolist() == list(range(600))
    np.save(tmp_path / "a.npy", np.ones(3))
    assert load_array(tmp_path / "a.npy").tolist() == [1, 1, 1]


# Damage that numpy, zipfile and zlib each have another error for.
@pytest.mark.parametrize(
    ("old", "new"),
    [(b"}", b"("), (b"PK\x01\x02-\x03-", b"PK\x01\x02-\x03\xff"), (b"descr", b"\xff\xfe(cr"), (b"PK\x05\x06", b"PK\x05\x00")],
)
def test_what_breaks_in_another_library_is_one_line_too(old: bytes, new: bytes, tmp_path: Path) -> None:
    assert old in WHOLE[False]
    (tmp_path / "a.npz").write_bytes(WHOLE[False].replace(old, new))
    with pytest.raises(DataError, match=r"a\.npz: not a whole \.npz file of numbers \(.*\); write it with numpy\.savez"):
        load_arrays(tmp_path / "a.npz")


def test_one_kind_of_file_is_not_the_other(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.ones(3))
    (tmp_path / "a.npy").rename(tmp_path / "b.npz")
    with pytest.raises(DataError, match=r"b\.npz: holds a single array without a name"):
        load_arrays(tmp_path / "b.npz")
    (tmp_path / "c.npy").write_bytes(WHOLE[False])
    with pytest.raises(DataError, match=r"c\.npy: holds several arrays; name it \.npz"):
        load_array(tmp_path / "c.npy")
    with pytest.raises(DataError, match=r"d\.npz: not a whole .* \(No such file or directory\)"):
        load_arrays(tmp_path / "d.npz")
