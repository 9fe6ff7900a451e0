"""The view of a sweep's runs that MLflow opens with: trials only, the best first, and the columns that people ask for.

MLflow shows a run's name and age, and no trial before its parent is unfolded, unless a saved view says otherwise. A view is a tag of the
experiment, written as MLflow's own page writes it: JSON, of which the state is compressed.
"""

import base64
import json
import zlib
from collections.abc import Mapping
from typing import Any

from rnnbench.base.errors import InputError
from rnnbench.ledger.records import SweepRecord
from rnnbench.task.cards import MetricCard
from rnnbench.task.catalogue import get_task

NAME = "Trials"
KEY = "rnnbench"
# Its pages for training, not those for language models.
PAGES = "workflowType=machine_learning"
TAG = f"mlflow.sharedViewState.{KEY}"


def build_view(sweep: SweepRecord) -> str:
    """The value of `TAG` for a sweep; the same sweep gives the same bytes."""
    created_ms = round(sweep.created_at.timestamp() * 1000)
    state = "deflate;" + base64.b64encode(zlib.compress(json.dumps(_state(sweep.settings)).encode())).decode("ascii")
    return json.dumps({"name": NAME, "createdAt": created_ms, "updatedAt": created_ms, "state": state})


def view_route(experiment_id: str, *, has_view: bool) -> str:
    """Where MLflow's page shows an experiment's runs, below the server's address; with the view where the experiment has one."""
    route = f"#/experiments/{experiment_id}/runs?{PAGES}"
    return f"{route}&viewStateShareKey={KEY}" if has_view else route


def report_route(experiment_id: str, run_id: str) -> str:
    """Where it shows the report of a sweep's own run."""
    return f"#/experiments/{experiment_id}/runs/{run_id}/artifacts/report.html?{PAGES}"


def _state(settings: Mapping[str, Any]) -> dict[str, Any]:
    tasks = [str(task["name"]) for task in settings["task"]]
    metrics = _metrics(tasks)
    directions = {metric.direction for metric in metrics}
    several = len(tasks) > 1
    tested = sorted({f"test_{metric.name}" for metric in metrics}) if settings.get("confirm") else []
    searched = [name for name, domain in (settings.get("space") or {}).items() if list(domain) != ["value"]]
    columns = [f"tags.`{name}`" for name in (["task", "data", "cell"] if several else ["cell"])]
    columns += ["metrics.`best`", "tags.`status`", "tags.`stage`"] + [f"params.`{name}`" for name in searched]
    columns += [f"metrics.`{name}`" for name in (*tested, "num_parameters", "wall_s")] + ["tags.`key`"]
    # Values of several tasks, or of one that is not installed here, have no order. By age MLflow would fold the trials under their parent.
    key, ascending = ("metrics.`best`", directions == {"min"}) if len(directions) == 1 and not several else ("params.`task`", True)
    # Every trial has a key; the sweep's own run has none.
    return {
        "searchFilter": "tags.key LIKE '%'",
        "selectedColumns": columns,
        "columnOrder": columns,
        "orderByKey": key,
        "orderByAsc": ascending,
    }


def _metrics(tasks: list[str]) -> list[MetricCard]:
    try:
        return [get_task(name).metric for name in tasks]
    except InputError:
        return []
