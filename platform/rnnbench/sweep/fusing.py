"""How many trials of one shape train together in one process: as many as the first such process found faster than one by one."""

import logging
import math
from collections.abc import Callable, Mapping
from typing import Any

from rnnbench.base.machine import available_bytes
from rnnbench.cells.entry import BPTT
from rnnbench.cells.table import get_cell
from rnnbench.trial.job import Fuse
from rnnbench.trial.parameters import PRECISION
from rnnbench.trial.spec import TrialSpec

log = logging.getLogger(__name__)

MAX_TOGETHER = 16
# While a shape is unknown: enough to see what is gained, few enough to lose little where nothing is.
FIRST_TOGETHER = 8
# Of the memory that is free, for all processes together.
MEMORY_SHARE = 0.5


class Fusing:
    """Says how many trials train together, and why.

    Args:
        fuse: `always` and `never` need no probe.
        concurrent: Processes that trials are spread over.
        say: Takes each reason, one line.
    """

    def __init__(self, fuse: Fuse = "never", concurrent: int = 1, say: Callable[[str], None] = log.info) -> None:
        self.fuse: Fuse = fuse
        self.concurrent = concurrent
        self.say = say
        self._found: dict[str, Mapping[str, Any]] = {}

    def may_fuse(self, spec: TrialSpec) -> bool:
        """Whether trials like this may train together: what torch computes in one call gains nothing, and only float32 is fused."""
        if spec.parameters.get(PRECISION, "float32") != "float32":
            return False
        return self.fuse == "always" or (self.fuse == "auto" and goes_step_by_step(spec))

    def how(self, spec: TrialSpec, number: int) -> Fuse:
        """How a worker runs so many trials of this one's shape: always together, never, or as it finds out (auto)."""
        if not self.may_fuse(spec) or (self.fuse == "auto" and self.number(spec, number) == 1):
            return "never"
        return "always" if self.fuse == "always" or spec.shape() in self._found else "auto"

    def number(self, spec: TrialSpec, waiting: int) -> int:
        """How many of the waiting trials of this one's shape go into one process, this one counted."""
        fair = min(MAX_TOGETHER, math.ceil(waiting / self.concurrent))
        if fair < 2 or not self.may_fuse(spec):
            return 1
        if self.fuse == "always":
            return fair
        found = self._found.get(spec.shape())
        return min(fair, FIRST_TOGETHER if found is None else _limit(found, self.concurrent))

    def learn(self, spec: TrialSpec, found: Mapping[str, Any]) -> None:
        """Takes what a process found out about this shape: see `trial.probe.measure`."""
        if spec.shape() in self._found:
            return
        self._found[spec.shape()] = found
        size, batch_size = spec.parameters.get("network.hidden_size", "?"), spec.parameters["training.batch_size"]
        limit = _limit(found, self.concurrent)
        how = "one by one" if limit == 1 else f"up to {limit} at once in one process"
        times = f"{1e3 * found['single_s']:.2g} ms a batch alone, {1e3 * found['fused_s']:.2g} ms as one of {found['number']}"
        self.say(f"{spec.task} ({spec.data}), {spec.cell} ({size} units, batch {batch_size}) trains {how}: {times}")


def goes_step_by_step(spec: TrialSpec) -> bool:
    """Whether the network has calls of its own for every step, so that several in one call save time."""
    is_noisy = any(spec.parameters.get(name) for name in ("network.recurrent_dropout", "network.zoneout"))
    return BPTT in get_cell(spec.cell).fast_form or is_noisy


def _limit(found: Mapping[str, Any], concurrent: int) -> int:
    """Trials that fit into one of so many processes; 1 where together is not faster."""
    if not found["worthwhile"]:
        return 1
    return max(1, min(MAX_TOGETHER, int(MEMORY_SHARE * available_bytes() / concurrent / max(1, found["bytes_each"]))))
