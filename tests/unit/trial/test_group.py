"""Attempts together in one process: each ends as it would alone, whatever becomes of the others."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from rnnbench.base.errors import TrialTimeout
from rnnbench.base.machine import peak_bytes, restart_peak
from rnnbench.trial import door, group
from rnnbench.trial.door import Event
from rnnbench.trial.files import BEST, LAST
from rnnbench.trial.fused import FusedTrainer
from rnnbench.trial.job import Fuse, Job, Limits
from tests.unit.trial.test_fused import spec


def job(folder: Path, lr: float, *, fuse: Fuse = "always", **changes: Any) -> Job:
    # Sixteen units: where rows times units are no whole vectors of the processor, the last numbers of a call may be rounded otherwise.
    changed = {"network.hidden_size": 16, "training.batch_size": 300, "optimizer.lr": lr, "network.dropout": 0.1}
    of = spec("peephole_lstm", {**changed, **changes.pop("parameters", {})}, seed=int(1000 * lr) % 997)
    return Job(key=of.key(), attempt=1, spec=of, files={}, folder=str(folder / of.key()[:12]), fuse=fuse, **changes)


def run(jobs: Sequence[Job], report: Callable[[Event], None] = lambda event: None) -> dict[str, Event]:
    """The last event of each job, in the jobs' order."""
    events: list[Event] = []

    def take(event: Event) -> None:
        events.append(event)
        report(event)

    door.run_jobs([each.to_dict() for each in jobs], take)
    ended = {event["key"]: event for event in events if event["kind"] == "finished"}
    assert len(ended) == len([event for event in events if event["kind"] == "finished"]) == len(jobs)
    return {each.key: ended[each.key] for each in jobs}


def numbers(event: Event) -> dict[str, float]:
    return {name: value for name, value in event["outcome"]["metrics"].items() if not name.endswith("_s")}


def test_each_of_a_group_ends_with_the_numbers_it_has_alone(tmp_path: Path) -> None:
    together = run([job(tmp_path / "together", lr) for lr in (0.001, 0.01, 0.05)])
    alone = [run([job(tmp_path / "alone", lr, fuse="never")]) for lr in (0.001, 0.01, 0.05)]
    for event, single in zip(together.values(), alone, strict=True):
        (reference,) = single.values()
        assert event["status"] == reference["status"] == "completed"
        assert numbers(event) == pytest.approx(numbers(reference), rel=1e-3)
        assert (event["outcome"]["mode"], event["outcome"]["fused"]) == ("fused", 3)
        assert reference["outcome"]["mode"] == "single"
    folders = [Path(job(tmp_path / "together", lr).folder) for lr in (0.001, 0.01, 0.05)]
    assert all((folder / BEST).exists() and not (folder / LAST).exists() for folder in folders)


def test_one_that_diverges_changes_nothing_for_the_others(tmp_path: Path) -> None:
    wild = job(tmp_path / "one", 0.02, parameters={"optimizer.name": "sgd", "optimizer.lr": 1e38})
    ended = run([job(tmp_path / "one", 0.001), wild, job(tmp_path / "one", 0.01)])
    assert [event["status"] for event in ended.values()] == ["completed", "diverged", "completed"]
    calm = run([job(tmp_path / "two", 0.001), job(tmp_path / "two", 0.01)])
    for key, event in calm.items():
        assert numbers(ended[key]) == numbers(event)


def flops_of(event: Event) -> int:
    return int(event["outcome"]["train_flops"])


def test_a_trial_that_ends_without_a_result_says_what_it_cost_until_then(tmp_path: Path) -> None:
    settings = {"optimizer.name": "sgd", "optimizer.lr": 1e38}
    alone = run([job(tmp_path / "alone", 0.02, fuse="never", parameters=settings), job(tmp_path / "alone", 0.01, fuse="never")])
    together = run([job(tmp_path / "together", 0.02, parameters=settings), job(tmp_path / "together", 0.01)])
    for wild, calm in (list(alone.values()), list(together.values())):
        # It diverges in its first epoch, which it has trained to the end.
        assert (wild["status"], calm["outcome"]["epochs"]) == ("diverged", 3)
        assert flops_of(wild) == flops_of(calm) / 3
        assert wild["outcome"]["num_parameters"] == calm["outcome"]["num_parameters"]
        assert 0 < wild["outcome"]["train_s"] < wild["wall_s"]


def test_a_trial_over_its_time_within_an_epoch_counts_the_batches_that_it_trained(tmp_path: Path) -> None:
    ticks = itertools.count(0.0, 1.0)
    jobs = [job(tmp_path, 0.01, limits=Limits(max_seconds=10.0)), job(tmp_path, 0.05)]
    ended = {attempt.job.key: end for attempt, end in group.run_group(jobs, lambda job, event: None, ticks.__next__)}
    with pytest.raises(TrialTimeout) as late:
        ended[jobs[0].key]()
    whole = ended[jobs[1].key]()
    batches = 3 * 5 * late.value.outcome["train_flops"] / whole["train_flops"]  # three epochs of five batches
    assert 0 < batches < 15
    assert batches == pytest.approx(round(batches))


def test_one_over_its_time_ends_and_the_others_go_on(tmp_path: Path) -> None:
    ticks = itertools.count(0.0, 1.0)
    jobs = [job(tmp_path, 0.001), job(tmp_path, 0.01, limits=Limits(max_seconds=10.0)), job(tmp_path, 0.05)]
    ended = {attempt.job.key: end for attempt, end in group.run_group(jobs, lambda job, event: None, ticks.__next__)}
    with pytest.raises(TrialTimeout):
        ended.pop(jobs[1].key)()
    assert [end()["status"] for end in ended.values()] == ["completed", "completed"]


@pytest.mark.parametrize(("stop_at", "epochs"), [(5, 0), (8, 1)], ids=["before validation", "within an epoch"])
def test_a_group_asked_to_stop_goes_on_bit_equal_in_any_company(
    stop_at: int, epochs: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates = (0.001, 0.01, 0.05)
    undisturbed = run([job(tmp_path / "one", lr) for lr in rates])
    stop = tmp_path / "stop"
    batches = itertools.count(1)
    train_batch = FusedTrainer._train_batch

    def counted(self: FusedTrainer, of_each: Any) -> None:
        train_batch(self, of_each)
        if next(batches) == stop_at:
            stop.touch()

    monkeypatch.setattr("rnnbench.trial.pulse.LOOK_EVERY_S", 0.0)
    monkeypatch.setattr(FusedTrainer, "_train_batch", counted)
    first = run([job(tmp_path / "two", lr, stop_file=str(stop)) for lr in rates])
    assert [(event["status"], event["outcome"]["epochs"]) for event in first.values()] == [("interrupted", epochs)] * 3
    stop.unlink()
    last = run([job(tmp_path / "two", lr) for lr in (0.001, 0.05)]) | run([job(tmp_path / "two", lr) for lr in (0.002, 0.01)])
    for key, event in undisturbed.items():
        assert last[key]["status"] == "completed"
        assert numbers(last[key]) == numbers(event)
        assert last[key]["wall_s"] > first[key]["wall_s"]


def test_those_that_a_scheduler_wants_back_are_paused(tmp_path: Path) -> None:
    ended = run([job(tmp_path, 0.001, until_epoch=1), job(tmp_path, 0.01), job(tmp_path, 0.05, until_epoch=2)])
    assert [(event["status"], event["outcome"]["epochs"]) for event in ended.values()] == [("paused", 1), ("completed", 3), ("paused", 2)]


def test_a_group_without_room_goes_on_in_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    run_epoch = FusedTrainer.run_epoch

    def crowded(self: FusedTrainer, *splits: Any) -> Any:
        sizes.append(len(self.trainers))
        if len(self.trainers) > 2:
            raise MemoryError("too many")
        return run_epoch(self, *splits)

    monkeypatch.setattr(FusedTrainer, "run_epoch", crowded)
    ended = run([job(tmp_path, lr) for lr in (0.001, 0.002, 0.01, 0.02, 0.05)])
    assert {event["status"] for event in ended.values()} == {"completed"}
    assert sizes[0] == 5
    assert set(sizes[1:]) == {1, 2}
    assert {event["outcome"]["mode"] for event in ended.values()} == {"fused"}


@pytest.mark.parametrize(("worthwhile", "mode"), [(True, "fused"), (False, "single")])
def test_the_probe_decides_and_its_figures_are_reported(
    worthwhile: bool, mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    probed = {"single_s": 0.1, "fused_s": 0.05, "number": 2, "worthwhile": worthwhile, "batches": 3, "bytes_each": 1}
    monkeypatch.setattr(group, "measure", lambda *arguments: probed)
    events: list[Event] = []
    ended = run([job(tmp_path, lr, fuse="auto") for lr in (0.001, 0.01)], events.append)
    assert {event["outcome"]["mode"] for event in ended.values()} == {mode}
    assert [event["single_s"] for event in events if event["kind"] == "probed"] == [0.1]


def test_a_probe_measures_and_leaves_the_trials_as_they_are(tmp_path: Path) -> None:
    plain = run([job(tmp_path / "one", lr) for lr in (0.001, 0.01)])
    events: list[Event] = []
    monkey = pytest.MonkeyPatch()
    with monkey.context() as patch:
        patch.setattr("rnnbench.trial.probe.WORTHWHILE", 0.0)
        probed = run([job(tmp_path / "two", lr, fuse="auto") for lr in (0.001, 0.01)], events.append)
    (found,) = [event for event in events if event["kind"] == "probed"]
    assert min(found["single_s"], found["fused_s"]) > 0
    assert found["number"] == 2
    assert found["batches"] == 5
    for key, event in plain.items():
        assert numbers(probed[key]) == numbers(event)


def test_a_task_that_trains_in_its_own_way_runs_one_by_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "can_fuse", lambda module: False)
    ended = run([job(tmp_path, lr) for lr in (0.001, 0.01)])
    assert [(event["status"], event["outcome"]["mode"]) for event in ended.values()] == [("completed", "single")] * 2


def test_a_trials_peak_of_memory_is_not_that_of_what_its_process_did_before(tmp_path: Path) -> None:
    assert restart_peak(), "the kernel of these tests can"
    hog = bytearray(300_000_000)
    hog[::4096] = b"x" * len(hog[::4096])
    before = peak_bytes()
    del hog
    (alone,) = run([job(tmp_path, 0.01, fuse="never")]).values()
    assert alone["outcome"]["peak_memory_of"] == "trial"
    assert 0 < alone["outcome"]["peak_memory_bytes"] < before - 200_000_000
    for event in run([job(tmp_path, lr) for lr in (0.001, 0.05)]).values():
        assert event["outcome"]["peak_memory_of"] == "group"
