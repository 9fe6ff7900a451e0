"""Signals that end a sweep, as exceptions that unwind it cleanly."""

from types import FrameType

SIGTERM_EXIT = 143


def stop_on_sigterm(_number: int, _frame: FrameType | None) -> None:
    """A SIGTERM handler: unwinds the main thread with the exit code 143."""
    raise SystemExit(SIGTERM_EXIT)
