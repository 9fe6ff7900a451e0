"""What one trial is, as plain data, and the key that this determines. No torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Literal

from rnnbench.base.canonical import Plain, digest
from rnnbench.base.parameters import Value
from rnnbench.task.catalogue import question_of
from rnnbench.trial.sizes import can_pad, padded_size

# Raised by hand when the training loop changes what a trial computes (the golden tests notice).
LOOP_VERSION = 3

_NOISE = ("network.input_noise", "network.dropout", "network.recurrent_dropout", "network.zoneout", "network.weight_drop")

Stage = Literal["search", "confirm"]
# Task, data set and cell: searched and compared within itself, never across.
Lane = tuple[str, str, str]
# Task, data set, and what is asked of it: whatever answers the same one is comparable.
Question = tuple[str, str, tuple[tuple[str, Value], ...]]
# Bytes of the data, and versions of the task, the cell and the loop.
Foundation = tuple[str, int, int, int]


@dataclass(frozen=True)
class Budget:
    """How long a trial may train.

    Attributes:
        max_epochs: At least 1.
        patience: Epochs without a better validation metric before stopping; None trains all epochs.
    """

    max_epochs: int = 10
    patience: int | None = None


@dataclass(frozen=True)
class TrialSpec:
    """Everything that determines a trial's numbers (hashed), and where it stands in its sweep (not hashed).

    Attributes:
        data: Name of the task's data set; `data_fingerprint` says which bytes.
        parameters: Every resolved parameter of all namespaces, by full dotted name.
        seed: Root of the trial's streams: data order, initial weights, dropout.
        scheduler: The scheduler that may stop the trial early, every setting of it; None trains to the end of the budget.
        draw: Number of the draw (or grid point) that gave the parameters; not hashed.
        replicate: Which repetition of the same parameters; not hashed (the seed differs).
    """

    stage: Stage
    task: str
    task_version: int
    data: str
    data_fingerprint: str
    cell: str
    cell_version: int
    parameters: Mapping[str, Value]
    seed: int
    budget: Budget = field(default_factory=Budget)
    loop_version: int = LOOP_VERSION
    scheduler: Mapping[str, Plain] | None = None
    draw: int = 0
    replicate: int = 0

    @property
    def lane(self) -> Lane:
        """Which search it belongs to."""
        return self.task, self.data, self.cell

    @property
    def foundation(self) -> Foundation:
        """What it is made of besides its parameters."""
        return self.data_fingerprint, self.task_version, self.cell_version, self.loop_version

    @property
    def question(self) -> Question:
        """What it answers, see `question_of`."""
        return self.task, self.data, question_of(self.task, self.parameters)

    def key(self) -> str:
        """sha256 of what determines the result, 64 hexadecimal digits."""
        return digest(self._identity())

    def group_key(self) -> str:
        """The key without its seed: equal for replicates of one configuration."""
        identity = self._identity()
        del identity["seed"]
        return digest(identity)

    def shape(self) -> str:
        """Equal for trials that can be trained together.

        They differ in optimiser, schedule, clipping, shares of noise, or seed alone, or in units by so little that padding costs little.
        """
        shape = self._identity()
        del shape["seed"], shape["budget"]
        shape.pop("scheduler", None)
        shape["parameters"] = {
            name: bool(value) if name in _NOISE else value
            for name, value in self.parameters.items()
            if not name.startswith(("optimizer.", "training.")) or name in ("training.batch_size", "training.precision")
        }
        units = self.parameters.get("network.hidden_size")
        if isinstance(units, int) and can_pad(self.cell, self.parameters):
            shape["parameters"]["network.hidden_size"] = padded_size(units)
        return digest(shape)

    def to_dict(self) -> dict[str, Plain]:
        """Plain data, for a process border or the ledger; `from_dict` reads it back."""
        return asdict(replace(self, parameters=dict(self.parameters)))

    @classmethod
    def from_dict(cls, plain: Mapping[str, Plain]) -> "TrialSpec":
        """The spec that `to_dict` wrote."""
        return cls(**{**plain, "budget": Budget(**plain["budget"])})

    def _identity(self) -> dict[str, Plain]:
        identity = self.to_dict()
        del identity["draw"], identity["replicate"]
        if self.scheduler is None:
            del identity["scheduler"]  # trials that train to the end have the keys they had before there were schedulers
        return identity
