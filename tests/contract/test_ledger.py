"""One contract for every database that a ledger may live in."""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import JSON, DateTime, column, insert, table

from rnnbench.base.errors import PlanChangedError, UnknownNameError
from rnnbench.ledger.engine import open_engine
from rnnbench.ledger.records import EpochRecord, Holder, LaneStanding, Status, SweepRecord
from rnnbench.ledger.store import Ledger
from rnnbench.trial.spec import Foundation, TrialSpec

START = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def spec(seed: int) -> TrialSpec:
    return TrialSpec("search", "adding", 1, "generated", "f", "lstm", 1, {"optimizer.lr": 0.01}, seed, draw=seed)


def sweep(name: str = "one", text: str = "task: adding\n") -> SweepRecord:
    return SweepRecord(name, f"{name}.yaml", text, {"name": name}, {"python": "3"}, START)


SPECS = [spec(seed) for seed in range(4)]
KEYS = [each.key() for each in SPECS]


@pytest.fixture
def ledger(database_url: str) -> Iterator[Ledger]:
    moments = (START + timedelta(seconds=second) for second in range(10_000))
    with Ledger.open(database_url, now=moments.__next__) as opened:
        yield opened


def finish(ledger: Ledger, key: str, attempt: int = 1, value: float = 0.5, status: Status = Status.COMPLETED) -> None:
    ledger.record_finished(key, attempt, status, {"metrics": {"mse": value}}, 1.5)


def test_a_sweep_recorded_twice_is_planned_once(ledger: Ledger) -> None:
    for _ in range(2):
        ledger.record_sweep(sweep(), SPECS)
    trials = ledger.trials("one")
    assert [trial.key for trial in trials] == KEYS
    assert [trial.position for trial in trials] == [0, 1, 2, 3]
    assert [trial.spec for trial in trials] == SPECS
    assert [event.kind for event in ledger.outbox.waiting(10)] == ["sweep_planned"]


def test_trials_are_claimed_once_in_the_plans_order(ledger: Ledger) -> None:
    ledger.record_sweep(sweep(), SPECS)
    assert [trial.key for trial in ledger.claim("one", 3)] == KEYS[:3]
    last = ledger.claim("one", 3)
    assert [(trial.key, trial.status, trial.attempts) for trial in last] == [(KEYS[3], Status.RUNNING, 1)]
    assert ledger.claim("one", 3) == []


def test_an_interrupted_trial_is_claimed_again_and_its_old_attempt_is_not_heard(ledger: Ledger) -> None:
    ledger.record_sweep(sweep(), SPECS[:1])
    ledger.claim("one", 1)
    ledger.record_epoch(KEYS[0], 1, EpochRecord(1, 0.1, {"mse": 3.0}), 3.0, 1, 3.0)
    assert ledger.release_running("one") == KEYS[:1]
    assert ledger.trials("one")[0].status == Status.INTERRUPTED
    assert ledger.claim("one", 1)[0].attempts == 2
    finish(ledger, KEYS[0], attempt=1)
    ledger.record_epoch(KEYS[0], 1, EpochRecord(2, 0.2, {"mse": 9.0}), 9.0, 2, 9.0)
    assert ledger.trials("one")[0].status == Status.RUNNING
    ledger.record_epoch(KEYS[0], 2, EpochRecord(1, 0.1, {"mse": 2.0}), 2.0, 1, 2.0)
    assert ledger.epochs(KEYS[:1]) == {KEYS[0]: [EpochRecord(1, 0.1, {"mse": 2.0})]}
    assert ledger.trials("one")[0].best == 2.0


def test_a_finished_trial_is_never_changed(ledger: Ledger) -> None:
    ledger.record_sweep(sweep(), SPECS)
    ledger.claim("one", 1)
    finish(ledger, KEYS[0], value=0.25)
    finish(ledger, KEYS[0], value=0.75, status=Status.FAILED)
    trial = ledger.trials("one")[0]
    assert (trial.status, trial.outcome) == (Status.COMPLETED, {"metrics": {"mse": 0.25}})
    assert [event.trial_key for event in ledger.outbox.waiting(10) if event.kind == "trial_finished"] == [KEYS[0]]
    assert ledger.counts("one") == {Status.COMPLETED: 1, Status.PENDING: 3}


def test_a_trial_of_two_sweeps_exists_once_and_is_reused(ledger: Ledger) -> None:
    ledger.record_sweep(sweep("one"), SPECS[:2])
    ledger.claim("one", 1)
    finish(ledger, KEYS[0])
    ledger.record_sweep(sweep("two"), SPECS[:3])
    assert [trial.reused for trial in ledger.trials("two")] == [True, False, False]
    assert [trial.key for trial in ledger.claim("two", 5)] == KEYS[1:3]
    finish(ledger, KEYS[1])
    told = [(event.sweep, event.trial_key) for event in ledger.outbox.waiting(20) if event.kind == "trial_finished"]
    assert sorted(told) == sorted([("one", KEYS[0]), ("two", KEYS[0]), ("one", KEYS[1]), ("two", KEYS[1])])


def test_a_sweep_is_extended_where_its_plan_is_part_of_the_new_one(ledger: Ledger) -> None:
    ledger.record_sweep(sweep(), SPECS[:2])
    ledger.record_end("one")
    ledger.record_sweep(sweep(), SPECS)
    assert [trial.key for trial in ledger.trials("one")] == KEYS
    assert ledger.get_sweep("one").ended_at is None


def test_a_changed_plan_is_refused_with_the_lines_that_differ(ledger: Ledger) -> None:
    ledger.record_sweep(sweep(text="task: adding\nseed: 1\n"), SPECS[:2])
    with pytest.raises(PlanChangedError) as error:
        ledger.record_sweep(sweep(text="task: adding\nseed: 2\n"), SPECS[1:])
    assert "-seed: 1; +seed: 2" in str(error.value)
    assert "--name one-2" in str(error.value)
    assert "\n" not in str(error.value)
    assert len(ledger.trials("one")) == 2


def test_an_adaptive_sweep_whose_data_or_versions_have_moved_is_refused(ledger: Ledger) -> None:
    slots = [("adding", "generated", "lstm", number) for number in range(3)]
    planned = replace(sweep(), settings={"search": {"method": "tpe"}, "budget": {}})
    lane, made = SPECS[0].lane, SPECS[0].foundation
    ledger.record_sweep(planned, [], slots[:2], 1, {lane: made})
    assert ledger.draw_slot("one", 0, SPECS[:1], {})
    ledger.record_sweep(planned, [], slots, 1, {lane: made})
    data, task, cell, loop = made
    others: dict[str, Foundation] = {
        "the data 'generated'": (f"{data}x", task, cell, loop),
        "the version of task 'adding'": (data, task + 1, cell, loop),
        "the version of cell 'lstm'": (data, task, cell + 1, loop),
        "the version of the loop": (data, task, cell, loop + 1),
    }
    for words, other in others.items():
        with pytest.raises(PlanChangedError, match=f"What differs: {words}. Give"):
            ledger.record_sweep(planned, [], slots, 1, {lane: other})


def test_a_trial_in_two_sweeps_keeps_its_place_in_each(ledger: Ledger) -> None:
    ledger.record_sweep(sweep("one"), SPECS)
    ledger.record_sweep(sweep("two"), [replace(SPECS[3], draw=0), replace(SPECS[0], draw=1)])
    assert [(trial.key, trial.spec.draw) for trial in ledger.trials("two")] == [(KEYS[3], 0), (KEYS[0], 1)]
    assert [trial.spec.draw for trial in ledger.trials("one")] == [0, 1, 2, 3]


def test_numbers_that_are_not_finite_survive(ledger: Ledger) -> None:
    ledger.record_sweep(sweep(), SPECS)
    ledger.claim("one", 1)
    metrics = {"mse": math.inf, "grad_norm": math.nan, "lr": -math.inf}
    ledger.record_epoch(KEYS[0], 1, EpochRecord(1, 0.1, metrics), None, None, None)
    read = ledger.epochs(KEYS)[KEYS[0]][0].metrics
    assert read["mse"] == math.inf
    assert math.isnan(read["grad_norm"])
    assert read["lr"] == -math.inf


def test_events_are_delivered_in_order_and_marked(ledger: Ledger) -> None:
    ledger.record_sweep(sweep(), SPECS)
    for key in KEYS:
        ledger.claim("one", 1)
        finish(ledger, key)
    ledger.record_end("one")
    events = ledger.outbox.waiting(100)
    assert [event.kind for event in events] == ["sweep_planned", *["trial_finished"] * 4, "sweep_ended"]
    assert [event.trial_key for event in events[1:5]] == KEYS
    ledger.outbox.mark_delivered([event.id for event in events[:4]])
    assert ledger.outbox.waiting(100) == events[4:]
    assert ledger.outbox.size() == 2


def test_a_report_waits_beside_the_events_and_only_the_last_of_a_sweep(ledger: Ledger) -> None:
    for name in ("one", "two"):
        ledger.record_sweep(sweep(name), SPECS)
    ledger.outbox.mark_delivered([event.id for event in ledger.outbox.waiting(10)])
    for name, note in (("one", "old"), ("two", "other"), ("one", "new")):
        ledger.outbox.add_report(name, note)
    assert (ledger.outbox.waiting(10), ledger.outbox.size()) == ([], 0)
    assert [(event.sweep, event.payload["note"]) for event in ledger.outbox.reports()] == [("two", "other"), ("one", "new")]
    (mine,) = ledger.outbox.reports("one")
    ledger.outbox.mark_delivered([mine.id])
    assert [event.sweep for event in ledger.outbox.reports()] == ["two"]
    ledger.outbox.add_report("one", "again")
    assert [event.payload["note"] for event in ledger.outbox.reports("one")] == ["again"]


def test_moments_have_their_zone_and_the_test_set_opens_once(ledger: Ledger) -> None:
    ledger.record_sweep(sweep(), SPECS)
    ledger.claim("one", 1)
    ledger.record_test_opened(KEYS[0])
    first = ledger.trials("one")[0].test_opened_at
    ledger.record_test_opened(KEYS[0])
    trial = ledger.trials("one")[0]
    assert first is not None
    assert trial.test_opened_at == first
    assert first.tzinfo == UTC
    assert trial.started_at is not None
    assert trial.started_at < first
    assert ledger.get_sweep("one").created_at == START


def test_a_trial_is_found_by_the_start_of_its_key(ledger: Ledger) -> None:
    ledger.record_sweep(sweep(), SPECS)
    assert ledger.get_trial("one", KEYS[2][:10]).key == KEYS[2]
    for start in ("", "zz"):
        with pytest.raises(UnknownNameError, match="no trial"):
            ledger.get_trial("one", start)
    with pytest.raises(UnknownNameError, match="no sweep 'onne' has run here; did you mean 'one'"):
        ledger.get_trial("onne", KEYS[0])


def test_standings_count_by_task_and_cell_and_name_the_best_that_did_not_end_badly(ledger: Ledger) -> None:
    lstms = [replace(spec(seed), cell="lstm") for seed in range(5)]
    grus = [replace(spec(seed), cell="gru") for seed in range(5, 7)]
    ledger.record_sweep(sweep(), [*lstms, *grus])
    keys = [each.key() for each in lstms]
    ledger.leases.take("one", Holder("alive", "host", 1, ""))
    assert [trial.key for trial in ledger.claim("one", 4, "alive")] == keys[:4]
    for key, value in zip(keys[:3], (0.5, 0.25, 0.125), strict=True):
        ledger.record_epoch(key, 1, EpochRecord(1, 1.0, {"mse": value}), value, 1, value)
    finish(ledger, keys[0])
    finish(ledger, keys[1])
    finish(ledger, keys[2], status=Status.DIVERGED)

    def standings(live: set[str], *, maximize: bool) -> list[LaneStanding]:
        with ledger.glance() as glance:
            return glance.standings("one", live, lambda task: maximize)

    counts = {Status.COMPLETED: 2, Status.DIVERGED: 1, Status.PENDING: 1}
    waiting = LaneStanding("adding", "generated", "gru", Counter({Status.PENDING: 2}), None, None)
    assert standings({"alive"}, maximize=False) == [
        LaneStanding("adding", "generated", "lstm", Counter(counts | {Status.RUNNING: 1}), 0.25, keys[1]),
        waiting,
    ]
    assert standings(set(), maximize=True) == [
        LaneStanding("adding", "generated", "lstm", Counter(counts | {Status.INTERRUPTED: 1}), 0.5, keys[0]),
        waiting,
    ]


def test_a_glance_has_the_values_of_completed_search_trials_and_the_specs_of_all(ledger: Ledger) -> None:
    confirmed = replace(spec(9), stage="confirm")
    ledger.record_sweep(sweep(), [*SPECS, confirmed])
    for (key, value), status in zip(
        [*zip(KEYS, (0.5, 0.25, 0.125, 0.75), strict=True), (confirmed.key(), 0.0)],
        (Status.COMPLETED, Status.COMPLETED, Status.DIVERGED, Status.FAILED, Status.COMPLETED),
        strict=True,
    ):
        ledger.claim("one", 1, keys=[key])
        ledger.record_epoch(key, 1, EpochRecord(1, 1.0, {"mse": value}), value, 1, value)
        finish(ledger, key, status=status)
    with ledger.glance() as glance:
        assert {lane: sorted(values) for lane, values in glance.values("one").items()} == {("adding", "generated", "lstm"): [0.25, 0.5]}
        assert glance.get_spec(KEYS[1]).parameters == SPECS[1].parameters
        assert glance.session_s("one") == 0.0
        with pytest.raises(UnknownNameError, match="no sweep 'onne' has run here; did you mean 'one'"):
            glance.session_s("onne")


def test_of_equally_good_trials_the_first_of_the_plan_stands_for_them(ledger: Ledger) -> None:
    ledger.record_sweep(sweep(), SPECS)
    for key in reversed(KEYS):
        ledger.claim("one", 1, keys=[key])
        ledger.record_epoch(key, 1, EpochRecord(1, 1.0, {"mse": 0.5}), 0.5, 1, 0.5)
        finish(ledger, key)
    with ledger.glance() as glance:
        assert glance.standings("one", (), lambda task: False)[0].best_key == KEYS[0]


def test_slots_that_are_not_drawn_stand_as_pending_trials(ledger: Ledger) -> None:
    slots = [("adding", "generated", "lstm", draw) for draw in range(3)]
    ledger.record_sweep(replace(sweep(), settings={"name": "one", "replicates": 2}), [], slots, 2)
    ledger.draw_slot("one", 0, [spec(1), spec(2)], {})
    with ledger.glance() as glance:
        (standing,) = glance.standings("one", (), lambda task: False)
    assert standing == LaneStanding("adding", "generated", "lstm", Counter({Status.PENDING: 6}), None, None)


def holder(token: str) -> Holder:
    return Holder(token, "host", 1, "")


def test_a_sweep_is_held_by_one_alone_or_by_several_that_joined(ledger: Ledger) -> None:
    ledger.record_sweep(sweep(), SPECS)
    assert ledger.leases.take("one", holder("a"), joined=True) is None
    assert ledger.leases.take("one", holder("b"), joined=True) is None
    refused = ledger.leases.take("one", holder("c"))
    assert refused is not None
    assert refused.holder.token == "a"
    assert [lease.holder.token for lease in ledger.leases.of("one")] == ["a", "b"]
    for token in ("a", "b"):
        assert ledger.leases.drop("one", token)
    assert ledger.leases.take("one", holder("c")) is None
    refused = ledger.leases.take("one", holder("d"), joined=True)
    assert refused is not None
    assert refused.holder.token == "c"


def test_a_lease_that_was_renewed_is_not_taken_for_gone(ledger: Ledger) -> None:
    ledger.record_sweep(sweep(), SPECS)
    ledger.leases.take("one", holder("a"))
    seen = ledger.leases.of("one")
    ledger.leases.beat("one", "a", 1.0)
    assert ledger.leases.take("one", holder("b"), gone=seen) is not None
    assert not ledger.leases.drop("one", "a", seen[0].beats)
    assert ledger.leases.take("one", holder("b"), gone=ledger.leases.of("one")) is None
    assert ledger.leases.beat("one", "a", 1.0) is None


def test_workers_side_by_side_count_the_wall_clock_once(ledger: Ledger) -> None:
    ledger.record_sweep(sweep(), SPECS)
    for token in ("a", "b"):
        ledger.leases.take("one", holder(token), joined=True)
    for token, seconds in (("a", 5.0), ("b", 5.0), ("a", 5.0)):
        ledger.leases.beat("one", token, seconds)
    assert ledger.get_sweep("one").session_s == 10.0
    ledger.leases.drop("one", "a")
    ledger.leases.beat("one", "b", 2.0)
    assert ledger.get_sweep("one").session_s == 12.0


def test_only_what_runs_under_no_lease_is_released(ledger: Ledger) -> None:
    ledger.record_sweep(sweep(), SPECS)
    for token in ("a", "b"):
        ledger.leases.take("one", holder(token), joined=True)
        ledger.claim("one", 1, token)
    leases = ledger.leases.all()
    with ledger.glance() as glance:
        assert glance.running("one") == {"a": 1, "b": 1}
        assert glance.leases() == leases
    assert ledger.release_running("one") == []
    ledger.leases.drop("one", "a")
    assert ledger.release_running("one") == KEYS[:1]
    assert ledger.release_running("one", {"b"}) == KEYS[1:2]
    with ledger.glance() as glance:
        assert glance.running("one") == {}


def test_decisions_that_do_not_know_of_others_are_not_taken(ledger: Ledger) -> None:
    ledger.record_sweep(sweep(), SPECS)
    ledger.claim("one", 2)
    for key in KEYS[:2]:
        ledger.record_finished(key, 1, Status.PAUSED, {"epochs": 1}, 1.0)
    (first,) = ledger.record_decisions("one", [(KEYS[0], 1, "stopped", {})])
    assert ledger.record_decisions("one", [(KEYS[1], 1, "stopped", {})]) == [first]
    assert ledger.trials("one")[1].status == Status.PAUSED
    (second,) = ledger.record_decisions("one", [(KEYS[1], 1, "promoted", {})], first.id)
    assert (second.key, second.verdict) == (KEYS[1], "promoted")
    assert ledger.trials("one")[1].status == Status.PENDING


def test_a_turn_is_one_processs_at_a_time(ledger: Ledger, database_url: str) -> None:
    with Ledger.open(database_url) as other:
        with ledger.turn("mirror") as first, other.turn("mirror") as second, other.turn("else") as third:
            assert (first, second, third) == (True, False, True)
        with other.turn("mirror") as again:
            assert again


def test_slots_of_the_schema_before_data_sets_were_named_are_upgraded(database_url: str) -> None:
    old = open_engine(database_url, schema="0003")
    entries = [{"name": "adding", "data": "generated"}, {"name": "forecasting", "data": {"path": "/some/place/mine.csv"}}]
    with old.begin() as connection:
        typed = column("settings", JSON), column("environment", JSON), column("created_at", DateTime(True))
        sweeps = table("sweeps", *map(column, ("name", "path", "text", "session_s")), *typed)
        row = {"name": "one", "path": "", "text": "", "session_s": 0.0, "environment": {}, "created_at": START}
        connection.execute(insert(sweeps).values(**row, settings={"name": "one", "task": entries, "replicates": 1}))
        slots = table("slots", *map(column, ("sweep", "position", "task", "cell", "draw")), column("evidence", JSON(none_as_null=True)))
        drawn = {"sweep": "one", "cell": "lstm", "position": 0, "task": "adding", "draw": 0, "evidence": {"seen": []}}
        connection.execute(insert(slots).values(**drawn))
        connection.execute(insert(slots).values(**{**drawn, "position": 1, "task": "forecasting", "draw": 1, "evidence": None}))
    old.dispose()
    with Ledger.open(database_url) as ledger:
        assert [(slot.lane, slot.draw, slot.evidence) for slot in ledger.slots("one")] == [
            (("adding", "generated", "lstm"), 0, {"seen": []}),
            (("forecasting", "path:mine.csv", "lstm"), 1, None),
        ]
