"""Holding a sweep: a process alone, or several that joined, show that they live and are told when somebody wants them to stop.

A lease lapses when its holder is gone (same machine, its process has ended) or has been silent for `LEASE_S`. Clocks of
machines differ and jump, so a lease that looks old is watched for some beats before it is taken.
"""

import logging
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rnnbench.base.errors import DiskFullError, SweepHeldError
from rnnbench.ledger.records import Holder, LeaseRecord

if TYPE_CHECKING:
    from rnnbench.ledger.store import Ledger

log = logging.getLogger(__name__)

LEASE_S = 60.0
BEAT_S = 5.0
OBSERVED_BEATS = 3
# Holders in a message.
MAX_NAMED = 3


def this_process() -> Holder:
    """A holder for a new lease of this process."""
    return Holder(secrets.token_hex(16), socket.gethostname(), os.getpid(), _identity(os.getpid()) or "")


def is_gone(holder: Holder) -> bool:
    """Whether a holder's process has ended; False also where this machine cannot tell."""
    if holder.host != socket.gethostname() or not holder.process:
        return False
    here = _place()
    if not here or not holder.process.startswith(here + " "):
        return False  # another container, or the machine has started anew since; its silence will tell
    return _identity(holder.pid) != holder.process


def is_live(lease: LeaseRecord, now: datetime | None = None) -> bool:
    """Whether a holder seems to be at work, at a glance."""
    if is_gone(lease.holder):
        return False
    return abs(((now or datetime.now(UTC)) - lease.beat_at).total_seconds()) <= LEASE_S


@contextmanager
def hold(
    ledger: "Ledger",
    sweep: str,
    on_loss: Callable[[], None],
    on_request: Callable[[str], None],
    beat_s: float = BEAT_S,
    *,
    joined: bool = False,
) -> Iterator[Holder]:
    """Holds a sweep while the block runs.

    Args:
        joined: Beside others that have joined it; else alone.
        on_loss: Called, in another thread, when somebody else has taken the lease.
        on_request: Called, in another thread, with what somebody asks (`cancel`).
    Raises:
        SweepHeldError: another process holds it, and one of the two wants it alone; the text says who.
    """
    holder = _take(ledger, sweep, beat_s, joined=joined)
    ended = threading.Event()
    told = time.monotonic()

    def beat() -> LeaseRecord | None:
        nonlocal told
        now = time.monotonic()
        lease = ledger.leases.beat(sweep, holder.token, now - told)
        told = now
        return lease

    def keep_beating() -> None:
        asked: str | None = None
        while not ended.wait(beat_s):
            try:
                lease = beat()
            except DiskFullError:
                continue  # whoever records results meets it too, and stops the sweep
            except Exception as error:  # noqa: BLE001 - a database that is away for a moment comes back
                log.warning("the lease of sweep %s was not renewed: %s", sweep, error)
                continue
            if lease is None:
                on_loss()
                return
            if lease.stop is not None and lease.stop != asked:
                asked = lease.stop
                on_request(asked)

    thread = threading.Thread(target=keep_beating, name="lease", daemon=True)
    thread.start()
    try:
        yield holder
    finally:
        ended.set()
        thread.join()
        try:
            beat()
            ledger.leases.drop(sweep, holder.token)
        except DiskFullError as error:
            log.warning("the lease of sweep %s stays until it lapses: %s", sweep, error)


def _take(ledger: "Ledger", sweep: str, beat_s: float, *, joined: bool) -> Holder:
    holder = this_process()
    while True:
        # Of those that it may work beside, a runner finds out by itself whether they live.
        against = [lease for lease in ledger.leases.of(sweep) if not (joined and lease.joined)]
        silent = [lease for lease in against if not is_gone(lease.holder)]
        if live := [lease for lease in silent if is_live(lease)]:
            raise SweepHeldError(_who(live, joined=joined))
        if silent:
            log.warning("sweep %s: its holder seems to be gone; watching for a sign of life", sweep)
            time.sleep(OBSERVED_BEATS * beat_s)
            before = {lease.holder.token: lease.beats for lease in silent}
            again = [lease for lease in ledger.leases.of(sweep) if lease.beats != before.get(lease.holder.token, lease.beats)]
            if again:
                raise SweepHeldError(_who(again, joined=joined))
        if ledger.leases.take(sweep, holder, joined=joined, gone=against) is None:
            return holder


def _who(leases: Sequence[LeaseRecord], *, joined: bool) -> str:
    name = leases[0].sweep
    holders = [f"pid {lease.holder.pid} on {lease.holder.host}, since {lease.since:%Y-%m-%d %H:%M:%S} UTC" for lease in leases]
    shown = "; by ".join(holders[:MAX_NAMED]) + (f"; and by {len(holders) - MAX_NAMED} more" if len(holders) > MAX_NAMED else "")
    advice = "which wants it alone (it was started without --join); wait for it" if joined else "wait for it"
    if not joined and all(lease.joined for lease in leases):
        advice = "work beside it with --join, wait for it"
    return f"sweep '{name}' is being run by {shown}; {advice}, or end it with: rnnbench cancel {name}"


def _identity(pid: int) -> str | None:
    """Machine start, process namespace and start time of a process: never the same twice. None where it is not running."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    place = _place()
    # Field 3 of the whole line is the state (Z: ended, not yet collected), field 22 the start.
    return None if not place or fields[0] in "ZX" else f"{place} {fields[19]}"


def _place() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {os.readlink('/proc/self/ns/pid')}"  # noqa: PTH115 - Path would make it a path
    except OSError:
        return ""
