"""The view that MLflow opens with, read back as MLflow's page reads it."""

import base64
import json
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest

from rnnbench.ledger.records import SweepRecord
from rnnbench.sweep.run_view import build_view, view_route

SPACE = {"optimizer.lr": {"loguniform": [0.001, 0.1]}, "training.clip_norm": {"value": 1.0}}


def read_state(tasks: list[str], **more: object) -> dict[str, Any]:
    settings = {"task": [{"name": name, "data": "x"} for name in tasks], "space": SPACE, **more}
    view = json.loads(build_view(SweepRecord("one", "one.yaml", "", settings, {}, datetime(2026, 1, 2, tzinfo=UTC))))
    assert view["name"] == "Trials"
    kind, _, packed = view["state"].partition(";")
    assert kind == "deflate"
    state: dict[str, Any] = json.loads(zlib.decompress(base64.b64decode(packed)))
    return state


@pytest.mark.parametrize(("task", "ascending"), [("sequential_digits", False), ("adding", True)])
def test_trials_of_a_task_stand_best_first(task: str, ascending: bool) -> None:
    state = read_state([task])
    assert (state["orderByKey"], state["orderByAsc"]) == ("metrics.`best`", ascending)


@pytest.mark.parametrize("tasks", [["adding", "copy_memory"], ["of_a_package_that_is_not_here"]])
def test_values_without_a_common_order_are_not_sorted(tasks: list[str]) -> None:
    assert read_state(tasks)["orderByKey"] == "params.`task`"


def test_the_columns_are_what_was_searched_and_what_came_out() -> None:
    columns = read_state(["sequential_digits"], confirm={"top_k": 1, "seeds": 3})["selectedColumns"]
    assert columns[:4] == ["tags.`cell`", "metrics.`best`", "tags.`status`", "tags.`stage`"]
    assert {"params.`optimizer.lr`", "metrics.`test_accuracy`"} <= set(columns)
    assert "params.`training.clip_norm`" not in columns
    assert "metrics.`test_accuracy`" not in read_state(["sequential_digits"])["selectedColumns"]
    assert read_state(["adding", "copy_memory"])["selectedColumns"][0] == "tags.`task`"


def test_an_experiment_without_the_view_is_shown_without_it() -> None:
    assert view_route("7", has_view=False) == "#/experiments/7/runs?workflowType=machine_learning"
