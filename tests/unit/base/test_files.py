"""Files appear whole or not at all."""

import hashlib
import os
from pathlib import Path

import pytest

from rnnbench.base.files import sha256_file, write_atomic


def test_a_file_is_written_with_its_folder_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.txt"
    write_atomic(path, "hello")
    write_atomic(path, b"again")
    assert path.read_bytes() == b"again"
    assert os.listdir(path.parent) == ["file.txt"]
    assert sha256_file(path) == hashlib.sha256(b"again").hexdigest()


def test_a_failed_write_keeps_the_old_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    write_atomic(path, b"old")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]
