"""Teacher forcing and its schedule: how often the decoder reads the reference, and how often what it has written itself.

Source: Bengio et al. 2015, arXiv:1506.03099 (scheduled sampling: a coin for each token, linear and inverse sigmoid decay).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from rnnbench.base.parameters import Value
from rnnbench_tasks.machine_translation.values import number, whole

# Where the inverse sigmoid decay begins and ends on the sigmoid.
_STEEPNESS = 6.0


@dataclass(frozen=True)
class Forcing:
    """Shares of the target inputs that are the reference.

    Attributes:
        start: In the first epoch.
        schedule: constant, linear or sigmoid.
        end: After `epochs` epochs and from then on.
    """

    start: float = 1.0
    schedule: str = "constant"
    end: float = 1.0
    epochs: int = 1

    @classmethod
    def of(cls, parameters: Mapping[str, Value]) -> "Forcing":
        """From the `task.*` parameters; those of a schedule that is not chosen may be missing."""
        start, schedule = number(parameters, "task.teacher_forcing"), str(parameters["task.forcing_schedule"])
        if schedule == "constant":
            return cls(start)
        return cls(start, schedule, number(parameters, "task.forcing_end"), whole(parameters, "task.forcing_epochs"))

    def share(self, epoch: int) -> float:
        """The share in an epoch, from 1."""
        if self.schedule == "constant":
            return self.start
        done = min(1.0, (epoch - 1) / self.epochs)
        if self.schedule == "sigmoid":
            low, high = _logistic(-_STEEPNESS), _logistic(_STEEPNESS)
            done = (_logistic(_STEEPNESS * (2 * done - 1)) - low) / (high - low)
        return self.start + (self.end - self.start) * done


def _logistic(x: float) -> float:
    return 1 / (1 + math.exp(-x))
