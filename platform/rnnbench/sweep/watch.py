"""Watching the others that hold leases: who is at work, and who is gone, so that what it had can be taken up."""

import time
from collections.abc import Callable, Iterable

from rnnbench.ledger.records import LeaseRecord
from rnnbench.sweep import lease as leasing


class Watch:
    """Follows the beats of leases by this process's own clock: those of other machines differ and jump."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        # By token: the beats last seen, and since when.
        self._seen: dict[str, tuple[int, float]] = {}

    def find_gone(self, leases: Iterable[LeaseRecord]) -> list[LeaseRecord]:
        """Those whose process has ended, that look old and gave no sign for some beats, or were silent for as long as a lease lasts."""
        now, seen, gone = self._clock(), self._seen, []
        self._seen = {}
        for lease in leases:
            token = lease.holder.token
            beats, since = seen.get(token, (lease.beats, now))
            self._seen[token] = (lease.beats, since if beats == lease.beats else now)
            silent_s = now - self._seen[token][1]
            patience_s = leasing.LEASE_S if leasing.is_live(lease) else leasing.OBSERVED_BEATS * leasing.BEAT_S
            if leasing.is_gone(lease.holder) or silent_s >= patience_s:
                gone.append(lease)
        return gone
