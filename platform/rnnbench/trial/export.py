"""A trained model as a folder to give away: weights, preparation, spec and card; see `exported` for reading it."""

import errno
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch

from rnnbench.base.errors import InputError
from rnnbench.base.files import is_disk_full, write_atomic
from rnnbench.cells.own import get_source
from rnnbench.trial.exported import load_exported
from rnnbench.trial.trained import Trained, keep


def export(trained: Trained, folder: Path, card: str, versions: Mapping[str, str]) -> None:
    """Writes a model into a new or empty folder, whole or not at all, after it was read back bit-equal.

    Args:
        card: The model card, Markdown.
        versions: Of what the model was trained and exported with, by name.
    Raises:
        InputError: the folder holds something, or cannot be made.
    """
    folder = folder.absolute()
    require_new(folder)
    own = get_source(trained.spec.cell)
    content = keep(trained.spec, trained.module.state_dict(), trained.data, asdict(own) if own else None).to_files(card, versions)
    try:
        _write_whole(folder, content, trained)
    except OSError as error:
        if is_disk_full(error):
            raise
        raise InputError(f"{folder} cannot be written ({error.strerror}); nothing was left there") from error


def require_new(folder: Path) -> None:
    """Refuses a folder that `export` would refuse.

    Raises:
        InputError: it holds something, or is no folder.
    """
    if not os.path.lexists(folder):
        return
    if folder.is_symlink() or not folder.is_dir() or any(folder.iterdir()):
        raise InputError(f"{folder} is there and not an empty folder; name a new one")
    if folder.samefile(Path.cwd()):
        raise InputError(f"{folder} is the folder you are in; name a new one below it")


def _write_whole(folder: Path, content: Mapping[str, bytes], trained: Trained) -> None:
    """Fills a folder beside the one that is asked for, then renames it: whoever looks sees none or all of it."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name[:40]}."))
    try:
        for name, data in content.items():
            write_atomic(temporary / name, data)
        _require_equal(load_exported(temporary, run_own_cell=True), trained)
        temporary.chmod(0o755)
        temporary.replace(folder)
    except BaseException as error:
        shutil.rmtree(temporary, ignore_errors=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            raise InputError(f"{folder} was filled by somebody else in the meantime; name a new one") from error
        raise


def _require_equal(found: Trained, trained: Trained) -> None:
    ours, theirs = trained.module.state_dict(), found.module.state_dict()
    assert ours.keys() == theirs.keys(), "an export has the weights of its model"
    assert all(torch.equal(weight, theirs[name]) for name, weight in ours.items()), "an export has the weights of its model"
    assert dict(found.data.preparation) == dict(trained.data.preparation), "an export has the preparation of its model"
