"""The one door into a worker: a job comes in as plain data, events go out, and every error ends here as an outcome."""

import logging
import os
import socket
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from rnnbench.base.errors import RanksLostError, RnnbenchError, StoreError, TrialDiverged, TrialsApart, TrialTimeout
from rnnbench.base.files import is_disk_full
from rnnbench.base.machine import keep_freed_memory, peak_bytes, processor, restart_peak, return_freed_memory
from rnnbench.base.secrets import redact
from rnnbench.trial.files import LOG
from rnnbench.trial.job import Cost, Job, receive

log = logging.getLogger(__name__)

Event = dict[str, Any]
Report = Callable[[Event], None]

MAX_TRACEBACK_CHARS = 64_000


def run_jobs(plain_jobs: Sequence[Mapping[str, Any]], report: Report, *, alone: bool = False) -> None:
    """Runs attempts and reports their events, each with a last one of kind `finished`, see `run_job`.

    Several, of one shape, are trained together unless one by one is as fast. Where that fails for a reason that is no trial's own
    (no room, a cell that cannot), they go on in halves, at last one by one.
    """
    if alone:
        keep_freed_memory()
    if plain_jobs[0]["fuse"] == "never":
        for plain_job in plain_jobs:
            report(run_job(plain_job, report, alone=alone))
        return
    jobs = [receive(plain_job) for plain_job in plain_jobs]
    left = {job.key: plain_job for job, plain_job in zip(jobs, plain_jobs, strict=True)}

    def send(job: Job, event: Event) -> None:
        _send(job, report, event)

    try:
        restarted = forget_peak(alone=alone)
        with ExitStack() as logs:
            for job in jobs:
                logs.enter_context(_log_beside(Path(job.folder)))
            from rnnbench.trial.group import run_group

            for attempt, end in run_group(jobs, send, alone=alone):
                own = {"mode": "fused", "fused": len(jobs), "peak_memory_of": "group" if restarted else "process"}
                surroundings = {**_surroundings(attempt.job), **own}
                finished = _conclude(attempt.job, surroundings, time.monotonic() - attempt.elapsed_s(), end)
                left.pop(attempt.job.key)
                report(finished)
    except StoreError as away:
        for job in jobs:
            if job.key in left:  # one by one each would wait for the store again
                report(_conclude(job, _surroundings(job), time.monotonic(), partial(_raise, away)))
    except Exception as error:  # noqa: BLE001 - whatever it is, alone it is recorded as the trial's own
        size = 1 if isinstance(error, TrialsApart) else len(left) // 2
        log.info("%d trials do not run together, they go on by %d: %s", len(left), max(1, size), error)
        rest = [{**plain_job, "fuse": "always" if size > 1 else "never"} for plain_job in left.values()]
        for start in range(0, len(rest), max(1, size)):
            run_jobs(rest[start : start + max(1, size)], report, alone=alone)


def run_job(plain_job: Mapping[str, Any], report: Report, *, alone: bool = False) -> Event:
    """Runs one attempt and returns its last event, of kind `finished`; earlier ones go to `report`.

    Events are plain dicts with `kind`, `key` and `attempt`:
        epoch: `epoch` from 1, `wall_s`, `metrics`, `best`, `best_epoch`, `last`
        epoch_again: one of an earlier attempt, with all that it said then
        test_opened: the next thing read is the test split
        probed: how fast several trials are together, see `trial.probe.measure`
        finished: `status` (completed, paused, interrupted, diverged, failed), `outcome`, `wall_s`, `error`, `category`

    Only what asks the process itself to stop (KeyboardInterrupt, SystemExit, an executor's own signal) leaves as an exception.

    Args:
        alone: Whether this process may be ended from outside when the trial breaks its limits.
    """
    job, started = receive(plain_job), time.monotonic()
    restarted = forget_peak(alone=alone)
    own = {"peak_memory_of": "rank" if job.workers > 1 else "trial" if restarted else "process"}

    def run() -> dict[str, Any]:
        with _log_beside(Path(job.folder)):
            # Imported here, so that the driver can know this door without torch.
            from rnnbench.trial.run import run_trial

            return run_trial(job, partial(_send, job, report), time.monotonic, alone=alone)

    return _conclude(job, {**_surroundings(job), **own}, started, run)


def cost_of(plain_jobs: Sequence[Mapping[str, Any]]) -> Cost:
    """What the first of some jobs of one shape takes here, see `trial.forecast.measure_cost`."""
    from rnnbench.trial.forecast import measure_cost

    return measure_cost([receive(plain_job) for plain_job in plain_jobs])


def _send(job: Job, report: Report, event: Event) -> None:
    log.info("event kind=%s key=%s attempt=%d %s", event["kind"], job.key[:8], job.attempt, event.get("metrics", ""))
    report({"key": job.key, "attempt": job.attempt, **event})


def _conclude(job: Job, surroundings: dict[str, Any], started: float, run: Callable[[], dict[str, Any]]) -> Event:
    """The last event of an attempt: what `run` gives, or why it gives nothing."""
    status, outcome, error, category = "failed", surroundings, None, None
    try:
        outcome |= run()
        status = outcome.pop("status")
    except TrialDiverged as diverged:
        status, error, outcome = "diverged", str(diverged), outcome | diverged.outcome
    except TrialTimeout as timeout:
        error, category, outcome = str(timeout), "timeout", outcome | timeout.outcome
    except RanksLostError as lost:
        error, category = str(lost), lost.category
    except StoreError as away:
        status, error, category = "interrupted", str(away), "store"
    except RnnbenchError as refused:
        error, category = str(refused), "error"
    except Exception as failure:  # noqa: BLE001 - the worker's border: whatever it is, it is recorded with its traceback
        if is_disk_full(failure):
            status = "interrupted"
        category = category_of(failure)
        error = redact(traceback.format_exc(), os.environ)[-MAX_TRACEBACK_CHARS:]
    outcome["peak_memory_bytes"] = peak_bytes()
    if helpers := outcome.pop("peaks_of_helpers", []):
        # They share pages of libraries, and each has its peak when it has: together they held this at most.
        outcome["peak_memory_of"] = "ranks"
        outcome["peak_memory_bytes"] += sum(peak["memory_bytes"] for peak in helpers)
        if "peak_gpu_bytes" in outcome:
            outcome["peak_gpu_bytes"] += sum(peak["gpu_bytes"] for peak in helpers)
    finished = {"kind": "finished", "status": status, "error": error, "category": category, "key": job.key, "attempt": job.attempt}
    return {**finished, "wall_s": outcome.pop("elapsed_s", time.monotonic() - started), "outcome": outcome}


def _raise(error: Exception) -> dict[str, Any]:
    raise error


def category_of(failure: Exception) -> str:
    """What an exception that nobody expected is recorded as: disk_full, oom or error."""
    if is_disk_full(failure):
        return "disk_full"
    words = str(failure).lower()
    if isinstance(failure, MemoryError) or "out of memory" in words or "can't allocate memory" in words:
        return "oom"
    return "error"


class _TrialLog(logging.FileHandler):
    """A log whose full disk is not a second error: the checkpoint beside it reports the first."""

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record), os.environ)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Lets the line go."""


@contextmanager
def _log_beside(folder: Path) -> Iterator[None]:
    """Appends what rnnbench logs during the trial to `trial.log` in its folder."""
    folder.mkdir(parents=True, exist_ok=True)
    handler = _TrialLog(folder / LOG, encoding="utf-8")
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logger = logging.getLogger("rnnbench")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
        with suppress(OSError):
            handler.close()


def _surroundings(job: Job) -> dict[str, Any]:
    how = {"mode": "data_parallel", "workers": job.workers} if job.workers > 1 else {"mode": "single"}
    return {
        **how,
        "device": "cuda" if job.gpus else "cpu",
        "threads": job.threads,
        "host": socket.gethostname(),
        "processor": processor(),
        "process_id": os.getpid(),
    }


def forget_peak(*, alone: bool) -> bool:
    """Has `peak_bytes` tell of what follows alone, not of the trials before; says whether it will.

    Args:
        alone: Whether this process is the trial's, which may then give back what is left of the last one.
    """
    if alone:
        return_freed_memory()
    return restart_peak()
