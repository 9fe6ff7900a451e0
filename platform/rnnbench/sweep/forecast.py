"""What a sweep will take on this machine, before it starts: some batches of a sample of its trials, as many at once as would run."""

import json
import multiprocessing
import os
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

from rnnbench.base.canonical import canonical_json
from rnnbench.base.files import write_atomic
from rnnbench.base.home import Home
from rnnbench.search.plan import plan
from rnnbench.sweep.fusing import FIRST_TOGETHER, Fusing
from rnnbench.sweep.gpus import VISIBLE
from rnnbench.sweep.planned import Planned
from rnnbench.trial.door import cost_of
from rnnbench.trial.job import Cost
from rnnbench.trial.spec import Lane, TrialSpec

# Trials of each task and cell that are probed, spread evenly over the plan.
SAMPLE = 6
# A sweep's first imports, and its report.
START_S = 8.0
# What the ledger keeps: of a trial, and of each of its epochs.
TRIAL_BYTES, EPOCH_BYTES = 4_000, 300


@dataclass(frozen=True)
class CellForecast:
    """What the trials of one task and cell take; seconds and bytes of one are means over the sample.

    Attributes:
        trials: Planned, confirmation included; `epochs` of each, at most.
        sampled: How many were probed.
        epoch_s: Seconds of an epoch; `trial_s` of a whole trial that uses all its epochs.
        together: Trials in one process, the most that the sample had.
        memory_bytes: The most that a process needs; `gpu_bytes` of a GPU's memory.
        disk_bytes: What all trials leave behind.
    """

    task: str
    data: str
    cell: str
    trials: int
    epochs: int
    sampled: int
    epoch_s: float
    trial_s: float
    together: int
    memory_bytes: int
    disk_bytes: int
    gpu_bytes: int = 0


@dataclass(frozen=True)
class Forecast:
    """What a sweep takes at most: with its patience or a scheduler it ends earlier.

    Attributes:
        settings: The sweep's, as canonical JSON: a forecast holds for them alone.
        seconds: Wall clock; `memory_bytes` of all processes at once; `disk_bytes` at the busiest moment.
        gpu_bytes: Of the memory of the GPU that most trials share, which has `gpu_size_bytes`; 0 where none is used.
        unknown: What it cannot know, each in words that follow "not known: ".
    """

    settings: str
    concurrent: int
    seconds: float
    memory_bytes: int
    disk_bytes: int
    cells: Sequence[CellForecast]
    gpu_bytes: int = 0
    gpu_size_bytes: int = 0
    unknown: Sequence[str] = ()


def forecast(
    planned: Planned,
    concurrent: int,
    told: Callable[[int, int], None] = lambda done, total: None,
    *,
    places: Sequence[str] = (),
    elsewhere: bool = False,
) -> Forecast:
    """Probes a sample of a sweep's trials, so many at once, each with all its workers.

    Args:
        told: Takes how many of how many probes are done.
        places: The GPUs of each trial that runs at once, see `sweep.gpus.deal`; none where trials take none.
        elsewhere: Whether the sweep is to run on other machines than this one, which is measured.
    Raises:
        DataError: the data cannot be used.
    """
    concurrent = min(concurrent, len(places) or concurrent)
    sweep = planned.sweep
    specs = list(planned.specs) or plan(replace(sweep, search=replace(sweep.search, method="random")), planned.fingerprints)
    lanes: dict[Lane, list[TrialSpec]] = {}
    for spec in specs:
        lanes.setdefault(spec.lane, []).append(spec)
    fusing = Fusing(sweep.resources.fuse, concurrent)
    probes = {lane: [_jobs(spec, of_lane, planned, fusing) for spec in _spread(of_lane, SAMPLE)] for lane, of_lane in lanes.items()}
    total, done = sum(map(len, probes.values())), 0
    costs: dict[Lane, list[Cost]] = {lane: [] for lane in lanes}
    # Fresh processes: what they hold is what a worker would hold. Side by side: they share the machine as trials would.
    spawning = multiprocessing.get_context("spawn")
    free: SimpleQueue[str | None] = spawning.SimpleQueue()
    for number in range(concurrent):
        free.put(places[number] if places else None)
    with ProcessPoolExecutor(min(concurrent, total), spawning, _take_place, (free,)) as pool:
        waiting = [(lane, pool.submit(cost_of, jobs)) for lane, of_lane in probes.items() for jobs in of_lane]
        for lane, future in waiting:
            costs[lane].append(future.result())
            done += 1
            told(done, total)
    confirmed = sweep.confirm.top_k * sweep.confirm.seeds if sweep.confirm else 0
    cells = [_of_cell(lane, len(lanes[lane]) + confirmed, sweep.budget.max_epochs, found) for lane, found in costs.items()]
    every = [cost for found in costs.values() for cost in found]
    running = concurrent * max(cost.running_bytes * cost.together for cost in every)
    return Forecast(
        settings=canonical_json(sweep.settings()),
        concurrent=concurrent,
        seconds=START_S + sum(cell.trials * cell.trial_s for cell in cells) / concurrent,
        memory_bytes=concurrent * sweep.resources.workers * max(cell.memory_bytes for cell in cells),
        disk_bytes=running + sum(cell.disk_bytes for cell in cells),
        cells=cells,
        gpu_bytes=max(Counter(places).values(), default=0) * max(cell.gpu_bytes for cell in cells),
        gpu_size_bytes=min(cost.gpu_size_bytes for cost in every),
        unknown=_list_unknown(planned, elsewhere=elsewhere),
    )


def _list_unknown(planned: Planned, *, elsewhere: bool) -> list[str]:
    sweep = planned.sweep
    words = ["how fast other machines are, and how many trials they run at once: this one was measured"] if elsewhere else []
    if planned.slots:
        words.append(f"what {sweep.search.method} will draw: trials drawn at random were measured")
    if sweep.scheduler or sweep.budget.patience is not None:
        words.append("how early trials end: every one is counted with all its epochs")
    if sweep.confirm:
        words.append("which trials win: those of the confirmation are counted like the others")
    if sweep.resources.gpus:
        words.append("what a GPU's driver takes of its memory, some hundred MB for each process")
    return words


def _take_place(free: SimpleQueue[str | None]) -> None:
    """In a fresh process, before torch looks for GPUs."""
    if (place := free.get()) is not None:
        os.environ[VISIBLE] = place


def save(found: Forecast, home: Home, name: str) -> None:
    """Keeps a forecast for the sweep's report."""
    write_atomic(_path(home, name), json.dumps(asdict(found), indent=1) + "\n")


def find(home: Home, name: str, settings: Mapping[str, Any]) -> dict[str, Any] | None:
    """The forecast that was made of a sweep with these settings, as plain data; None: of none."""
    try:
        found: dict[str, Any] = json.loads(_path(home, name).read_text())
        return found if found["settings"] == canonical_json(settings) else None
    except (OSError, ValueError, LookupError, TypeError):
        return None


def _path(home: Home, name: str) -> Path:
    return home.path / "forecasts" / f"{name}.json"


def _spread(specs: Sequence[TrialSpec], number: int) -> list[TrialSpec]:
    number = min(number, len(specs))
    return [specs[place * len(specs) // number] for place in range(number)]


def _jobs(spec: TrialSpec, lane: Sequence[TrialSpec], planned: Planned, fusing: Fusing) -> list[dict[str, Any]]:
    """The job of a trial, and of those that could train together with it."""
    mates = [other for other in lane if other is not spec and other.shape() == spec.shape()] if fusing.may_fuse(spec) else []
    number = min(FIRST_TOGETHER, fusing.number(spec, len(mates) + 1))
    how = fusing.how(spec, len(mates) + 1)
    return [replace(planned.job(one), fuse=how).to_dict() for one in [spec, *mates[: number - 1]]]


def _of_cell(lane: Lane, trials: int, epochs: int, costs: Sequence[Cost]) -> CellForecast:
    epoch_s = statistics.fmean(cost.epoch_s for cost in costs)
    left = statistics.fmean(cost.disk_bytes for cost in costs) + TRIAL_BYTES + EPOCH_BYTES * epochs
    return CellForecast(
        *lane,
        trials=trials,
        epochs=epochs,
        sampled=len(costs),
        epoch_s=epoch_s,
        trial_s=statistics.fmean(cost.start_s for cost in costs) + epochs * epoch_s,
        together=max(cost.together for cost in costs),
        memory_bytes=max(cost.memory_bytes for cost in costs),
        disk_bytes=round(trials * left),
        gpu_bytes=max(cost.gpu_bytes for cost in costs),
    )
