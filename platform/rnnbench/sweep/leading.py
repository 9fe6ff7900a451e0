"""Who leads so far, and how sure that is while few trials have ended."""

from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence

# With fewer trials of a cell a chance would say more than is known.
LEAST_TRIALS = 3


def chances_to_lead(values: Mapping[str, Sequence[float]], sign: float) -> dict[str, float] | None:
    """Of each cell the chance that its best would be the best of all, were as many trials drawn again from those that have ended.

    The best of n draws with repetition from n values is v or lower with chance (rank of v / n) ** n, so the answer is exact; cells that
    tie share. It is a guide, not a test: a cell's best may still come from where none of its trials has been.

    Args:
        values: Best values of the ended trials, by cell.
        sign: 1 where higher is better, else -1.
    Returns:
        None with one cell, or with fewer than LEAST_TRIALS trials of any.
    """
    if len(values) < 2 or any(len(given) < LEAST_TRIALS for given in values.values()):
        return None
    ordered = {cell: sorted(sign * value for value in given) for cell, given in values.items()}

    def below(cell: str, value: float, *, also_equal: bool) -> float:
        of_cell = ordered[cell]
        return ((bisect_right if also_equal else bisect_left)(of_cell, value) / len(of_cell)) ** len(of_cell)

    weights = {}
    for cell, of_cell in ordered.items():
        weight = 0.0
        for value in dict.fromkeys(of_cell):
            chance = below(cell, value, also_equal=True) - below(cell, value, also_equal=False)
            for other in ordered:
                if other != cell:
                    # A tie counts half for each.
                    chance *= (below(other, value, also_equal=True) + below(other, value, also_equal=False)) / 2
            weight += chance
        weights[cell] = weight
    return {cell: weight / sum(weights.values()) for cell, weight in weights.items()}
