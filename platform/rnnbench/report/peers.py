"""What Optuna's evaluators of importance say of the same trials, where Optuna is installed: each measures something of its own.

Theirs are shares of what single parameters account for, which add up to 1; nothing is left for pairs, and there are no intervals.
"""

import importlib.util
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from rnnbench.report.axes import Axis, Scale
from rnnbench.report.importance import axes_of, why_not
from rnnbench.report.tables import Summary, sign_of, value

if TYPE_CHECKING:
    from optuna import Study

# Its functional ANOVA takes time with the square of the trials: a minute for a thousand.
MOST_FOR_FANOVA, MOST_FOR_OTHERS = 100, 1000
TREES = 16
FANOVA, IMPURITY, PED_ANOVA = "functional ANOVA", "mean decrease of impurity", "PED-ANOVA"


@dataclass(frozen=True)
class Peer:
    """What one of them says: of each parameter its share, and of how many trials, drawn where there are more."""

    method: str
    num_trials: int
    shares: dict[str, float]


def is_installed() -> bool:
    """Whether Optuna is there to be asked."""
    return importlib.util.find_spec("optuna") is not None


def find_peers(row: Summary, scales: Mapping[str, Scale], seed: int = 0) -> tuple[Peer, ...]:
    """All of them; none where `why_not` says that a cell's trials do not tell, or where Optuna is missing."""
    if why_not(row) or not is_installed():
        return ()
    import optuna
    from optuna import importance

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    axes, rng = axes_of(row, scales), np.random.default_rng(seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluators = {
            FANOVA: (MOST_FOR_FANOVA, importance.FanovaImportanceEvaluator(n_trees=TREES, seed=seed)),
            IMPURITY: (MOST_FOR_OTHERS, importance.MeanDecreaseImpurityImportanceEvaluator(n_trees=TREES, seed=seed)),
            PED_ANOVA: (MOST_FOR_OTHERS, importance.PedAnovaImportanceEvaluator()),
        }
        drawn = rng.permutation(len(row.completed)).tolist()
        studies = {most: _to_study(row, axes, sorted(drawn[:most])) for most in (MOST_FOR_FANOVA, MOST_FOR_OTHERS)}
        found = []
        for method, (most, evaluator) in evaluators.items():
            told = importance.get_param_importances(studies[most], evaluator=evaluator)
            found.append(Peer(method, min(most, len(drawn)), {name: float(share) for name, share in told.items()}))
    return tuple(found)


def _to_study(row: Summary, axes: list[Axis], chosen: list[int]) -> "Study":
    """The chosen trials as Optuna holds them: numbers on the scale that they were searched on, other values by name."""
    import optuna
    from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution

    domains: dict[str, BaseDistribution] = {
        axis.name: CategoricalDistribution(axis.levels) if axis.levels else FloatDistribution(axis.low, axis.high) for axis in axes
    }
    study = optuna.create_study(direction="maximize" if sign_of(row.task) > 0 else "minimize")
    for place in chosen:
        given = row.tried[place]
        parameters = {axis.name: given[axis.name] if axis.levels else axis.place(given[axis.name]) for axis in axes}
        study.add_trial(optuna.create_trial(params=parameters, distributions=domains, value=value(row.completed[place])))
    return study
