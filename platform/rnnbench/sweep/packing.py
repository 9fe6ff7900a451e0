"""How many short trials go to a worker at once, to run one after the other: a trip to a worker and back costs as much as some of them."""

import math
from collections import deque
from statistics import fmean

from rnnbench.trial.spec import Lane, TrialSpec

# A pack lasts about so long: much longer than the trip, much shorter than anybody waits for a scheduler's decision.
PACK_S = 3.0
MAX_PACK = 64
# The last trials that tell how long the next ones take.
REMEMBERED = 16


class Packing:
    """Learns how long trials take and sizes the packs.

    Args:
        concurrent: Workers that what waits is shared among.
    """

    def __init__(self, concurrent: int) -> None:
        self.concurrent = concurrent
        self._seconds: dict[Lane, deque[float]] = {}

    def learn(self, spec: TrialSpec, seconds: float) -> None:
        """Takes how long a trial took."""
        self._seconds.setdefault(spec.lane, deque(maxlen=REMEMBERED)).append(seconds)

    def number(self, spec: TrialSpec, waiting: int) -> int:
        """How many of the waiting trials of its lane go together with this one, itself counted.

        Never more than half of a worker's share of what waits, so that all workers end at about the same time.
        """
        seconds = self._seconds.get(spec.lane)
        if not seconds:
            return 1
        share = math.ceil(waiting / (2 * self.concurrent))
        return max(1, min(share, MAX_PACK, int(PACK_S / max(1e-3, fmean(seconds)))))
