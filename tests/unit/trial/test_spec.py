"""A trial's key: a hash of what determines its result, and of nothing else."""

import json
from dataclasses import replace

import pytest

from rnnbench.trial.spec import Budget, TrialSpec

SPEC = TrialSpec(
    stage="search", task="adding", task_version=1, data="generated", data_fingerprint="f", cell="lstm", cell_version=1,
    parameters={"optimizer.lr": 0.01, "network.hidden_size": 32}, seed=7, budget=Budget(max_epochs=3, patience=2),
)  # fmt: skip


def test_a_spec_survives_json_and_keeps_its_key() -> None:
    again = TrialSpec.from_dict(json.loads(json.dumps(SPEC.to_dict())))
    assert again == SPEC
    assert again.key() == SPEC.key()


def test_the_key_is_frozen() -> None:
    # A change here makes every finished trial of every user unknown: raise a version instead.
    assert SPEC.key() == "a076dac1635708f9d973850ceec4287dd648ae01299844ced7a2a16471d17c72"


@pytest.mark.parametrize(
    "change",
    [
        {"stage": "confirm"}, {"task": "other"}, {"task_version": 2}, {"data": "other"}, {"data_fingerprint": "g"}, {"cell": "gru"},
        {"cell_version": 2}, {"parameters": {"optimizer.lr": 0.02, "network.hidden_size": 32}}, {"seed": 8}, {"loop_version": 99},
        {"budget": Budget(max_epochs=4, patience=2)}, {"budget": Budget(max_epochs=3, patience=3)},
    ],
)  # fmt: skip
def test_whatever_determines_the_result_changes_the_key(change: dict[str, object]) -> None:
    assert replace(SPEC, **change).key() != SPEC.key()  # type: ignore[arg-type]  # the keys are checked by the test's own list


def test_limits_and_the_place_in_the_sweep_do_not_change_the_key() -> None:
    moved = replace(SPEC, draw=5, replicate=2)
    assert moved.key() == SPEC.key()


def test_replicates_share_a_group() -> None:
    assert replace(SPEC, seed=8).group_key() == SPEC.group_key()
    assert replace(SPEC, cell="gru").group_key() != SPEC.group_key()
