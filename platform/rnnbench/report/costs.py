"""What trials cost: seconds, which are compared on one machine only, FLOPs, and memory with whose it is."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from rnnbench.ledger.records import TrialRecord

Cost = Callable[[TrialRecord], float | None]


@dataclass(frozen=True)
class Memory:
    """The median of trials' peaks of memory, in bytes.

    Attributes:
        at_most: Some shared their process with others, which is counted in, or are sums over processes with a peak each.
    """

    size_bytes: float
    at_most: bool


def machine_of(trial: TrialRecord) -> str:
    """What a trial's seconds depend on beside the trial: its GPU or processor, and the number of threads."""
    outcome = trial.outcome
    device = str(outcome.get("device") or "cpu")
    where = str(outcome.get("processor") or "an unknown processor") if device == "cpu" else device
    threads = outcome.get("threads") or 1
    return where if threads == 1 else f"{where} with {threads} threads"


def find_machines(trials: Iterable[TrialRecord]) -> tuple[str, ...]:
    """The different ones of some trials, by name."""
    return tuple(sorted({machine_of(trial) for trial in trials}))


def seconds_of(trial: TrialRecord) -> float | None:
    """Its wall clock; of trials that trained together each one's share."""
    return trial.wall_s


def flops_of(trial: TrialRecord) -> float | None:
    """FLOPs of its training, see `trial.flops`; None for one that an earlier version ran."""
    flops = trial.outcome.get("train_flops")
    return float(flops) if isinstance(flops, int | float) else None


@dataclass(frozen=True)
class Latency:
    """Milliseconds of a sequence, see `trial.latency`: medians over trials.

    Attributes:
        one_ms, batch_ms: One at a time, and in batches of `batch`.
        steps: Of a sequence.
    """

    one_ms: float
    batch_ms: float
    batch: int
    steps: int
    machine: str


def find_latency(trials: Sequence[TrialRecord]) -> Latency | None:
    """Of a winner's seeds; None where one was not measured, or elsewhere than the others."""
    found = [trial.outcome.get("latency") for trial in trials]
    # It is the processor's, wherever the trial has trained.
    machines = {machine_of(replace(trial, outcome={**trial.outcome, "device": "cpu"})) for trial in trials}
    if not found or None in found or len(machines) > 1:
        return None
    one_ms, batch_ms = (statistics.median(float(one[name]) for one in found if one) for name in ("one_ms", "batch_ms"))
    first = found[0] or {}
    return Latency(one_ms, batch_ms, int(first["batch"]), int(first["steps"]), *machines)


def find_costs(trials: Sequence[TrialRecord], cost: Cost) -> list[float]:
    """What each of the trials cost; empty where that is not known of all."""
    found = [one for trial in trials if (one := cost(trial)) is not None]
    return found if len(found) == len(trials) else []


def median_of(trials: Sequence[TrialRecord], cost: Cost) -> float | None:
    """The median of what they cost; None where that is not known of all."""
    found = find_costs(trials, cost)
    return statistics.median(found) if found else None


def find_memory(trials: Sequence[TrialRecord], name: str = "peak_memory_bytes") -> Memory | None:
    """The median of their peaks, `name` also peak_gpu_bytes; None where one has none, or others of its processes have theirs beside it."""
    sizes = find_costs(trials, lambda trial: trial.outcome.get(name))
    whose = {trial.outcome.get("peak_memory_of") for trial in trials}
    return Memory(statistics.median(sizes), whose != {"trial"}) if sizes and "rank" not in whose else None
