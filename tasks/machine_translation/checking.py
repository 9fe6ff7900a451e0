"""What a careful person would want to know of sentence pairs before training."""

import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from rnnbench.base.names import printable
from rnnbench.base.parameters import Value
from rnnbench_tasks.machine_translation.pairs import read_corpus

# A pair whose sides differ by more, in characters, is rarely a translation.
_RATIO = 4.0
_SHORT = 20


def check_data(files: Mapping[str, Path], data: str, parameters: Mapping[str, Value]) -> list[str]:
    """Findings, one line each: repeated and shared pairs, copies, odd lengths, odd characters.

    Raises:
        DataError: a file cannot be used.
    """
    corpus = read_corpus(files, data, parameters)
    found = [f"{name}: {words}" for name, pairs in corpus.splits.items() for words in _look(pairs)]
    train, sources = set(corpus.splits["train"]), {source for source, _ in corpus.splits["train"]}
    for name, pairs in corpus.splits.items():
        if name == "train":
            continue
        both, source = sum(pair in train for pair in pairs), sum(pair[0] in sources for pair in pairs)
        if source:
            found.append(f"{name}: {source} of {len(pairs)} sources are training sources too, {both} with the same translation")
    return found


def _look(pairs: Sequence[tuple[str, str]]) -> list[str]:
    found = []
    repeated = len(pairs) - len(set(pairs))
    if repeated:
        commonest, times = Counter(pairs).most_common(1)[0]
        found.append(f"{repeated} of {len(pairs)} pairs are repetitions, most often ({times}) '{printable(commonest[0], 40)}'")
    copies = [source for source, target in pairs if source == target]
    if copies:
        found.append(f"{len(copies)} translations equal their source, e.g. '{printable(copies[0], 40)}'")
    uneven = [
        (source, target) for source, target in pairs if max(len(source), len(target)) > max(_SHORT, _RATIO * min(len(source), len(target)))
    ]
    if uneven:
        found.append(
            f"{len(uneven)} pairs have one side more than {_RATIO:g} times as long as the other, e.g. "
            f"'{printable(uneven[0][0], 40)}' and '{printable(uneven[0][1], 40)}'"
        )
    for side, name in enumerate(("sources", "targets")):
        odd = [pair[side] for pair in pairs if any(_is_odd(character) for character in pair[side])]
        if odd:
            found.append(f"{len(odd)} {name} hold control characters or signs of a wrong encoding, e.g. '{printable(odd[0], 60)}'")
        unlike = [pair[side] for pair in pairs if unicodedata.normalize("NFC", pair[side]) != pair[side]]
        if unlike:
            found.append(f"{len(unlike)} {name} are not in Unicode's composed form (NFC), e.g. '{printable(unlike[0], 60)}'")
    return found


def _is_odd(character: str) -> bool:
    return character == "\ufffd" or (unicodedata.category(character) == "Cc" and character != "\t")
