"""A small process beside each worker that ends it when a trial breaks its limits: a stuck process cannot end itself.

Run as a script with the standard library alone. Standard input brings one JSON object a line: `{"watch": {...}}` starts a
trial, `{"beat": 1}` is a sign of life, `{"rest": 1}` ends the watch; its end ends the guard.
"""

import json
import os
import selectors
import signal
import sys
import time
from pathlib import Path
from typing import Any

POLL_S = 0.1
# The worker checks its deadline itself, between two batches; this is for the one that no longer does.
GRACE_S = 5.0


def private_bytes(pid: int) -> int:
    """Memory that is a process's own; 0 where the system does not tell."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("RssAnon:")), 0)


def broken(watch: dict[str, Any], started: float, beat: float, now: float, memory: int) -> tuple[str, str] | None:
    """The category and the words for the limit that a trial breaks; None while it keeps all."""
    limit = watch["memory_bytes"]
    if limit is not None and memory > limit:
        return "oom", f"the worker held {memory / 1e9:.2f} GB, more than resources.memory_gb ({limit / 1e9:g}); it was ended"
    limit = watch["max_seconds"]
    if limit is not None and now - started > limit + GRACE_S:
        return "timeout", "the trial reached budget.max_seconds and did not stop; its worker was ended"
    limit = watch["max_silent_seconds"]
    if limit is not None and now - beat > limit:
        return "hang", f"no sign of life for {now - beat:.0f} s (budget.max_silent_seconds is {limit:g}); the worker was ended"
    return None


def main() -> None:
    """Watches the process whose number is the first argument until standard input ends."""
    worker = int(sys.argv[1])
    watch: dict[str, Any] | None = None
    started = beat = 0.0
    rest = b""
    selector = selectors.DefaultSelector()
    selector.register(0, selectors.EVENT_READ)
    while True:
        if selector.select(POLL_S):
            content = os.read(0, 65536)
            if not content:
                return
            *lines, rest = (rest + content).split(b"\n")
            for line in lines:
                message = json.loads(line)
                beat = time.monotonic()
                if "watch" in message:
                    watch, started = message["watch"], beat
                elif "rest" in message:
                    watch = None
        if watch is None:
            continue
        verdict = broken(watch, started, beat, time.monotonic(), private_bytes(worker))
        if verdict is not None:
            category, error = verdict
            for place, attempt in watch["verdicts"].items():
                partial = Path(place + ".partial")
                partial.write_text(json.dumps({"attempt": attempt, "category": category, "error": error}))
                partial.replace(place)
            os.kill(worker, signal.SIGKILL)
            return


if __name__ == "__main__":
    # They reach every process of a job; this one ends with its worker.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    main()
