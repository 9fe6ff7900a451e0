"""The Ray Tune executor: trials run in reused actors; the ledger, not Tune, knows what is pending and what is done.

The only file that imports ray. Tune asks for one trial at a time (a Searcher that claims from the queue), so nothing is
claimed long before it runs, and a restart is a new Tuner over what is pending.
"""

import functools
import gc
import importlib
import json
import logging
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from rnnbench.base.errors import InputError
from rnnbench.base.machine import available_cpus
from rnnbench.base.names import listed, printable
from rnnbench.sweep.executor import NextJobs, Queue, Record, lost
from rnnbench.sweep.hosted import HUNGRY, Hosting, run_hosted
from rnnbench.sweep.ray_access import check_machine, secure
from rnnbench.trial.door import Event, run_jobs

_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_AUTO_INIT": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Tune's own snapshot is never read: the ledger is what a sweep resumes from.
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000000",
    "TUNE_WARN_THRESHOLD_S": "60",
}

# The first event of each trial, for this file alone: where Ray has placed it.
PLACED = "placed"
# Ray notices a lost node by a closed connection, or after some missed health checks.
NODE_NOTICE_S = 20.0
# A private Ray whose node is gone hands out nothing and says nothing.
NODE_CHECK_S = 2.0
MAX_RAY_DEATHS = 3


log = logging.getLogger(__name__)


class _Ending:
    """The end of a Ray, a second of waiting for its processes, goes on beside what the program does next."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    def start(self, *steps: Callable[[], None]) -> None:
        """The program does not exit before they are done."""

        def run() -> None:
            for step in steps:
                step()

        self._thread = threading.Thread(target=run)
        self._thread.start()

    def join(self) -> None:
        """Waits for it."""
        if self._thread is not None:
            self._thread.join()


_ending = _Ending()


class _RayDied(Exception):  # not a mistake of anybody's
    """The private Ray has lost its only node."""


class RayExecutor:
    """Runs trials on a Ray of this machine (`local`), one already running (`auto`) or a cluster's address.

    Args:
        address: `local` starts a private Ray and ends it afterwards.
        cpus_per_worker: CPUs, and threads of torch, that each worker of a trial gets.
        workers: Processes that train each trial together, on one machine: their CPUs are reserved at once, so that trials cannot wait
            for each other's.
        gpus: Of each worker, from 0 to 1.
        num_gpus: GPUs of the private Ray; None: those that it finds.
        max_concurrent: Most trials at once; None: as many as the CPUs allow.
        num_cpus: CPUs of the private Ray; None: those this process may use.
        insecure: Accept a running Ray that asks for no token.
        tasks: Names of the tasks whose code workers import before they start.
    """

    def __init__(
        self,
        address: str,
        cpus_per_worker: int,
        max_concurrent: int | None = None,
        num_cpus: int | None = None,
        *,
        insecure: bool = False,
        tasks: Sequence[str] = (),
        workers: int = 1,
        gpus: float = 0.0,
        num_gpus: int | None = None,
    ) -> None:
        self.address = address
        self.cpus_per_worker = cpus_per_worker
        self.cpus_per_trial = cpus_per_worker * workers
        self.gpus_per_trial = gpus * workers
        self.num_gpus = num_gpus
        self.max_concurrent = max_concurrent
        self.num_cpus = num_cpus
        self.insecure = insecure
        self.tasks = tuple(tasks)

    def execute(self, next_jobs: NextJobs, record: Record) -> None:
        """See Executor."""
        os.environ.update({name: os.environ.get(name, value) for name, value in _QUIET.items()})
        check_machine(self.address)
        secure(self.address, insecure=self.insecure)
        logging.getLogger("ray").setLevel(logging.ERROR)
        if self.address != "local":
            self._run_through_deaths(next_jobs, record, None)
            return
        with Hosting(self.cpus_per_worker, self.tasks) as hosting:  # starts while Ray does
            self._run_through_deaths(next_jobs, record, hosting)

    def _run_through_deaths(self, next_jobs: NextJobs, record: Record, hosting: Hosting | None) -> None:
        deaths = 0
        while True:
            ended = 0

            def record_ended(event: Event) -> None:
                nonlocal ended
                ended += event["kind"] == "finished" and event["status"] != "interrupted"
                record(event)

            try:
                self._run_until_done(next_jobs, record_ended, hosting)
                return
            except _RayDied as error:
                deaths = 1 if ended else deaths + 1
                if deaths == MAX_RAY_DEATHS:
                    raise InputError(
                        f"Ray's processes on this machine died {deaths} times before a trial had ended; "
                        "look for what kills them (memory, a limit of the site), or say --executor inline"
                    ) from error
                log.warning("Ray's processes on this machine died; they are started again")

    def _run_until_done(self, next_jobs: NextJobs, record: Record, hosting: Hosting | None) -> None:
        """Raises: _RayDied."""
        import ray

        tune_import = threading.Thread(target=importlib.import_module, args=("ray.tune",), daemon=True)
        tune_import.start()  # Ray's start is mostly waiting
        _ending.join()
        scratch = Path(tempfile.mkdtemp(prefix="rnnbench-tune-"))
        terminate = signal.getsignal(signal.SIGTERM)
        is_private = self.address == "local"
        # With an address of a running Ray, num_cpus must not be given.
        num_cpus = (self.num_cpus or max(available_cpus(), self.cpus_per_trial)) if is_private else None
        num_gpus = self.num_gpus if is_private else None
        try:
            ray.init(address=self.address, num_cpus=num_cpus, num_gpus=num_gpus, log_to_driver=False, logging_level=logging.ERROR)
        except (ConnectionError, OSError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
            words = printable(" ".join(str(error).split()), 300)
            raise InputError(f"Ray ({self.address}) cannot be used: {words}; without it: --executor inline") from error
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, terminate)  # ray.init installs one of its own
        try:
            self._require_room(ray.nodes())
            concurrent = self._room(ray.cluster_resources())
            # As many workers may be starting at once; our searcher hands out no more than that.
            os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = str(concurrent)
            tune_import.join()
            from ray import tune

            tune.Tuner(
                tune.with_resources(_run_in_actor, tune.PlacementGroupFactory([self.bundle()])),
                tune_config=tune.TuneConfig(
                    search_alg=_claiming_searcher(next_jobs, concurrent, hosting),
                    scheduler=_recorder(record, next_jobs, hosting),
                    num_samples=-1,
                    reuse_actors=True,
                    trial_name_creator=_trial_name,
                    trial_dirname_creator=_trial_name,
                ),
                run_config=tune.RunConfig(
                    name="tune",
                    storage_path=str(scratch),
                    verbose=0,
                    log_to_file=False,
                ),
            ).fit()
        finally:
            # Ray ends a process that lets go of one of its objects while another thread shuts it down: Tune's, which refer to each other,
            # go first.
            gc.collect()
            if not is_private:
                ray.shutdown()  # nothing to wait for: its processes stay
            _ending.start(ray.shutdown, functools.partial(shutil.rmtree, scratch, ignore_errors=True))

    def _require_room(self, nodes: Sequence[Mapping[str, Any]]) -> None:
        """Refuses what no machine of the cluster can ever hold: Tune would wait for it."""
        alive = [node["Resources"] for node in nodes if node["Alive"]]
        if any(all(resources.get(kind, 0) >= amount for kind, amount in self.bundle().items()) for resources in alive):
            return
        wanted = f"{self.cpus_per_trial} CPUs" + (f" and {self.gpus_per_trial:g} GPUs" if self.gpus_per_trial else "")
        most = [f"{max((resources.get(kind, 0) for resources in alive), default=0):g} {kind}s" for kind in self.bundle()]
        raise InputError(
            f"a trial needs {wanted} of one machine (resources.cpus and gpus for each of resources.workers), and no machine of Ray "
            f"({self.address}) has more than {listed(most)}; lower one of them"
        )

    def bundle(self) -> dict[str, float]:
        """What Ray reserves for a trial, all of it at once and on one machine."""
        return {"CPU": float(self.cpus_per_trial)} | ({"GPU": self.gpus_per_trial} if self.gpus_per_trial else {})

    def _room(self, resources: Mapping[str, float]) -> int:
        """Trials that can run at once."""
        rooms = [int(resources.get(kind, 0) / amount + 1e-9) for kind, amount in self.bundle().items()]
        return max(1, min(self.max_concurrent or rooms[0], *rooms))


def _run_in_actor(config: dict[str, Any]) -> None:
    import ray
    from ray import tune

    def report(events: list[Event]) -> None:
        tune.report({"events": json.dumps(events)})

    if config["place"] is not None:
        run_hosted(config["jobs"], config["place"], report)
        return
    report([{"kind": PLACED, "node": ray.get_runtime_context().get_node_id()}])
    run_jobs(config["jobs"], lambda event: report([event]), alone=True)


def _trial_name(trial: Any) -> str:  # ray's Trial; ray is imported late
    return str(trial.config["jobs"][0]["key"][:16])


def _claiming_searcher(next_jobs: NextJobs, concurrent: int, hosting: Hosting | None) -> Any:  # a ray Searcher
    from ray.tune.search import Searcher

    class ClaimingSearcher(Searcher):
        """Hands Tune what is claimed next, never more than runs at once."""

        def __init__(self, next_jobs: NextJobs, hosting: Hosting | None) -> None:
            super().__init__()
            self.next_jobs = next_jobs
            self.hosting = hosting
            self.live: set[str] = set()

        def __getstate__(self) -> dict[str, Any]:
            return {}  # Tune writes its parts to disk; the ledger holds our state, and nobody reads theirs

        def set_search_properties(self, metric: str | None, mode: str | None, config: dict[str, Any], **spec: Any) -> bool:
            return True

        def suggest(self, trial_id: str) -> Any:  # a config, None for later, or FINISHED, a text that the base class does not declare
            if len(self.live) >= concurrent:
                return None
            jobs = self.next_jobs()
            if isinstance(jobs, list):
                self.live.add(trial_id)
                place = None if self.hosting is None else self.hosting.place(trial_id)
                return {"jobs": [job.to_dict() for job in jobs], "place": place}
            return Searcher.FINISHED if jobs is Queue.DONE else None

        def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
            self.live.discard(trial_id)

        def save(self, checkpoint_path: str) -> None:
            """Nothing: the ledger holds the state."""

        def restore(self, checkpoint_path: str) -> None:
            """Nothing: the ledger holds the state."""

    return ClaimingSearcher(next_jobs, hosting)


def _recorder(record: Record, next_jobs: NextJobs, hosting: Hosting | None) -> Any:  # a ray TrialScheduler
    import ray
    from ray.tune.schedulers import FIFOScheduler

    class Recorder(FIFOScheduler):
        """Passes each event on, and turns a dead worker into a finished event.

        A scheduler, for it is told what a callback is told; with a callback Tune imports every tracker that it knows.
        """

        def __init__(self, record: Record, next_jobs: NextJobs, hosting: Hosting | None) -> None:
            super().__init__()  # type: ignore[no-untyped-call]  # ray's
            self.record = record
            self.next_jobs = next_jobs
            self.hosting = hosting
            self.running: dict[str, dict[str, dict[str, Any]]] = {}
            self.nodes: dict[str, str] = {}
            self.next_check = time.monotonic() + NODE_CHECK_S

        def __getstate__(self) -> dict[str, Any]:
            return {}  # see ClaimingSearcher

        def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
            for event in json.loads(result["events"]):
                if event["kind"] == PLACED:
                    self.nodes[trial.trial_id] = event["node"]
                elif event["kind"] == HUNGRY:
                    self._feed(trial)
                else:
                    if event["kind"] == "finished":
                        self._running(trial).pop(event["key"], None)
                    self.record(event)
            decision: str = FIFOScheduler.CONTINUE
            return decision

        def on_trial_error(self, tune_controller: Any, trial: Any) -> None:
            if self._running(trial):
                error = _error_text(trial)
                self._record_loss(trial, error, *_loss(error, self.nodes.get(trial.trial_id)))

        def _feed(self, trial: Any) -> None:
            jobs = self.next_jobs()
            plain_jobs = [job.to_dict() for job in jobs] if isinstance(jobs, list) else []
            self._running(trial).update({job["key"]: job for job in plain_jobs})
            assert self.hosting is not None, "only a host's worker asks for more"
            self.hosting.answer(trial.trial_id, plain_jobs)

        def _running(self, trial: Any) -> dict[str, dict[str, Any]]:
            """The jobs of a Tune trial that have not ended, by key."""
            if trial.trial_id not in self.running:
                self.running[trial.trial_id] = {job["key"]: job for job in trial.config["jobs"]}
            return self.running[trial.trial_id]

        def choose_trial_to_run(self, tune_controller: Any) -> Any:
            if self.hosting is not None and time.monotonic() >= self.next_check:
                self.next_check = time.monotonic() + NODE_CHECK_S
                if not any(node["Alive"] for node in ray.nodes()):
                    self._record_all_lost(tune_controller.get_trials())
                    raise _RayDied
            return super().choose_trial_to_run(tune_controller)

        def _record_all_lost(self, trials: list[Any]) -> None:
            for trial in trials:
                if not trial.is_finished():
                    self._record_loss(trial, "Ray's processes on this machine died", "interrupted", "node_lost")

        def _record_loss(self, trial: Any, error: str, status: str, category: str) -> None:
            running = self._running(trial)
            while running:
                _, job = running.popitem()
                self.record(lost(job, error, status, category))

    return Recorder(record, next_jobs, hosting)


def _error_text(trial: Any) -> str:
    path = trial.error_file
    if path and Path(path).exists():
        return Path(path).read_text(errors="replace")[-64_000:]
    return "the worker process ended without a word"


def _loss(error: str, node: str | None) -> tuple[str, str]:
    """Status and category of an attempt whose worker is gone, from Ray's own words and what it knows of the node."""
    if "OutOfMemoryError" in error:
        return "failed", "oom"
    if "was preempted" in error or _is_lost(node, patient="unavailable" in error):
        return "interrupted", "node_lost"
    return "failed", "worker_killed"


def _is_lost(node: str | None, *, patient: bool) -> bool:
    """Whether a machine of the cluster has gone, or, for a trial that was nowhere yet, every machine.

    `patient` where its silence may not have been noticed yet.
    """
    import ray

    deadline = time.monotonic() + (NODE_NOTICE_S if patient else 0.0)
    while True:
        if not any(each["Alive"] and node in (each["NodeID"], None) for each in ray.nodes()):
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(0.2)
