"""What a job runs: the sweep command, the same whatever scheduler starts it."""

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
        home: The results folder of the machine that submits.
        overrides: Of `--set`.
        cpus: CPUs of one trial.
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
        return [*words, "--home", home, *more]
