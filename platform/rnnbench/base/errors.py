"""Every error a person can meet, and the exit code of each.

RnnbenchError            1  anything we raise on purpose
+-- InputError           2  what the user gave cannot be used; nothing was started
|   +-- SweepFileError   2  a sweep file, with file:line:column
|   +-- ParameterError   2  a parameter's name or value
|   +-- UnknownNameError 2  no cell, task, data set, sweep (UnknownSweepError) or trial of that name
|   +-- DataError        2  a data file that is missing, damaged or unusable
|   +-- LedgerError      2  a ledger that cannot be opened, or is newer than this program
|   +-- PlanChangedError 2  the same sweep name with a different plan
|   +-- SweepHeldError   2  another process runs this sweep
+-- CheckpointError      1  a checkpoint that cannot be used; the trial falls back
+-- TrialLost            1  a trial that ended without a result
|   +-- TrialDiverged    1  a loss, gradient or metric that is not finite
|   +-- TrialTimeout     1  a trial that reached its time limit
+-- TrialInterrupted     1  a trial that was asked to stop; it goes on later
+-- RanksLostError       1  a process that trained a part of each batch died or failed
+-- StoreError           1  the store of checkpoints does not answer, or refuses; the sweep stops and can be resumed
+-- DiskFullError        1  no room for a database, checkpoint or log; the sweep stops and can be resumed
+-- TrackingError        1  the tracking server does not take what it is told
+-- LeaseLostError       1  another process has taken the sweep over
"""

from typing import Any


class RnnbenchError(Exception):
    """Anything rnnbench raises on purpose; the text is one line for a person."""

    exit_code = 1


class InputError(RnnbenchError):
    """What the user gave cannot be used; the text says what, where and what to do."""

    exit_code = 2


class SweepFileError(InputError):
    """A sweep file that is not valid; `where` is file:line:column.

    Args:
        message: What was found, what is allowed.
        where: The place, as `file:line:column`; empty when there is none.
    """

    def __init__(self, message: str, where: str = "") -> None:
        super().__init__(f"{where}: {message}" if where else message)
        self.message = message
        self.where = where


class ParameterError(InputError):
    """A parameter's name or value is not allowed."""


class UnknownNameError(InputError):
    """No cell, task, data set, sweep or trial has that name."""


class UnknownSweepError(UnknownNameError):
    """No sweep of that name is in the ledger."""


class DataError(InputError):
    """A data file is missing, damaged or cannot be used for this task."""


class LedgerError(InputError):
    """The ledger cannot be opened, or was written by a newer rnnbench."""


class PlanChangedError(InputError):
    """The sweep of that name was planned from a different file."""


class SweepHeldError(InputError):
    """Another process runs this sweep; the text names host, pid and since when."""


class CheckpointError(RnnbenchError):
    """A checkpoint is missing, damaged or not ours."""


class TrialLost(RnnbenchError):
    """A trial ended without a result; `outcome` is what is known of it all the same."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.outcome: dict[str, Any] = {}


class TrialDiverged(TrialLost):
    """A loss, gradient norm or metric became NaN or infinite."""


class TrialTimeout(TrialLost):
    """A trial reached its `max_seconds`."""


class TrialsApart(RnnbenchError):
    """Several trials had better run one by one."""


class TrialInterrupted(RnnbenchError):
    """A trial was asked to stop; its checkpoint lets it go on later."""


class RanksLostError(RnnbenchError):
    """A process that trained a part of each batch died or failed; `category` says how the attempt ends.

    Args:
        message: One line, or a traceback.
        category: worker_killed, oom or error.
    """

    def __init__(self, message: str, category: str = "worker_killed") -> None:
        super().__init__(message)
        self.category = category


class DiskFullError(RnnbenchError):
    """There is no room left for a database, checkpoint or log."""


class StoreError(RnnbenchError):
    """The store of checkpoints does not answer, or refuses."""


class LeaseLostError(RnnbenchError):
    """Another process has taken the sweep over, because this one was silent for too long."""


class TrackingError(RnnbenchError):
    """The tracking server does not take what it is told; the ledger keeps it for later."""
