"""Which sounds train, validate and test: as the set says, and what it does not say drawn by speaker, or row by row. No torch."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from rnnbench.base.canonical import Plain
from rnnbench.base.errors import DataError
from rnnbench.base.parameters import Value
from rnnbench.base.seeds import child
from rnnbench.task.clips import Clip
from rnnbench.task.splits import SHARES, nested_rows, split_groups, split_rows

Split = Literal["official", "speaker", "rows"]
Labels = Sequence[Hashable] | None


@dataclass(frozen=True)
class Divided:
    """Rows by split.

    Attributes:
        clips: Of train the part that is used.
        whole_train: All rows that are for training.
    """

    clips: Mapping[str, Sequence[Clip]]
    whole_train: Sequence[Clip]
    facts: Mapping[str, Plain]


def divide_clips(
    clips: Sequence[Clip],
    parameters: Mapping[str, Value],
    task: str,
    *,
    labels: Labels = None,
    hold_out: bool | None = None,
    shares: Mapping[str, float] = SHARES,
) -> Divided:
    """Rows by split, as `data.split`, `data.seed` and `data.train_fraction` say; see `split_clips`."""
    how, seed, fraction = cast(Split, parameters["data.split"]), parameters["data.seed"], parameters["data.train_fraction"]
    assert isinstance(seed, int) and isinstance(fraction, float), "checked when the sweep file was read"  # noqa: PT018
    rows = split_clips(clips, how, child(seed, task, "splits"), labels=labels, hold_out=hold_out, shares=shares)
    facts: dict[str, Plain] = {"splits": describe_split(clips, rows, how)}
    if all(clip.speaker for clip in clips):
        facts |= {f"{name} speakers": len({clips[row].speaker for row in found}) for name, found in rows.items()}
    whole = rows["train"]
    part = nested_rows(len(whole), fraction, child(seed, task, "part"), labels and [labels[row] for row in whole])
    used = rows | {"train": [whole[place] for place in part]}
    return Divided({name: [clips[row] for row in found] for name, found in used.items()}, [clips[row] for row in whole], facts)


def split_clips(
    clips: Sequence[Clip],
    how: Split,
    seed: int,
    *,
    labels: Labels = None,
    hold_out: bool | None = None,
    shares: Mapping[str, float] = SHARES,
) -> dict[str, list[int]]:
    """Row numbers of each split, ascending.

    Args:
        how: official: the splits that the rows name; those missing are drawn from the training rows. speaker: all are drawn, and no
            speaker is in two of them. rows: all are drawn, whoever speaks.
        labels: Each row's class, so that what is drawn row by row has every class in its share.
        hold_out: Whether what `official` misses is drawn by speaker; None: it is where the speakers are known.
        shares: Of the rows that are drawn from, by split.
    Raises:
        DataError: unknown speakers, too few of them or too few rows.
    """
    knows_speakers = all(clip.speaker for clip in clips)
    if how == "speaker" and not knows_speakers:
        raise DataError(f"{clips[0].where}: the speaker is not known; set data.split to official or rows")
    by_speaker = how == "speaker" or (how == "official" and knows_speakers and hold_out is not False)
    found: dict[str, list[int]] = {name: [] for name in SHARES}
    for row, clip in enumerate(clips):
        found[(clip.split or "train") if how == "official" else "train"].append(row)
    missing = [name for name in SHARES if name != "train" and not found[name]]
    if missing:
        pool = found["train"]
        if not pool:
            raise DataError(f"{clips[0].where}: no row is to train on; name split train in some")
        drawn = {"train": 1 - sum(shares[name] for name in missing), **{name: shares[name] for name in missing}}
        for name, places in _draw([clips[row] for row in pool], drawn, seed, by_speaker, labels and [labels[row] for row in pool]).items():
            found[name] = [pool[place] for place in places]
    return found


def describe_split(clips: Sequence[Clip], splits: dict[str, list[int]], how: Split) -> str:
    """How the splits came about, for the report: official ones, and whether speakers are apart."""
    speakers = [{clips[row].speaker for row in rows} for rows in splits.values()]
    official = sorted({clip.split for clip in clips if clip.split}) if how == "official" else []
    said = f"as the set says: {', '.join(official)}; the rest seeded" if official else "seeded"
    if not all(clip.speaker for clip in clips):
        return said
    shared = set.union(*(one & other for place, one in enumerate(speakers) for other in speakers[place + 1 :]))
    return f"{said}; no speaker is in two splits" if not shared else f"{said}; {len(shared)} speakers are in several splits"


def _draw(clips: Sequence[Clip], shares: dict[str, float], seed: int, by_speaker: bool, labels: Labels) -> dict[str, list[int]]:
    if not by_speaker:
        return {name: rows.tolist() for name, rows in split_rows(len(clips), shares, seed, labels, where=clips[0].where).items()}
    speakers = [clip.speaker for clip in clips]
    if len(set(speakers)) < len(shares):
        raise DataError(
            f"{clips[0].where}: {len(set(speakers))} speakers cannot be split into {', '.join(shares)}; "
            "set data.split to rows to have them in several splits"
        )
    return {name: rows.tolist() for name, rows in split_groups(speakers, shares, seed).items()}
