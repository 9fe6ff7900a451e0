"""Submissions of a sweep: for each one its script and, beside it, a record of which job of which queue it became."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path

from rnnbench.base.files import write_atomic
from rnnbench.base.home import Home

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Submission:
    """A job that was handed to a queue.

    Attributes:
        kind: slurm, kuberay or ray.
        job: What the queue calls it.
        at: When, with its time zone, in ISO 8601.
        script: The absolute path of what was handed over.
        queue: What else is needed to ask for it: the address of a Ray, a Kubernetes namespace.
    """

    kind: str
    job: str
    at: str
    script: str
    queue: Mapping[str, str] = field(default_factory=dict)

    def record(self) -> Path:
        """Writes the record beside the script, whole or not at all; gives its path."""
        path = Path(self.script).with_suffix(".json")
        write_atomic(path, json.dumps(asdict(self), indent=2) + "\n")
        return path


def new_name(home: Home, sweep: str, kind: str, now: datetime) -> str:
    """A name for the files of a new submission: kind and time, never one that was given before."""
    folder, name = home.submissions(sweep), f"{kind}-{now:%Y%m%d-%H%M%S}"
    taken = {path.name.split(".")[0] for path in folder.glob(f"{name}*")} if folder.is_dir() else set()
    return next(each for each in (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))) if each not in taken)


def list_submissions(home: Home, sweep: str) -> list[Submission]:
    """The submissions of a sweep, oldest first; a record that cannot be read is left out, with a warning."""
    folder = home.submissions(sweep)
    if not folder.is_dir():
        return []
    found = []
    for path in folder.glob("*.json"):
        try:
            found.append(Submission(**json.loads(path.read_text(encoding="utf-8"))))
        except (OSError, ValueError, TypeError) as error:
            log.warning("the record of a submission cannot be read: %s (%s)", path, error)
    return sorted(found, key=lambda one: (one.at, one.job))
