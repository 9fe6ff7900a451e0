"""This machine's GPUs, and which of them each trial gets: several trials share one, or one trial's workers have one each. No torch."""

import math
import subprocess
import sys
from collections.abc import Mapping, Sequence

from rnnbench.base.errors import InputError

VISIBLE = "CUDA_VISIBLE_DEVICES"
# torch's import on a busy machine, and the start of a driver.
PATIENCE_S = 120.0
_COUNT = "import torch; print(torch.cuda.device_count() if torch.cuda.is_available() else 0)"


def count_gpus() -> int:
    """GPUs that torch can use here, asked in another process: one that has touched a GPU cannot be forked."""
    try:
        command = [sys.executable, "-P", "-W", "ignore", "-c", _COUNT]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, check=True)
        return int(done.stdout.split()[-1])
    except (OSError, subprocess.SubprocessError, ValueError, IndexError):
        return 0


def list_gpus(count: int, environ: Mapping[str, str]) -> list[str]:
    """The names by which CUDA_VISIBLE_DEVICES calls the GPUs that this process may use."""
    named = [name.strip() for name in environ.get(VISIBLE, "").split(",") if name.strip()]
    return named[:count] or [str(number) for number in range(count)]


def deal(gpus: Sequence[str], each: float, workers: int) -> list[str]:
    """What CUDA_VISIBLE_DEVICES is for each trial that can run at once; trials that share a GPU come after those that have their own.

    Args:
        gpus: The machine's.
        each: Of a worker: above 0 to 1.
        workers: Of a trial; each has a GPU of its own.
    """
    if workers > 1:
        return [",".join(gpus[first : first + workers]) for first in range(0, len(gpus) - workers + 1, workers)]
    # A third three times is the whole, whatever floats say.
    sharing = math.floor(1 / each + 1e-9)
    return [gpu for _ in range(sharing) for gpu in gpus]


def require_gpus(each: float, workers: int, found: int) -> None:
    """Refuses trials that this machine cannot run.

    Raises:
        InputError: it has too few GPUs.
    """
    if each and found == 0:
        raise InputError(
            f"resources.gpus is {each:g}, this machine has no GPU that torch can use (see rnnbench doctor); set it to 0, or sweep on a "
            "cluster (--address, or rnnbench submit)"
        )
    if each and found < workers:
        raise InputError(f"resources.workers is {workers}, each with a GPU, and this machine has {found}; lower one of them")
