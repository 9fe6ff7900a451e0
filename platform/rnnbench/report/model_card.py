"""The card of an exported model: what it is, how good, how it was made, what it is not for, how to use it. Markdown."""

import json
import shlex
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rnnbench.cells.table import get_cell
from rnnbench.ledger.records import SweepRecord, TrialRecord
from rnnbench.report.statistics import t_interval
from rnnbench.report.words import measured, number
from rnnbench.task.cards import TaskCard
from rnnbench.task.catalogue import get_task
from rnnbench.task.sources import get_data_card
from rnnbench.trial.parameters import INIT_FROM


@dataclass(frozen=True)
class Described:
    """A model that a card is written for.

    Attributes:
        trial: Completed.
        seeds: The completed trials that differ from it in nothing but the seed, itself among them.
        sweep: That it is from; None: it was trained by itself.
        baselines: Validation values of methods without a recurrent network; `test_baselines` their test values.
        versions: What trained it, by name.
    """

    trial: TrialRecord
    seeds: Sequence[TrialRecord]
    sweep: SweepRecord | None
    baselines: Mapping[str, float]
    versions: Mapping[str, str]
    test_baselines: Mapping[str, float] = field(default_factory=dict)


def render(model: Described, folder: str) -> str:
    """The card.

    Args:
        folder: Name of the folder that the model goes to.
    """
    trial = model.trial
    task = get_task(trial.task)
    parts = [
        [f"# {task.title}: {trial.cell} on {trial.spec.data}", "", f"{task.summary[0].upper()}{task.summary[1:]}."],
        _use(task, folder),
        _what(task, trial),
        _results(task, model),
        _training(model),
        [
            "## Settings",
            "",
            *_table(("parameter", "value"), sorted((name, _shown(value)) for name, value in trial.spec.parameters.items())),
        ],
        _limits(task, model),
    ]
    return "\n\n".join("\n".join(part) for part in parts) + "\n"


def _use(task: TaskCard, folder: str) -> list[str]:
    load = ["```python", "import rnnbench", f"model = rnnbench.load({json.dumps(f'./{folder}')})"]
    if task.predict is None:
        return ["## Use", "", *load, "outputs = model.module(batch)  # rnnbench.task.module.Batch", "```"]
    given, asked = ('"some text"', '["some text"]') if task.predict_input == "lines" else ("FILE", 'files=["FILE"]')
    command = f"rnnbench predict {shlex.quote(f'./{folder}')} --input {given}"
    options = [f"- `--set {one.name.removeprefix('predict.')}=...`: {one.help}; default {_shown(one.default)}" for one in task.predict]
    return ["## Use", "", "```", command, "```", "", *load, f"print(model.ask({asked}).rows)", "```", *([""] if options else []), *options]


def _what(task: TaskCard, trial: TrialRecord) -> list[str]:
    spec, cell, data = trial.spec, get_cell(trial.cell), get_data_card(task, trial.spec.data)
    facts = trial.outcome.get("data")
    rows = [
        ("task", f"{task.name} (version {spec.task_version}): {task.summary}"),
        ("data", f"{spec.data}: {data.title}; {data.rows}"),
        ("licence of the data", data.licence),
        ("fingerprint of the data", spec.data_fingerprint),
        *((f"data: {name}", _shown(value)) for name, value in (facts if isinstance(facts, dict) else {}).items()),
        ("cell", f"{cell.name} (version {spec.cell_version}): {cell.summary}"),
        ("source of the cell", cell.citation),
        ("weights", _shown(trial.outcome.get("num_parameters"))),
    ]
    found = ["## What it is", "", *_table(("", ""), rows)]
    if cell.equations:
        notes = (
            "s is the logistic sigmoid, * the elementwise product, v- the last step's value, W weights on the input, R recurrent weights"
        )
        found += ["", f"The cell's equations ({notes}):", "", *(f"    {equation}" for equation in cell.equations)]
    return found


def _results(task: TaskCard, model: Described) -> list[str]:
    trial, seeds, metric = model.trial, model.seeds, task.metric
    names = [name for name in (trial.outcome.get("test") or {}) if name != metric.name]
    rows = [_row("validation", metric.name, metric.unit, trial, seeds, "metrics")]
    if trial.outcome.get("test"):
        rows += [_row("test", name, metric.unit if name == metric.name else "", trial, seeds, "test") for name in (metric.name, *names)]
    examined = trial.outcome.get("examined") or {}
    rows += [_row("test", name, "", trial, seeds, "examined") for name, value in examined.items() if _is_number(value)]
    better = "higher" if metric.direction == "max" else "lower"
    found = ["## Results", "", f"The metric is {metric.title}: {better} is better.", ""]
    found += _table(("split", "measure", "this model", "mean over seeds", "95 % interval", "seeds"), rows)
    floor = get_data_card(task, trial.spec.data).floor
    beside = [f"{name} {number(value)} on validation data" for name, value in model.baselines.items()]
    beside += [f"{name} {number(value)} on test data" for name, value in model.test_baselines.items() if trial.outcome.get("test")]
    beside += [f"{floor.baseline} {number(floor.value)} on test data"] if floor else []
    if beside:
        found += ["", f"Without a recurrent network: {'; '.join(map(_safe, beside))}."]
    if not trial.outcome.get("test"):
        found += ["", "Its test data were never opened: only configurations that are confirmed with fresh seeds are tested."]
    return found


def _row(split: str, name: str, unit: str, trial: TrialRecord, seeds: Sequence[TrialRecord], place: str) -> tuple[str, ...]:
    values = [float(value) for value in (_measure(seed, place, name) for seed in seeds) if value is not None]
    interval = t_interval(values, get_task(trial.task).range_of(name))
    mean = measured(statistics.fmean(values), unit) if len(values) > 1 else "-"
    shown = f"{number(interval.low)} to {number(interval.high)} ({interval.method})" if interval else "-"
    return split, name, measured(_measure(trial, place, name), unit), mean, shown, str(len(values))


def _measure(trial: TrialRecord, place: str, name: str) -> float | None:
    found = (trial.outcome.get(place) or {}).get(name)
    if found is None and place == "metrics" and name == get_task(trial.task).metric.name:
        found = trial.best
    return found if _is_number(found) else None


def _training(model: Described) -> list[str]:
    trial, spec, outcome = model.trial, model.trial.spec, model.trial.outcome
    told = [] if model.sweep is None else list(_told(trial, model.seeds, model.sweep))
    source = spec.parameters.get(INIT_FROM)
    if source is not None:
        told.append(f"Its training started from the weights of trial {str(source)[:8]} (`{INIT_FROM}`).")
    rows = [
        ("trial", trial.key),
        ("seed", _shown(spec.seed)),
        ("seeds of this configuration", ", ".join(str(seed.spec.seed) for seed in model.seeds)),
        (
            "epochs",
            f"{_shown(outcome.get('epochs'))} of at most {spec.budget.max_epochs}; the weights are those of epoch {trial.best_epoch}",
        ),
        ("patience", _shown(spec.budget.patience)),
        ("seconds of training steps", number(outcome.get("train_s"))),
        ("seconds in all", number(trial.wall_s)),
        ("machine", _shown(outcome.get("processor"))),
        ("threads", _shown(outcome.get("threads"))),
        ("mode", _shown(outcome.get("mode"))),
        *model.versions.items(),
    ]
    return ["## How it was trained", "", *([" ".join(told), ""] if told else []), *_table(("", ""), rows)]


def _told(trial: TrialRecord, seeds: Sequence[TrialRecord], sweep: SweepRecord) -> Iterator[str]:
    search = sweep.settings.get("search") or {}
    yield f"From sweep `{_safe(sweep.name)}`, {search.get('num_samples')} draws of {search.get('method')} search for each cell."
    if trial.stage == "confirm":
        yield f"Its configuration was among the best by validation and was trained again with fresh seeds, {len(seeds)} of which completed;"
        yield "this is the seed with the best validation value, so the mean over the seeds says better what to expect."
    else:
        yield "It is a search trial, chosen among many by its validation value, which therefore flatters."
    yield f"To train it again: `rnnbench train --trial {_safe(sweep.name)}/{trial.key[:8]}`."


def _limits(task: TaskCard, model: Described) -> list[str]:
    trial = model.trial
    found = [
        f"- It has seen {_safe(trial.spec.data)} and nothing else; on data from elsewhere it may be worse than a simple baseline.",
        "- It says something for every input, also for one that is like nothing it was trained on.",
        "- Differences below the interval above are not differences.",
    ]
    if len(model.seeds) < 2:
        found.append("- One seed: how much of its value is chance is not known.")
    if get_cell(trial.cell).is_control:
        found.append(f"- {trial.cell} is a control: no recurrent network.")
    more = f"What is known to be hard stands in the task's own card: `rnnbench tasks {task.name}`."
    return ["## Limits", "", *found, "", more]


def _table(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [f"| {' | '.join(titles)} |", "|" + "---|" * len(titles)]
    return lines + [f"| {' | '.join(map(_safe, row))} |" for row in rows]


def _safe(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ").replace("<", "&lt;")


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return number(value) if abs(value) < 1e-4 else f"{value:.6g}"
    return "null" if value is None else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
