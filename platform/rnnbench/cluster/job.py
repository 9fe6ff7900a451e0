"""What a job runs: the sweep command, the same whatever scheduler starts it."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rnnbench.base.errors import InputError
from rnnbench.base.home import Home
from rnnbench.base.secrets import redact


@dataclass(frozen=True)
class SweepJob:
    """A valid sweep as it is handed to a cluster.

    Attributes:
        sweep: Its name, safe as a file's name.
        file: The absolute path of its file.
        text: The file's content.
        home: The results folder of the machine that submits, with the store of its checkpoints.
        overrides: Of `--set`.
        cpus: CPUs of one trial, all its workers counted.
        gpus: GPUs of one trial, likewise; below 1 where several trials share one.
        at_once: Most trials at once; None where the file sets no limit.
    """

    sweep: str
    file: Path
    text: str
    home: Home
    overrides: Sequence[str] = ()
    num_samples: int | None = None
    db: str | None = None
    tracking_uri: str | None = None
    cpus: int = 1
    gpus: float = 0.0
    at_once: int | None = None

    def check(self) -> None:
        """Refuses passwords that would stand in a job's script and in lists of processes.

        Raises:
            InputError: an address holds one; the text says where else it goes.
        """
        if self.db is not None and redact(self.db, {}) != self.db:
            raise InputError(
                "--db holds a password, which would stand in the job's script: leave it out of the address and put it into ~/.pgpass"
            )
        if self.tracking_uri is not None and redact(self.tracking_uri, {}) != self.tracking_uri:
            raise InputError(
                "--tracking-uri holds a password, which would stand in the job's script: leave it out of the address and set "
                "MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            )

    def of_node(self, nodes: int, cpus: int | None, gpus: int | None) -> tuple[int, int]:
        """CPUs and GPUs of each node: what was asked for, else those of the trials that run at once on it, of one at least.

        Raises:
            InputError: a trial, which never leaves its node, needs more; the text says what.
        """
        trials = math.ceil((self.at_once or 1) / nodes)
        for option, asked, needed in (("--cpus-per-node", cpus, self.cpus), ("--gpus-per-node", gpus, math.ceil(self.gpus))):
            if asked is not None and asked < needed:
                raise InputError(
                    f"{option} is {asked}, and a trial takes {needed} of one node (resources in {self.file.name}); ask for more"
                )
        # A third three times is the whole, whatever floats say.
        return cpus or self.cpus * trials, math.ceil(self.gpus * trials - 1e-9) if gpus is None else gpus

    def arguments(self, file: str, home: str, *more: str) -> list[str]:
        """The words of `rnnbench sweep` for a job that finds the file and the results folder at these places."""
        words = ["rnnbench", "sweep", file, "--name", self.sweep]
        for change in self.overrides:
            words += ["--set", change]
        if self.num_samples is not None:
            words += ["--num-samples", str(self.num_samples)]
        if self.db is not None:
            words += ["--db", self.db]
        if self.tracking_uri is not None:
            words += ["--tracking-uri", self.tracking_uri]
        if self.home.store_address is not None:
            words += ["--checkpoints", self.home.store_address]
        return [*words, "--home", home, *more]
