"""Which rows train, validate and test: as the data say, and what they do not say is drawn, equal texts always together."""

from collections.abc import Mapping, Sequence

from rnnbench.base.errors import DataError
from rnnbench.task.splits import SHARES, split_rows
from rnnbench_tasks.text_classification.rows import SPLITS, Row

# Of the training rows, for a validation or a test split that the data do not have.
CARVED = 0.1


def assign_splits(rows: Sequence[Row], seed: int, shares: Mapping[str, float] | None = None) -> tuple[dict[str, list[int]], str]:
    """Row numbers of every split, ascending, and in words how they came about.

    Rows whose text is the same but for case and white space come into one split where splits are drawn, so that none is trained on and
    tested with; classes have the same shares in all.

    Args:
        shares: Of rows that no split is said for; None: 80, 10 and 10 percent.
    Raises:
        DataError: there are too few different texts, or the data say splits and none is the training split.
    """
    given: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        given.setdefault(row.split, []).append(number)
    if set(given) == {""}:
        shares = shares or SHARES
        words = "drawn by data.seed, " + ", ".join(f"{name} {share:.3g}" for name, share in shares.items())
        return _draw(rows, given[""], shares, seed), words
    if "train" not in given:
        raise DataError(f"{rows[0].where}: no row is in the train split; there are {', '.join(sorted(given))}")
    missing = [name for name in SPLITS if name not in given]
    if missing:
        carved = {"train": 1 - CARVED * len(missing), **dict.fromkeys(missing, CARVED)}
        given |= _draw(rows, given["train"], carved, seed)
    words = "as the data say" + "".join(f", {name} drawn by data.seed: a tenth of the training rows" for name in missing)
    return {name: given[name] for name in SPLITS}, words


def _draw(rows: Sequence[Row], numbers: Sequence[int], shares: Mapping[str, float], seed: int) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for number in numbers:
        groups.setdefault(rows[number].key(), []).append(number)
    if len(groups) < len(shares):
        raise DataError(f"{rows[numbers[0]].where}: {len(groups)} different texts cannot be split into {', '.join(shares)}")
    members = list(groups.values())
    drawn = split_rows(len(members), shares, seed, [rows[group[0]].label for group in members])
    return {name: sorted(number for place in places.tolist() for number in members[place]) for name, places in drawn.items()}
