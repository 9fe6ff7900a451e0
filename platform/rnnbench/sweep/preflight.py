"""Before a sweep starts: data that nobody has vouched for is read once, as its trials would read it, in a process that may import torch.

That is a person's own data, and files whose bytes are not the published ones: a mistake in them should not be found by trial after trial.
"""

import json
import select
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rnnbench.base.canonical import canonical_json
from rnnbench.base.errors import DataError, RnnbenchError
from rnnbench.base.names import printable
from rnnbench.base.parameters import Value
from rnnbench.search.plan import plan
from rnnbench.sweep.planned import Planned
from rnnbench.task.catalogue import get_task
from rnnbench.task.sources import data_home, differs_from_published
from rnnbench.trial.spec import TrialSpec

# So many combinations of `data.*` and `task.*` options are read; each is another way through the same files.
MAX_READINGS = 5
# Of silence: large files take their time, and only what never ends is given up.
PATIENCE_S = 3600.0


@dataclass(frozen=True)
class Reading:
    """Data as some trials of a sweep read it: which files, and the `data.*` and `task.*` parameters."""

    task: str
    data: str
    fingerprint: str
    parameters: Mapping[str, Value]
    files: Mapping[str, str]

    @classmethod
    def of(cls, spec: TrialSpec, files: Mapping[str, str]) -> "Reading":
        """How a trial reads its data."""
        parameters = {name: value for name, value in spec.parameters.items() if name.startswith(("data.", "task."))}
        return cls(spec.task, spec.data, spec.data_fingerprint, parameters, files)

    def key(self) -> str:
        """The same for readings that give the same data."""
        return canonical_json([self.task, self.data, self.fingerprint, dict(self.parameters)])


def list_readings(planned: Planned, environ: Mapping[str, str], recorded: Iterable[TrialSpec] = ()) -> list[Reading]:
    """The distinct readings of data that should be tried before the sweep starts, in the order of the plan.

    Args:
        recorded: Trials of an earlier call of the sweep; how they read was tried before they were recorded.
    """
    specs: Sequence[TrialSpec] = planned.specs
    if not specs:  # an adaptive search draws while it runs; what it may draw is found by drawing at random
        search = replace(planned.sweep.search, method="random", num_samples=min(MAX_READINGS, planned.sweep.search.num_samples))
        specs = plan(replace(planned.sweep, search=search), planned.fingerprints)
    doubted = doubtful(planned, environ)
    known = {Reading.of(spec, {}).key() for spec in recorded}
    found: dict[str, Reading] = {}
    for spec in specs:
        if (spec.task, spec.data) in doubted:
            reading = Reading.of(spec, planned.files[spec.task, spec.data])
            if reading.key() not in known:
                found.setdefault(reading.key(), reading)
    return list(found.values())


def doubtful(planned: Planned, environ: Mapping[str, str]) -> list[tuple[str, str]]:
    """Task and data set of what nobody has vouched for."""
    home = data_home(environ)
    return [
        (task.name, task.data)
        for task in planned.sweep.tasks
        if task.own is not None or differs_from_published(get_task(task.name), task.data, home)
    ]


def try_readings(readings: Sequence[Reading], told: Callable[[str], None], patience_s: float = PATIENCE_S) -> list[str]:
    """Reads the data, and gives what is odd about it in a line each.

    Args:
        told: Takes what is being read.
    Raises:
        DataError: a trial could not use it.
        RnnbenchError: the task's code failed on it.
    """
    chosen, words = readings[:MAX_READINGS], []
    if len(chosen) < len(readings):
        words.append(f"{len(chosen)} of {len(readings)} combinations of data and task options were tried before the start")
    request = [{"task": one.task, "data": one.data, "files": dict(one.files), "parameters": dict(one.parameters)} for one in chosen]
    with tempfile.TemporaryDirectory() as folder:
        asked, errors = Path(folder) / "request.json", Path(folder) / "errors.txt"
        asked.write_text(json.dumps(request), encoding="utf-8")
        with errors.open("wb") as stream:
            # -P: a person's own random.py in the working folder is none of Python's. Ctrl-C at the terminal is ours to answer.
            # Standard input stays open: the process ends with us.
            command = [sys.executable, "-P", "-m", "rnnbench.task.check", str(asked)]
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stream, bufsize=0, process_group=0)
        with process:
            try:
                for number, reading in enumerate(chosen, 1):
                    told(f"reading {reading.data}{f' ({number} of {len(chosen)})' if len(chosen) > 1 else ''}")
                    line = _next_line(process, reading, patience_s)
                    if not line:
                        raise _died(reading, process.wait(), errors.read_text(encoding="utf-8", errors="replace"))
                    words += [f"{reading.data}: {finding}" for finding in _findings(json.loads(line), reading)]
            finally:
                process.kill()
    return list(dict.fromkeys(words))


def _next_line(process: subprocess.Popen[bytes], reading: Reading, patience_s: float) -> bytes:
    assert process.stdout is not None
    if not select.select([process.stdout], [], [], patience_s)[0]:
        raise DataError(f"{reading.data}: reading it takes more than {patience_s / 60:.3g} minutes; use less of it")
    return process.stdout.readline()


def _findings(answer: Mapping[str, object], reading: Reading) -> list[str]:
    if "problem" in answer:
        raise DataError(str(answer["problem"]))
    if "crash" in answer:
        crash = str(answer["crash"]).rstrip()
        last = crash.rpartition("\n")[2]
        raise RnnbenchError(f"{reading.data}: the code of task '{reading.task}' failed on it: {last}\n{crash}")
    contents = answer["contents"]
    assert isinstance(contents, dict), "written by task/check.py"
    return list(contents["findings"])


def _died(reading: Reading, code: int, errors: str) -> RnnbenchError:
    if code < 0:
        return DataError(
            f"{reading.data}: the process that read it was killed (signal {-code}); most likely it needs more memory than there is"
        )
    last = errors.rstrip().rpartition("\n")[2]
    return RnnbenchError(f"{reading.data}: the process that read it ended with {code}: {printable(last, 300)}")
