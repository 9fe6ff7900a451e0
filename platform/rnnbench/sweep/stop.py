"""Stopping a sweep: Ctrl-C, SIGTERM, a cancel from another process, a full disk; always at a point that can be resumed."""

import contextlib
import logging
import signal
import sys
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

log = logging.getLogger(__name__)

SIGINT_EXIT, SIGTERM_EXIT = 130, 143
# Slurm and Kubernetes give 30 s between SIGTERM and SIGKILL; running trials save within a batch's time.
GRACE_S = 20.0

_SIGNALS = {signal.SIGINT: "interrupt", signal.SIGTERM: "terminate", signal.SIGHUP: "terminate"}


class Stop:
    """Whether, and why, a sweep is to stop. As a context manager it takes the signals of the main thread.

    The first signal asks: no further trial starts, running ones save a checkpoint and hand themselves back. A second Ctrl-C,
    or the end of the grace, unwinds the main thread at once.

    Args:
        file: Appears when the sweep is to stop; running trials look for it, also on other machines.
    """

    def __init__(self, file: Path, grace_s: float = GRACE_S) -> None:
        self.file = file
        self.reason: str | None = None
        self._grace_s = grace_s
        self._before: dict[int, Any] = {}
        self._hook: Any = sys.unraisablehook

    def request(self, reason: str) -> None:
        """Asks the sweep to stop; the first reason counts. May be called from any thread."""
        if self.reason is not None:
            return
        self.reason = reason
        # Without room for an empty file the trials run on to the grace's end.
        with contextlib.suppress(OSError):
            self.file.parent.mkdir(parents=True, exist_ok=True)
            self.file.touch()

    @property
    def exit_code(self) -> int:
        """130 after Ctrl-C, 143 after SIGTERM, else 1."""
        return {"interrupt": SIGINT_EXIT, "terminate": SIGTERM_EXIT}.get(self.reason or "", 1)

    def __enter__(self) -> "Stop":
        """Takes SIGINT, SIGTERM and SIGHUP."""
        self.file.unlink(missing_ok=True)
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._on_signal) for number in (*_SIGNALS, signal.SIGALRM)}
            self._hook, sys.unraisablehook = sys.unraisablehook, self._on_unraisable
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Gives the signals back."""
        if self._before:
            signal.setitimer(signal.ITIMER_REAL, 0)
            sys.unraisablehook = self._hook
            for number, handler in self._before.items():
                signal.signal(number, handler)
        self.file.unlink(missing_ok=True)

    def _on_unraisable(self, unraisable: Any) -> None:  # sys.UnraisableHookArgs
        """The exception of a signal that came where Python drops exceptions (a finaliser): raised again in a moment."""
        if issubclass(unraisable.exc_type, KeyboardInterrupt | SystemExit):
            signal.setitimer(signal.ITIMER_REAL, 0.05)
        else:
            self._hook(unraisable)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        asked_before = self.reason
        if number != signal.SIGALRM:
            self.request(_SIGNALS[signal.Signals(number)])
            if asked_before is None:
                signal.setitimer(signal.ITIMER_REAL, self._grace_s)
                return
            if number != signal.SIGINT:
                return
        if self.exit_code == SIGINT_EXIT or number == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(self.exit_code)
