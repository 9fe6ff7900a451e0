"""What this machine is, and its memory as far as this process uses it."""

import ctypes
import os
import platform
import resource
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_USES = ("/sys/fs/cgroup/memory.current", "/sys/fs/cgroup/memory/memory.usage_in_bytes")
# Options of mallopt(3).
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3


def processor() -> str:
    """The processor's name, or its kind where the system does not tell."""
    with suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())
    return platform.processor() or platform.machine()


def available_cpus() -> int:
    """CPUs this process may use, at least 1."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def available_bytes() -> int:
    """Memory that can still be used without swapping: what the system has, or what the container's limit leaves, at least 1."""
    limits = [_left_in_system()]
    for limit, use in zip(_LIMITS, _USES, strict=True):
        with suppress(OSError, ValueError):  # no such control group, or no limit: "max"
            limits.append(int(Path(limit).read_text()) - int(Path(use).read_text()))
    return max(1, min(limits))


def _left_in_system() -> int:
    return _line("/proc/meminfo", "MemAvailable:") or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def resident_bytes() -> int:
    """Memory that this process holds now; 0 where the system does not tell."""
    return _line("/proc/self/status", "VmRSS:")


def peak_bytes(process: int | None = None) -> int:
    """The most memory this process, or another of this user, has held since `restart_peak`.

    Where the system does not tell, this process's in its whole life, and 0 for another.
    """
    if peak := _line(f"/proc/{process or 'self'}/status", "VmHWM:"):
        return peak
    unit = 1 if sys.platform == "darwin" else 1024
    return 0 if process else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def restart_peak() -> bool:
    """Lets `peak_bytes` start again from what is held now; says whether the system can."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


@cache
def keep_freed_memory() -> None:
    """Has the C library keep what is freed for the next request of this process, instead of giving it back and asking again.

    Training frees and requests the same tens of megabytes with every batch; the system clears each page that it hands out again.
    Other C libraries than GNU's are left as they are.
    """
    with suppress(OSError, AttributeError):
        mallopt = ctypes.CDLL(None).mallopt
        for threshold in (_MMAP_THRESHOLD, _TRIM_THRESHOLD):
            # Older versions refuse more than 32 MiB.
            mallopt(threshold, 1 << 25)
            mallopt(threshold, 1 << 30)


def return_freed_memory() -> None:
    """Gives the system back what `keep_freed_memory` kept."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def _line(path: str, name: str) -> int:
    """Bytes that a line of a file of the kernel gives in kB; 0 where there is none."""
    with suppress(OSError):
        lines = Path(path).read_text().splitlines()
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), 0)
    return 0
