"""Drawing the slots of an adaptive search from what the ledger holds; each draw is recorded with what it was made from."""

import statistics
from collections.abc import Iterable, Mapping, Sequence

from rnnbench.base.canonical import Plain
from rnnbench.ledger.records import FINAL, SlotRecord, Status, TrialRecord
from rnnbench.search.adaptive import Observation, draw_slot
from rnnbench.search.plan import Drawn, trials_at
from rnnbench.search.space import full_parameters
from rnnbench.sweep.planned import Planned
from rnnbench.trial.spec import TrialSpec


def draw(planned: Planned, slot: SlotRecord, trials: Iterable[TrialRecord], sign: float) -> tuple[list[TrialSpec], dict[str, Plain]]:
    """The trials of a slot, and the evidence from which `redraw` makes them again.

    Args:
        trials: Of the sweep so far.
        sign: 1.0 where the task's metric is better when lower, else -1.0.
    """
    evidence = {"seen": _seen(slot, trials, sign)}
    return redraw(planned, slot, evidence), evidence


def redraw(planned: Planned, slot: SlotRecord, evidence: Mapping[str, Plain]) -> list[TrialSpec]:
    """The trials that a slot gets from recorded evidence: always the same."""
    sweep = planned.sweep
    task = sweep.get_choice(slot.task, slot.data)
    told = [(one["draw"], full_parameters(slot.task, slot.cell, one["parameters"]), one["value"]) for one in evidence["seen"]]
    seen = [Observation(draw, parameters, _number(value)) for draw, parameters, value in told]
    point = Drawn(slot.draw, draw_slot(sweep, task, slot.cell, slot.draw, seen))
    return trials_at(sweep, task, slot.cell, point, slot.draw, planned.fingerprints[task.name, task.data])


def _seen(slot: SlotRecord, trials: Iterable[TrialRecord], sign: float) -> list[dict[str, Plain]]:
    groups: dict[int, list[TrialRecord]] = {}
    for trial in trials:
        if trial.lane == slot.lane and trial.stage == "search":
            groups.setdefault(trial.spec.draw, []).append(trial)
    return [
        {"draw": number, "parameters": dict(group[0].spec.parameters), "value": _value(group, sign)}
        for number, group in sorted(groups.items())
    ]


def _value(replicates: Sequence[TrialRecord], sign: float) -> float | str | None:
    """Mean over the replicates, lower is better; None while one runs, `inf` where one has no result."""
    if any(trial.status not in FINAL for trial in replicates):
        return None
    values = [trial.best for trial in replicates if trial.status == Status.COMPLETED and trial.best is not None]
    return sign * statistics.fmean(values) if len(values) == len(replicates) else "inf"


def _number(value: float | str | None) -> float | None:
    return None if value is None else float(value)
