"""What a runner knows of its sweep: read from the ledger, followed by what it does, and by what others are seen to have done."""

from collections.abc import Callable, Iterable

from rnnbench.base.home import Home
from rnnbench.base.machine import return_freed_memory
from rnnbench.ledger.records import DecisionRecord, Status, TrialRecord
from rnnbench.ledger.store import Ledger
from rnnbench.search.plan import Scored, num_points, plan_confirm
from rnnbench.sweep.init_from import source_keys
from rnnbench.sweep.keeping import Keeping
from rnnbench.sweep.mates import Mates
from rnnbench.sweep.planned import Planned
from rnnbench.sweep.rungs import Rungs
from rnnbench.sweep.scoreboard import Scoreboard
from rnnbench.task.catalogue import get_task, is_maximized
from rnnbench.trial.spec import Question, Stage, TrialSpec


class View:
    """One sweep as it stands, in the forms in which it is asked for.

    Args:
        may_fuse: Whether a trial may train together with others at all.

    Attributes:
        undrawn: Slots of an adaptive search that have no trials yet.
        decided: Number of the last decision of a scheduler that `rungs` knows.
    """

    def __init__(self, ledger: Ledger, planned: Planned, home: Home, may_fuse: Callable[[TrialSpec], bool]) -> None:
        self._ledger = ledger
        self._planned = planned
        self._sweep = planned.sweep
        self._home = home
        self._may_fuse = may_fuse
        self.read()

    def forget(self) -> None:
        """Lets go of every trial: the ledger has them all, and whoever reads them next needs the room."""
        self.board, self.mates = Scoreboard(()), Mates(self._may_fuse)
        self.rungs: Rungs | None = None
        self.decided = 0
        self._keeping = Keeping(self._home, self._sweep.checkpoints, self._is_needed)
        # The first trial of each stage of each question to each data set, with its place in the plan.
        self._firsts: dict[tuple[Stage, Question], tuple[int, str]] = {}
        return_freed_memory()

    def read(self) -> None:
        """Reads all of it anew."""
        name = self._sweep.name
        self.forget()
        self.undrawn = [slot for slot in self._ledger.slots(name) if not slot.drawn]
        self.board = Scoreboard((), self.undrawn, self._sweep.replicates)
        if self._sweep.scheduler:
            total = num_points(self._sweep.search, self._sweep.space) if self._planned.slots else None
            self.rungs = Rungs(self._sweep.scheduler, self._sweep.budget.max_epochs, total, _signed_metric)
        trials = self._ledger.trials(name)
        self.add(trials)
        self.read_curves(trials)
        if self.rungs:
            self.note_decisions(self._ledger.decisions(name))

    def add(self, trials: Iterable[TrialRecord]) -> None:
        """Takes new or changed trials."""
        trials = list(trials)
        for trial in trials:
            if trial.key not in self.board.trials:
                question = (trial.spec.stage, trial.spec.question)
                place = (trial.position, trial.key)
                self._firsts[question] = min(place, self._firsts.get(question, place))
        self.board.add(trials)
        self._keeping.add(trials)
        self.mates.add(trials)
        if self.rungs:
            self.rungs.add(trials)

    def read_curves(self, trials: Iterable[TrialRecord]) -> None:
        """Reads the epochs of trials that have trained outside of this process."""
        if self.rungs:
            self.rungs.add_epochs(self._ledger.epochs([trial.key for trial in trials if trial.attempts]))

    def note_decisions(self, decisions: list[DecisionRecord]) -> None:
        """Takes a scheduler's decisions, whoever made them."""
        if self.rungs and decisions:
            self.rungs.add_decisions(decisions)
            self.decided = decisions[-1].id

    def catch_up(self) -> bool:
        """Reads what others have done since; says whether that was anything."""
        name, known = self._sweep.name, self.board.trials
        keys = [key for key in self._ledger.keys(name) if key not in known or key in self.board.open]
        trials = sorted(self._ledger.trials(name, keys), key=lambda trial: trial.position)
        fresh = [trial for trial in trials if trial.key not in known or _standing(trial) != _standing(known[trial.key])]
        left = set(self._ledger.undrawn(name)) if self.undrawn else set()
        drawn = [slot for slot in self.undrawn if slot.position not in left]
        for slot in drawn:
            self.board.draw(slot)
        self.undrawn = [slot for slot in self.undrawn if slot.position in left]
        self.add(fresh)
        if self.rungs:
            self.read_curves(fresh)
            self.note_decisions(self._ledger.decisions(name, self.decided))
        return bool(fresh or drawn)

    def computes_baselines(self, trial: TrialRecord) -> bool:
        """Whether a trial is the one of its stage that does so for its question to its data set."""
        return (trial.position, trial.key) in self._firsts.values()

    def confirmation(self) -> list[TrialSpec]:
        """The confirmation trials that the results so far call for and that are not planned yet."""
        trials = sorted(self.board.trials.values(), key=lambda trial: trial.position)
        if self._sweep.confirm is None or any(trial.status == Status.CANCELLED for trial in trials):
            return []
        scored = [
            Scored(trial.spec, trial.best)
            for trial in trials
            if trial.status == Status.COMPLETED and trial.spec.stage == "search" and trial.best is not None
        ]
        directions = {task.name: get_task(task.name).metric.direction for task in self._sweep.tasks}
        return [spec for spec in plan_confirm(self._sweep, scored, directions) if spec.key() not in self.board.trials]

    def is_complete(self) -> bool:
        """Whether every planned trial has ended and nothing is still to be drawn or confirmed."""
        return not self.board.open and not self.undrawn and not self.confirmation()

    def _is_needed(self, key: str) -> bool:
        """Whether the model of a trial of this sweep may be needed outside of it."""
        return len(self._ledger.holders(key)) > 1 or key in source_keys(self._ledger)


def _standing(trial: TrialRecord) -> tuple[object, ...]:
    return trial.status, trial.attempts, trial.failures, trial.rung, trial.holder, trial.best


def _signed_metric(task: str) -> tuple[str, float]:
    return get_task(task).metric.name, 1.0 if is_maximized(task) else -1.0
