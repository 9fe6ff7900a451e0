"""The pulse of a running trial: at every batch it shows that it lives, and learns whether it is to go on. No torch."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field

from rnnbench.base.errors import TrialInterrupted, TrialTimeout

# Looking for a file costs a system call, more on a network's disk.
LOOK_EVERY_S = 0.2


@dataclass
class Pulse:
    """What a training loop calls between two batches.

    Attributes:
        clock: Monotonic seconds.
        deadline: Reading of the clock at which the trial is over its time.
        stop_file: Asks the trial to stop once it exists.
        alive: Told at most every 0.2 s that the trial lives.
    """

    clock: Callable[[], float]
    deadline: float = math.inf
    stop_file: str | None = None
    alive: Callable[[], None] = lambda: None
    _looked: float = field(default=-math.inf, init=False)

    def beat(self) -> None:
        """Called where the trial's state is whole.

        Raises:
            TrialTimeout: the deadline has passed.
            TrialInterrupted: somebody asked the trial to stop.
        """
        now = self.clock()
        if now > self.deadline:
            raise TrialTimeout("the trial reached budget.max_seconds")
        if now - self._looked < LOOK_EVERY_S:
            return
        self._looked = now
        self.alive()
        if self.stop_file is not None and os.path.exists(self.stop_file):  # noqa: PTH110 - called often
            raise TrialInterrupted("asked to stop")
