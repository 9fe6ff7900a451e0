"""A sweep that is ready to run: its file valid, its data found, its trials planned; nothing has started."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

from rnnbench.base.errors import DataError, SweepFileError
from rnnbench.cells.own import get_source
from rnnbench.cells.table import get_cell
from rnnbench.ledger.records import SweepRecord
from rnnbench.search.plan import Slot, plan, plan_slots
from rnnbench.search.sweepfile import SweepFile
from rnnbench.sweep.environment import environment, utc_now
from rnnbench.task.catalogue import get_task
from rnnbench.task.sources import data_home, differs_from_published, fingerprint, locate
from rnnbench.trial.job import Job
from rnnbench.trial.spec import LOOP_VERSION, Foundation, Lane, TrialSpec

if TYPE_CHECKING:
    # Only named here: a bad sweep file is refused before the database's library is loaded.
    from rnnbench.ledger.store import Ledger

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Planned:
    """A sweep with its search trials.

    Attributes:
        files: Absolute data files by (task, data set) and file name.
        fingerprints: Of the data by (task, data set).
        specs: The search trials; none where the search is adaptive.
        slots: Of an adaptive search.
    """

    sweep: SweepFile
    files: Mapping[tuple[str, str], Mapping[str, str]]
    fingerprints: Mapping[tuple[str, str], str]
    specs: Sequence[TrialSpec]
    slots: Sequence[Slot]

    def job(self, spec: TrialSpec) -> Job:
        """What a worker needs for one of its trials, in no folder and without limits; `dataclasses.replace` gives it those."""
        own = get_source(spec.cell)
        files = self.files[spec.task, spec.data]
        resources, own_cell = self.sweep.resources, asdict(own) if own else None
        job = Job(spec.key(), 1, spec, files, "", threads=resources.cpus, own_cell=own_cell)
        return replace(job, workers=resources.workers, gpus=resources.gpus)

    def foundations(self) -> dict[Lane, Foundation]:
        """What the trials of each lane are made of besides their parameters."""
        return {
            (task.name, task.data, cell): (
                self.fingerprints[task.name, task.data], get_task(task.name).version, get_cell(cell).version, LOOP_VERSION
            )
            for task in self.sweep.tasks
            for cell in self.sweep.cells
        }  # fmt: skip

    def record(self, ledger: "Ledger", arguments: Sequence[str]) -> "Planned":
        """Puts the sweep and all its trials into the ledger; the same again changes nothing.

        Args:
            arguments: The command line, for the report.
        Returns:
            The same without its trials, which need not be held twice.
        Raises:
            PlanChangedError: a sweep of that name has another plan.
        """
        sweep = self.sweep
        record = SweepRecord(sweep.name, str(sweep.path), sweep.text, sweep.settings(), environment(arguments), utc_now())
        slots = [(slot.task, slot.data, slot.cell, slot.draw) for slot in self.slots]
        ledger.record_sweep(record, self.specs, slots, sweep.replicates, self.foundations())
        return replace(self, specs=())


def plan_sweep(sweep: SweepFile, environ: Mapping[str, str]) -> Planned:
    """Finds the data of every task and plans every search trial.

    Raises:
        SweepFileError: a data file is missing; the text says where the sweep asks for it and how to fetch it.
    """
    home = data_home(environ)
    files: dict[tuple[str, str], Mapping[str, str]] = {}
    fingerprints: dict[tuple[str, str], str] = {}
    for task in sweep.tasks:
        card, place = get_task(task.name), (task.name, task.data)
        try:
            files[place] = {name: str(path.absolute()) for name, path in locate(card, task.data, home, task.own).items()}
        except DataError as error:
            raise SweepFileError(str(error), sweep.where("task")) from error
        fingerprints[place] = fingerprint(card, task.data, home, task.own)
        if task.own is None and (others := differs_from_published(card, task.data, home)):
            log.warning(
                "data=%s: not the published bytes of %s; the trials are keyed by the bytes that are here", task.data, ", ".join(others)
            )
    return Planned(sweep, files, fingerprints, plan(sweep, fingerprints), plan_slots(sweep))
