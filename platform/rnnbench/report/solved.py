"""Whether the trials of a memory problem are better than what needs no memory, and by more than chance."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rnnbench.base.names import listed
from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.task.cards import TaskCard


@dataclass(frozen=True)
class Bar:
    """What a trial has to beat.

    Attributes:
        level: Of a method without memory, where the search sees it: on validation data.
        test_level: The same on test data, which may be longer.
        words: How the level comes about.
        margin: Share of the way from the level to the best value that there is, which a trial must have gone.
    """

    level: float
    test_level: float
    perfect: float
    margin: float
    words: str

    def is_beaten(self, value: float, *, on_test: bool) -> bool:
        """Whether a value lies beyond the level by the margin."""
        level = self.test_level if on_test else self.level
        return level != self.perfect and (value - level) / (self.perfect - level) > self.margin


def find_bar(task: TaskCard, trials: Iterable[TrialRecord]) -> Bar | None:
    """The bar of a task's trials, all with the same options; None where the task has none, or no trial has told its level yet."""
    if task.must_beat is None:
        return None
    card = task.must_beat
    for trial in trials:
        facts = trial.outcome.get("data") or {}
        if card.baseline in facts:
            level = float(facts[card.baseline])
            return Bar(level, float(facts.get(card.on_test or card.baseline, level)), card.perfect, card.margin, card.words)
    return None


def is_unsolved(trial: TrialRecord, bar: Bar, metric: str) -> bool:
    """Whether a trial that ended well does not beat the bar: on test data where it has seen them, else on validation data."""
    if trial.status != Status.COMPLETED or trial.best is None:
        return False
    test = trial.outcome.get("test")
    return not (bar.is_beaten(float(test[metric]), on_test=True) if test else bar.is_beaten(trial.best, on_test=False))


def say_better(counts: Sequence[tuple[str, int, int]], bar: Bar, level: str, *, tested: bool) -> str:
    """A sentence on which cells beat the bar; empty where no trial has ended.

    Args:
        counts: Of each cell how many of its trials beat the bar, and how many there are.
        level: The bar's level in words.
    """
    trials = "fresh seeds" if tested else "search trials"
    unsolved = listed([cell for cell, better, total in counts if total and not better])
    some = listed([f"{cell} ({better} of {total} {trials})" for cell, better, total in counts if better])
    what = f"{level}, which needs no memory ({bar.words})"
    if not unsolved:
        return f"Better than {what}: {some}." if some else ""
    return f"Unsolved by {unsolved}: no better than {what}{f'; better: {some}' if some else ''}."
