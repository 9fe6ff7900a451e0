"""Checkpoints: what is damaged, foreign or malicious is refused, and nothing in it runs."""

import hashlib
import io
import os
import pickle
from pathlib import Path

import pytest
import torch

from rnnbench.base.errors import CheckpointError
from rnnbench.trial.checkpoint import candidates, load_checkpoint, save_checkpoint, save_rotating
from rnnbench.trial.files import rotating

STATE = {"key": "abc", "module": {"weight": torch.arange(6.0)}, "progress": {"epoch": 3, "best": 0.5, "best_metrics": {"loss": 1.0}}}


def test_a_checkpoint_reads_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "trial" / "last.ckpt"
    size = save_checkpoint(path, STATE)
    state = load_checkpoint(path)
    assert torch.equal(state["module"]["weight"], torch.arange(6.0))
    assert state["progress"] == STATE["progress"]
    assert path.stat().st_size > size > 0
    assert os.listdir(path.parent) == ["last.ckpt"]


def test_without_checkpoints_there_is_nothing_to_continue_from(tmp_path: Path) -> None:
    assert list(candidates(*rotating(tmp_path / "last.ckpt"))) == []


def test_the_one_before_serves_where_the_newest_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    for epoch in range(3):
        save_rotating(path, {"epoch": epoch})
    assert [state["epoch"] for state in candidates(*rotating(path))] == [2, 1]
    path.write_bytes(path.read_bytes()[:-1])
    assert [state["epoch"] for state in candidates(*rotating(path))] == [1]


@pytest.mark.parametrize("keep", [0, 10, 40, 86, 87, 500])
def test_a_truncated_checkpoint_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, STATE)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(CheckpointError):
        load_checkpoint(path)


def test_one_flipped_bit_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "last.ckpt"
    save_checkpoint(path, STATE)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


class _Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.system, ("touch executed",)


@pytest.mark.parametrize("form", ["pickle", "torch"])
def test_a_malicious_checkpoint_with_a_right_checksum_executes_nothing(tmp_path: Path, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    buffer = io.BytesIO()
    if form == "pickle":
        pickle.dump(_Malicious(), buffer, protocol=2)
    else:
        torch.save({"module": _Malicious()}, buffer)
    body = buffer.getvalue()
    path = tmp_path / "best.ckpt"
    path.write_bytes(b"rnnbench-checkpoint 1 " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)
    with pytest.raises(CheckpointError, match="refused"):
        load_checkpoint(path)
    assert not (tmp_path / "executed").exists()


def test_a_plain_torch_file_is_foreign(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    torch.save({"a": 1}, path)
    with pytest.raises(CheckpointError, match="not a checkpoint of rnnbench"):
        load_checkpoint(path)
