"""A trained model by what a person calls it: a sweep, one of its trials, or the folder that it was exported to."""

import logging
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.base.errors import UnknownNameError
from rnnbench.base.home import Home
from rnnbench.ledger.records import Status, TrialRecord
from rnnbench.ledger.store import Ledger
from rnnbench.sweep.winner import find_trial, find_winners, model_path
from rnnbench.task.catalogue import get_task
from rnnbench.trial.files import SPEC

if TYPE_CHECKING:
    # Only named here: which model it is can be said before torch is loaded.
    from rnnbench.trial.trained import Trained

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Model:
    """The model of a recorded trial.

    Attributes:
        seeds: The completed trials of its sweep that differ from it in nothing but the seed, itself among them.
        baselines: Validation values of methods without a recurrent network, as its sweep computed them; `test_baselines` their test values.
        path: Its checkpoint, or a copy of it.
    """

    sweep: str
    trial: TrialRecord
    seeds: tuple[TrialRecord, ...]
    baselines: Mapping[str, float]
    test_baselines: Mapping[str, float]
    path: Path

    def load(self) -> "Trained":
        """The model, ready to be asked; see `load_trained`."""
        from rnnbench.trial.trained import load_trained

        return load_trained(self.path)

    def words(self) -> str:
        """Which one it is and how good, in one line."""
        trial, metric = self.trial, get_task(self.trial.task).metric
        best = f"validation {metric.title} {trial.best:.4g}" if trial.best is not None else "no validation value"
        if trial.stage == "confirm":
            pick = max if metric.direction == "max" else min
            top = pick(seed.best for seed in self.seeds if seed.best is not None)
            why = f"{'the best' if trial.best == top else 'one'} of {len(self.seeds)} confirmed seeds"
        else:
            why = "a search trial: no configuration of it was confirmed with fresh seeds, and a best-of-many value flatters"
        return f"{trial.task}, {trial.cell} {self.sweep}/{trial.key[:8]}: {best}, {why}"


def find_model(ledger: Ledger, home: Home, target: str) -> Model:
    """The model that `SWEEP` or `SWEEP/TRIAL` means.

    Raises:
        UnknownNameError: see `find_trial` and `model_path`.
        StoreError: the store does not answer, or refuses.
    """
    trial = find_trial(ledger, target)
    name = target.partition("/")[0]
    return _model(home, name, trial, ledger.trials(name, statuses=(Status.COMPLETED,)))


def find_best_models(ledger: Ledger, home: Home, name: str) -> dict[str, Model]:
    """The winner of each question that a sweep asked, by a name for its folder; those whose models are not kept are left out.

    Raises:
        UnknownSweepError: there is no such sweep.
    """
    ledger.get_sweep(name)
    completed = ledger.trials(name, statuses=(Status.COMPLETED,))
    found: dict[str, Model] = {}
    seen: Counter[str] = Counter()
    for trial in find_winners(completed):
        place = f"{trial.task}-{trial.spec.data}"
        seen[place] += 1
        folder = place if seen[place] == 1 else f"{place}-{seen[place]}"
        try:
            found[folder] = _model(home, name, trial, completed)
        except UnknownNameError as error:
            log.info("%s", error)
    return found


def _model(home: Home, sweep: str, trial: TrialRecord, completed: Sequence[TrialRecord]) -> Model:
    path = model_path(home, trial, f"{sweep}/{trial.key[:8]}")
    alike = [other for other in completed if other.best is not None and other.spec.question == trial.spec.question]
    seeds = tuple(other for other in alike if other.group_key == trial.group_key)
    return Model(sweep, trial, seeds, _first(alike, "baselines"), _first(alike, "test_baselines"), path)


def _first(trials: Sequence[TrialRecord], name: str) -> Mapping[str, float]:
    """What one of the trials has in its outcome; empty where none has."""
    found: Mapping[str, float] = next((trial.outcome[name] for trial in trials if trial.outcome.get(name)), {})
    return found


def exported_folder(target: str) -> Path | None:
    """The folder that a person means: one that is named as a path, or that holds an exported model; None: a sweep's name."""
    path = Path(target).expanduser()
    if target.startswith(("/", "./", "../", "~")) or target in (".", "..") or target.endswith("/") or (path / SPEC).is_file():
        return path
    return None


def load_model(
    place: str | Path, home: str | Path | None = None, *, run_own_cell: bool = False, environ: Mapping[str, str] | None = None
) -> "Trained":
    """A trained model, ready to be asked: of a sweep its best confirmed one, of a trial, or of a folder that was exported.

    Args:
        place: `SWEEP`, `SWEEP/TRIAL` or a folder.
        home: Results folder of the sweep (default: $RNNBENCH_HOME, else ./runs).
        run_own_cell: Whether an exported cell of its author's own may run.
    Raises:
        RnnbenchError: there is no such model, or it cannot be used; one line says why.
    """
    from rnnbench.trial.exported import load_exported

    folder = place if isinstance(place, Path) else exported_folder(place)
    if folder is not None:
        return load_exported(folder, run_own_cell=run_own_cell)
    found = Home.at(None if home is None else str(home), os.environ if environ is None else environ)
    if not found.has_results:
        raise UnknownNameError(f"no results in {found.path}, so there is no sweep '{place}', and no exported model of that name")
    with Ledger.open(found.ledger_url) as ledger:
        return find_model(ledger, found, str(place)).load()
