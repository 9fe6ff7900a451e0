"""Sequences of unequal length as padded tensors: split by chance or by group, features scaled by training steps, missing values held."""

# Shapes: N sequences, T steps of the longest, F features, X numbers of a summary.

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.names import listed, printable
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.task.module import Batch
from rnnbench.task.sequences import Names, Sequences, read_sequences
from rnnbench.task.series import AUTO, NONE, split_names
from rnnbench.task.splits import SHARES, Rows, nested_rows, split_groups, split_rows

SPLITS = ("train", "validation", "test")
# What padded inputs of all splits may take; more is a mistake.
MAX_BYTES = 8 * 2**30


@dataclass(frozen=True)
class Scaling:
    """What turns the values of a sequence into inputs, learned from training steps.

    Attributes:
        masked: Features with an input that tells where a value is missing.
        mean, spread: Of each feature over all training steps; spread is 1 where a feature is constant.
        kind: standard, sequence (each sequence by its own mean and deviation) or none.
        max_length: Steps kept of a longer sequence, the last ones; None: all.
        refuses_missing: Whether a missing value is an error.
    """

    features: Sequence[str]
    masked: Sequence[str]
    mean: Sequence[float]
    spread: Sequence[float]
    kind: str
    max_length: int | None
    refuses_missing: bool

    @property
    def num_inputs(self) -> int:
        """Size of a step."""
        return len(self.features) + len(self.masked)

    def to_plain(self) -> dict[str, Plain]:
        """Plain data from which `Scaling(**plain)` makes an equal one."""
        return asdict(self)


def names_of(parameters: Mapping[str, Value]) -> Names:
    """The columns that the `data.*_column` and `data.columns` parameters name."""
    get: Any = parameters.__getitem__
    columns = get("data.columns")
    return Names(
        target=get("data.target_column"),
        sequence=get("data.id_column"),
        time=get("data.time_column"),
        group=get("data.group_column"),
        features=None if columns == AUTO else tuple(split_names(columns)),
    )


def split_sequences(
    sequences: Sequences, parameters: Mapping[str, Value], task: str, labels: Sequence[Hashable] | None = None
) -> dict[str, Rows]:
    """Rows of each split: as the files' names say; what they leave open by `data.seed`, whole groups where there are groups.

    Args:
        labels: Every class has its share of each split.
    Raises:
        DataError: too few sequences or groups, or a group in two files of different splits.
    """
    seed: Any = parameters["data.seed"]
    given = {split: np.flatnonzero(np.array(sequences.splits) == split) for split in SPLITS} if sequences.splits else {}
    found = {split: rows for split, rows in given.items() if len(rows)}
    open_splits = [split for split in SPLITS if split not in found]
    if given and "train" not in found:
        raise DataError(f"{sequences.where[0]}: files of the {listed(list(found))} split, but none of the training split")
    if open_splits:
        pool = found.get("train", np.arange(len(sequences)))
        names = ["train", *(split for split in open_splits if split != "train")]
        total = sum(SHARES[name] for name in names)
        shares = {name: SHARES[name] / total for name in names}
        if sequences.groups:
            parts = split_groups(
                [sequences.groups[row] for row in pool.tolist()], shares, child(seed, task, "groups"), where=sequences.where[0]
            )
        else:
            parts = split_rows(
                len(pool),
                shares,
                child(seed, task, "rows"),
                None if labels is None else [labels[row] for row in pool.tolist()],
                where=sequences.where[0],
            )
        found |= {name: pool[part] for name, part in parts.items()}
    _require_separate_groups(sequences, found)
    return {split: found[split] for split in SPLITS}


def read_for_answer(path: Path, parameters: Mapping[str, Value], scaling: Scaling) -> Sequences:
    """The sequences of a file, without targets, with the features of training.

    Raises:
        DataError: a file cannot be read, or lacks one of them.
    """
    names = replace(names_of(parameters), target=None, group=NONE, features=tuple(scaling.features))
    return read_sequences({path.name: path}, names)


def part_of_training(rows: Rows, parameters: Mapping[str, Value], task: str, labels: Sequence[Hashable] | None = None) -> Rows:
    """The rows that `data.train_fraction` leaves: seeded, and a smaller part lies within a larger one."""
    fraction, seed = parameters["data.train_fraction"], parameters["data.seed"]
    assert isinstance(fraction, float), "checked when the sweep file was read"
    assert isinstance(seed, int), "checked when the sweep file was read"
    kept = nested_rows(len(rows), fraction, child(seed, task, "part"), None if labels is None else [labels[row] for row in rows.tolist()])
    found: Rows = rows[kept]
    return found


def learn_scaling(sequences: Sequences, rows: Rows, parameters: Mapping[str, Value]) -> Scaling:
    """The scaling of training rows.

    Raises:
        DataError: a feature has no value in them.
    """
    kind, max_length, missing = (parameters[f"data.{name}"] for name in ("scaling", "max_length", "missing"))
    steps = np.concatenate([sequences.values[row] for row in rows])
    for feature, values in zip(sequences.features, steps.T, strict=True):
        if np.isnan(values).all():
            raise DataError(
                f"{sequences.where[0]}, feature '{printable(feature)}': not one number in the training split; leave it out of data.columns"
            )
    deviation = np.nanstd(steps, axis=0)
    is_flat = np.nanmin(steps, axis=0) == np.nanmax(steps, axis=0)
    return Scaling(
        features=list(sequences.features),
        masked=[feature for feature, values in zip(sequences.features, steps.T, strict=True) if np.isnan(values).any()],
        mean=np.nanmean(steps, axis=0).tolist(),
        spread=np.where(is_flat, 1.0, deviation).tolist(),
        kind=str(kind),
        max_length=max_length if isinstance(max_length, int) else None,
        refuses_missing=missing == "refuse",
    )


def pad(sequences: Sequences, rows: Rows, scaling: Scaling) -> tuple[Tensor, Tensor]:
    """Inputs (N, T, F), zero behind each sequence's end, and lengths (N,).

    Raises:
        DataError: a value is missing and none may be; or the tensor would be too large.
    """
    encoded = [encode(sequences.values[row], scaling, sequences.where[row]) for row in rows]
    lengths = torch.tensor([len(one) for one in encoded])
    size = len(encoded) * int(lengths.max()) * scaling.num_inputs * 4
    if size > MAX_BYTES:
        raise DataError(
            f"{sequences.where[0]}: padded to {int(lengths.max())} steps the sequences take {size / 2**30:.0f} GiB; set data.max_length"
        )
    inputs_NTF = torch.zeros(len(encoded), int(lengths.max()), scaling.num_inputs)
    for place, one in enumerate(encoded):
        inputs_NTF[place, : len(one)] = torch.from_numpy(one)
    return inputs_NTF, lengths


def encode(values_TF: NDArray[np.float64], scaling: Scaling, where: str) -> NDArray[np.float32]:
    """The inputs of one sequence: scaled features, the last known value where one is missing, and masks."""
    values_TF = values_TF if scaling.max_length is None else values_TF[-scaling.max_length :]
    missing_TF = np.isnan(values_TF)
    if scaling.refuses_missing and missing_TF.any():
        step, place = np.argwhere(missing_TF)[0]
        raise DataError(f"{where}, step {step + 1}, feature '{printable(scaling.features[place])}': no value; set data.missing to hold")
    mean_F, spread_F = np.array(scaling.mean), np.array(scaling.spread)
    filled_TF = _hold(values_TF, missing_TF, mean_F)
    if scaling.kind == "sequence":
        mean_F, spread_F = filled_TF.mean(axis=0), filled_TF.std(axis=0)
        spread_F = np.where(spread_F > 1e-12 * np.maximum(1, np.abs(mean_F)), spread_F, 1.0)
    if scaling.kind != "none":
        filled_TF = (filled_TF - mean_F) / spread_F
    masks = missing_TF[:, [list(scaling.features).index(feature) for feature in scaling.masked]]
    return np.hstack([filled_TF, masks]).astype(np.float32)


def summarise(batch: Batch) -> NDArray[np.float64]:
    """Mean, deviation, least and greatest of each input over a sequence's steps, and its length: (N, X), without any order of steps."""
    mask_NT1 = batch.mask().unsqueeze(-1)
    steps_N1 = mask_NT1.sum(dim=1)
    inputs_NTF = batch.inputs.double()
    mean_NF = (inputs_NTF * mask_NT1).sum(dim=1) / steps_N1
    deviation_NF = (((inputs_NTF - mean_NF.unsqueeze(1)) * mask_NT1).square().sum(dim=1) / steps_N1).sqrt()
    low_NF = inputs_NTF.masked_fill(~mask_NT1, torch.inf).amin(dim=1)
    high_NF = inputs_NTF.masked_fill(~mask_NT1, -torch.inf).amax(dim=1)
    found: NDArray[np.float64] = torch.cat([mean_NF, deviation_NF, low_NF, high_NF, steps_N1.double()], dim=1).numpy()
    return found


def tell(sequences: Sequences, splits: Mapping[str, Rows], scaling: Scaling) -> dict[str, Plain]:
    """What a reader of the report should know of the sequences."""
    lengths = [len(values) for values in sequences.values]
    facts: dict[str, Plain] = {f"{split} rows": len(rows) for split, rows in splits.items()}
    facts |= {"steps": f"{min(lengths)} to {max(lengths)}, median {median(lengths):g}", "features": ", ".join(sequences.features)}
    facts["splits"] = _how_split(sequences)
    if missing := sum(int(np.isnan(values).sum()) for values in sequences.values):
        facts["missing values"] = missing
    if scaling.max_length is not None and max(lengths) > scaling.max_length:
        facts["cut sequences"] = sum(length > scaling.max_length for length in lengths)
    return facts


def _how_split(sequences: Sequences) -> str:
    by_seed = f"{'whole groups, ' if sequences.groups else ''}seeded by data.seed"
    if not sequences.splits:
        return by_seed
    missing = [split for split in SPLITS if split not in sequences.splits]
    return "as the data says" + (f"; {listed(missing)} from the training rows, {by_seed}" if missing else "")


def _hold(values_TF: NDArray[np.float64], missing_TF: NDArray[np.bool_], start_F: NDArray[np.float64]) -> NDArray[np.float64]:
    """Missing values replaced by the last one known, before the first one by `start`."""
    if not missing_TF.any():
        return values_TF
    steps_T1 = np.arange(len(values_TF))[:, None]
    known_TF = np.maximum.accumulate(np.where(missing_TF, -1, steps_T1), axis=0)
    held_TF = np.take_along_axis(values_TF, np.maximum(known_TF, 0), axis=0)
    return np.where(known_TF < 0, start_F, held_TF)


def _require_separate_groups(sequences: Sequences, splits: Mapping[str, Rows]) -> None:
    if not sequences.groups:
        return
    seen: dict[str, str] = {}
    for split, rows in splits.items():
        for row in rows:
            group = sequences.groups[row]
            if seen.setdefault(group, split) != split:
                raise DataError(
                    f"{sequences.where[row]}: group '{printable(group)}' is in the {seen[group]} split and in the {split} split"
                )
