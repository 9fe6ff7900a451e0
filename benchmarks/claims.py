"""What a study says of published claims: held, not held, or open where its data decide neither.

A cell is judged against a reference by two samples: the test values of the confirmed seeds, and the best tenth of the search, as in
Greff et al. 2017. Welch's test, p corrected by Bonferroni for all cells of a sample; that a difference is small is said only where its
whole interval, corrected likewise, lies within a margin.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from rnnbench.report.importance import RATE, Importance
from rnnbench.report.pairs import Sample, find_samples
from rnnbench.report.statistics import t_interval
from rnnbench.report.tables import Comparison, sign_of

Verdict = Literal["held", "not held", "open"]
Standing = Literal["worse", "better", "as good", "worse or as good", "better or as good", "unclear"]

ALPHA = 0.05
# As a share of the reference's mean: what nobody would choose a cell for.
MARGIN = 0.01
# Shares of the variance: Greff et al. found that the learning rate explains more than the first, and little interaction.
RATE_SHARE, PAIRS_SHARE = 2 / 3, 0.2


@dataclass(frozen=True)
class Against:
    """A cell against the reference by one sample; `loss` is how much worse it is, with an interval, below zero where it is better."""

    cell: str
    sample: Sample
    counts: tuple[int, int]
    loss: float
    low: float
    high: float
    p: float
    standing: Standing


@dataclass(frozen=True)
class Claim:
    """A published claim with its verdict and the numbers behind it."""

    text: str
    verdict: Verdict
    why: str


def judge(comparison: Comparison, reference: str) -> list[Against]:
    """Every other cell by every sample that it and the reference have."""
    found = []
    for sample, values in find_samples(comparison).items():
        if reference in values:
            others = {cell: of for cell, of in values.items() if cell != reference}
            found += [against(cell, sample, of, values[reference], sign_of(comparison.task), len(others)) for cell, of in others.items()]
    return found


def against(cell: str, sample: Sample, values: Sequence[float], reference: Sequence[float], sign: float, num_tests: int) -> Against:
    """One cell; `sign` is -1 where lower is better, `num_tests` what p and interval are corrected for."""
    margin = MARGIN * abs(float(np.mean(reference)))
    loss = sign * (float(np.mean(reference)) - float(np.mean(values)))
    if np.ptp(values) == 0 and np.ptp(reference) == 0:
        p, low, high = float(loss == 0), loss, loss
    else:
        test = stats.ttest_ind(sign * np.asarray(reference), sign * np.asarray(values), equal_var=False)
        interval = test.confidence_interval(1 - ALPHA / num_tests)
        p, low, high = min(1.0, float(test.pvalue) * num_tests), float(interval.low), float(interval.high)
    return Against(cell, sample, (len(values), len(reference)), loss, low, high, p, _standing(loss, low, high, p, margin))


def _standing(loss: float, low: float, high: float, p: float, margin: float) -> Standing:
    if -margin < low and high < margin:
        return "as good"
    if p < ALPHA:
        return "worse" if loss > 0 else "better"
    if high < margin:
        return "better or as good"
    if low > -margin:
        return "worse or as good"
    return "unclear"


def essential(text: str, cell: str, found: Sequence[Against]) -> Claim:
    """That a cell without a part is worse than the reference."""
    return _claim(text, [cell], found, held=("worse",), broken=("better", "as good", "better or as good"))


def harmless(text: str, cells: Sequence[str], found: Sequence[Against]) -> Claim:
    """That no cell is worse."""
    return _claim(text, cells, found, held=("better", "as good", "better or as good"), broken=("worse",))


def useless(text: str, cell: str, found: Sequence[Against]) -> Claim:
    """That a cell with an addition is not better."""
    return _claim(text, [cell], found, held=("worse", "as good", "worse or as good"), broken=("better",))


def _claim(text: str, cells: Sequence[str], found: Sequence[Against], *, held: Sequence[Standing], broken: Sequence[Standing]) -> Claim:
    """By each sample: broken by any cell, held by all; of two samples one may be open, and where they contradict each other it is open."""
    ours = [one for one in found if one.cell in cells]
    verdicts: set[Verdict] = set()
    for sample in dict.fromkeys(one.sample for one in ours):
        standings = [one.standing for one in ours if one.sample == sample]
        if any(standing in broken for standing in standings):
            verdicts.add("not held")
        elif all(standing in held for standing in standings):
            verdicts.add("held")
    why = "; ".join(
        f"{one.cell} by {one.sample} {one.loss:+.3f} ({one.low:+.3f} to {one.high:+.3f}), p {one.p:.2g}: {one.standing}" for one in ours
    )
    return Claim(text, verdicts.pop() if len(verdicts) == 1 else "open", why or "not measured")


def explains_most(text: str, importances: Sequence[Importance]) -> Claim:
    """That the learning rate by itself explains more than RATE_SHARE of the variance, mean over cells."""
    shares = {one.cell: effect.share for one in importances for effect in one.main if effect.names == (RATE,)}
    return _share_claim(text, shares, RATE_SHARE, more=True)


def nearly_independent(text: str, importances: Sequence[Importance]) -> Claim:
    """That all pairs of parameters together, beyond what each does alone, explain less than PAIRS_SHARE, mean over cells."""
    shares = {one.cell: sum(effect.share for effect in one.pairs) for one in importances}
    return _share_claim(text, shares, PAIRS_SHARE, more=False)


def _share_claim(text: str, shares: Mapping[str, float], bound: float, *, more: bool) -> Claim:
    interval = t_interval(list(shares.values()))
    if interval is None:
        return Claim(text, "open", "too few trials for an analysis of variance")
    side = 0 if interval.low <= bound <= interval.high else 1 if (interval.value > bound) == more else -1
    verdict: Verdict = "open" if side == 0 else "held" if side == 1 else "not held"
    each = ", ".join(f"{cell} {share:.0%}" for cell, share in shares.items())
    return Claim(text, verdict, f"mean {interval.value:.0%} ({interval.low:.0%} to {interval.high:.0%}, Student's t over cells): {each}")


def greff(comparison: Comparison, importances: Sequence[Importance]) -> tuple[list[Against], list[Claim]]:
    """The six claims of LSTM: A Search Space Odyssey."""
    found = judge(comparison, "peephole_lstm")
    return found, [
        essential("The forget gate is essential: without it (nfg) an LSTM is worse", "nfg", found),
        essential("The output activation is essential: without it (noaf) an LSTM is worse", "noaf", found),
        harmless("Coupled gates (cifg) and no peepholes (np) do no harm", ["cifg", "np"], found),
        useless("Full gate recurrence (fgr) does not help", "fgr", found),
        explains_most("The learning rate explains over two thirds of the variance", importances),
        nearly_independent("Hyper-parameters are nearly independent: pairs of them explain little beyond each alone", importances),
    ]
