"""Whether the classes of a set of sequences can be learned, and what to know of them."""

from collections import Counter
from collections.abc import Mapping

from rnnbench.base.errors import DataError
from rnnbench.base.names import printable
from rnnbench.task.sequence_checks import check_sequences as check_values
from rnnbench.task.sequences import Sequences
from rnnbench.task.splits import Rows

# A class that comes less often than this, as a share of the commonest, is easily never said.
RARE = 0.05
MIN_OF_CLASS = 3


def require_classes(sequences: Sequences, splits: Mapping[str, Rows]) -> list[str]:
    """The classes of the training split, by name.

    Raises:
        DataError: there is only one, one has too few sequences, or another split has a class that training has not.
    """
    counts = Counter(sequences.targets)
    if len(counts) < 2:
        raise DataError(f"{sequences.where[0]}: every sequence has the class '{printable(next(iter(counts)))}'; at least two are needed")
    known = {sequences.targets[row] for row in splits["train"]}
    for split in ("validation", "test"):
        for row in splits[split]:
            name = sequences.targets[row]
            if name not in known:
                few = f" ({counts[name]} in all; give at least {MIN_OF_CLASS} or leave them out)" if counts[name] < MIN_OF_CLASS else ""
                raise DataError(f"{sequences.where[row]}: class '{printable(name)}' is in the {split} split, but not in training{few}")
    return sorted(known)


def check_sequences(sequences: Sequences, splits: Mapping[str, Rows]) -> list[str]:
    """One line for each thing found."""
    counts = Counter(sequences.targets[row] for row in splits["train"]).most_common()
    rare = [f"'{printable(name)}' {count}" for name, count in counts if count < RARE * counts[0][1]]
    found = (
        [f"rare classes of the training split: {', '.join(rare)} beside {counts[0][1]} of the commonest; look at macro F1"] if rare else []
    )
    return found + check_values(sequences, splits)
