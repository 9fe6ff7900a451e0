"""What a careful person would want to know of a set of sounds before training: read for `rnnbench data check`, changed by nothing."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import pairwise

from rnnbench.base.names import printable
from rnnbench.task.audio import SUFFIXES, UNREAD, read_sound
from rnnbench.task.clips import Clip
from rnnbench.task.sound_files import SoundFiles

SHOWN = 3
# A class this much rarer than the commonest.
RARE = 10


def check_sounds(sounds: SoundFiles, splits: Mapping[str, Sequence[Clip]]) -> list[str]:
    """Equal, silent and clipped sounds, other sample rates, several channels, sounds of no row or of no kind that is read.

    Raises:
        DataError: one of them cannot be read.
    """
    places: dict[str, list[tuple[str, Clip]]] = {}
    for split, clips in splits.items():
        for clip in clips:
            places.setdefault(clip.name, []).append((split, clip))
    rates: Counter[int] = Counter()
    noted: dict[str, list[str]] = {}
    groups: dict[str, list[str]] = {}
    for name, content in sounds.read(list(places)):
        sound = read_sound(content, places[name][0][1].where)
        rates[sound.rate] += 1
        true = {"are silent (every sample is zero)": sound.is_silent, "are clipped (loudest samples in a row)": sound.is_cut}
        for what in (*(words for words, is_so in true.items() if is_so), *(f"will be {words}" for words in sound.done)):
            noted.setdefault(what, []).append(name)
        if not sound.is_silent:
            groups.setdefault(hashlib.sha256(sound.samples.tobytes()).hexdigest(), []).append(name)
    lines = [f"{len(names)} sounds {what}: {_some(names)}" for what, names in noted.items()]
    if len(rates) > 1:
        lines.append(f"sounds have {len(rates)} sample rates ({', '.join(f'{rate} Hz: {count}' for rate, count in rates.most_common())})")
    lines += _repeated([[place for name in names for place in places[name]] for names in groups.values()])
    unused = sorted(name for name in set(sounds.names) - set(places) if name.lower().endswith(SUFFIXES))
    if unused:
        lines.append(f"{len(unused)} sounds belong to no row: {_some(unused)}")
    if unread := sorted(name for name in set(sounds.names) - set(places) if name.lower().endswith(UNREAD)):
        lines.append(f"{len(unread)} sounds are of a kind that is not read ({_some(unread)}); convert them to wav or flac")
    return lines


def check_labels(clips: Sequence[Clip]) -> list[str]:
    """Rows sorted by label, and classes that are much rarer than others."""
    lines = []
    labels = [clip.text for clip in clips]
    counts = Counter(labels)
    changes = sum(one != other for one, other in pairwise(labels))
    if len(counts) > 1 and changes == len(counts) - 1:
        lines.append("rows are sorted by label; they are shuffled for training, and what is drawn is drawn by label")
    most, least = max(counts.values()), min(counts.values())
    if most >= RARE * least:
        rare = sorted(label for label, count in counts.items() if most >= RARE * count)
        lines.append(f"{len(rare)} classes have at most a tenth of the rows of the commonest: {_some(rare)}")
    return lines


def _repeated(groups: Sequence[Sequence[tuple[str, Clip]]]) -> list[str]:
    repeats = [group for group in groups if len(group) > 1]
    across = [group for group in repeats if len({split for split, _ in group}) > 1]
    at_odds = [group for group in repeats if len({clip.text for _, clip in group}) > 1]
    lines = []
    for found, what in (
        (repeats, "sounds are there several times, sample by sample"),
        (across, "of them are in several splits, so that what is tested was trained on"),
        (at_odds, "of them have several labels or texts"),
    ):
        if found:
            lines.append(f"{len(found)} {what}: {_some([' = '.join(clip.name for _, clip in group) for group in found])}")
    return lines


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(printable(name) for name in names[:SHOWN]) + more
