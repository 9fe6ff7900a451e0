"""A process that trains a part of every batch of a trial: the program that `trial.ranks` starts.

Standard input brings a line of JSON for each order: a job, where the trial stands, batch after batch, its end; when it ends, whoever gave
orders is gone and so is this process. Standard output takes `ready`, `peak` where that is asked for, `ended`, or `failed` with a category.
"""

import json
import os
import queue
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from rnnbench.base.machine import peak_bytes
from rnnbench.base.secrets import redact
from rnnbench.trial.build import build_module, read_data
from rnnbench.trial.checkpoint import from_bytes
from rnnbench.trial.devices import find_device, gpu_peak_bytes, matrix_settings, place, restart_gpu_peak
from rnnbench.trial.door import MAX_TRACEBACK_CHARS, category_of, forget_peak
from rnnbench.trial.job import Limits, receive
from rnnbench.trial.parallel import ParallelTrainer, hand_over, joined
from rnnbench.trial.pulse import Pulse
from rnnbench.trial.ranks import PEER, silence_of
from rnnbench.trial.settings import torch_settings
from rnnbench.trial.watchdog import guarded

Orders = queue.SimpleQueue[dict[str, Any]]


def serve(order: Mapping[str, Any], orders: Orders, say: Callable[[Mapping[str, Any]], None]) -> None:
    """Trains a part of one job's batches until its end is ordered."""
    job = receive(order["job"])
    # Only memory is limited here: time and silence are the first rank's.
    limits = Limits(max_seconds=None, max_silent_seconds=None, memory_bytes=job.limits.memory_bytes)
    watched = guarded([replace(job, limits=limits)]) if order["alone"] and limits.memory_bytes else nullcontext()
    forget_peak(alone=order["alone"])
    with torch_settings(job.threads), matrix_settings(job), watched:
        device = find_device(job, order["rank"])
        restart_gpu_peak(device)
        data = place(read_data(job.spec, job.paths()), device)
        module = build_module(job.spec, data).to(device)
        # It validates nothing, so that no metric matters; when to stop is the first rank's to say.
        trainer = ParallelTrainer(job.spec, module, metric="loss", maximize=False, pulse=Pulse(lambda: 0.0))
        trainer.share(order["rank"], job.workers)
        say({"ready": True})
        begin = orders.get()
        with joined(Path(order["store"]), order["rank"], job.workers, silence_of(job), device):
            trainer.restore(from_bytes(hand_over(None, begin["state_bytes"], device)))
            trainer.partial = None
            while "end" not in (order := orders.get()):
                if "batch" in order:
                    trainer.obey(order, data.splits["train"])
                else:
                    say({"peak": {"memory_bytes": peak_bytes(), "gpu_bytes": gpu_peak_bytes(device)}})
    say({"ended": True})


def main() -> NoReturn:
    """Serves job after job."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    orders: Orders = queue.SimpleQueue()
    stores: list[str] = []

    def listen() -> None:
        for line in sys.stdin.buffer:
            order = json.loads(line)
            if "store" in order:
                stores[:] = [order["store"]]
            orders.put(order)
        for store in stores:
            shutil.rmtree(Path(store).parent, ignore_errors=True)
        os._exit(0)

    def say(words: Mapping[str, Any]) -> None:
        told.write(json.dumps(words) + "\n")
        told.flush()

    threading.Thread(target=listen, daemon=True).start()
    while True:
        try:
            serve(orders.get(), orders, say)
        except Exception as failure:  # noqa: BLE001 - a worker's border: the first rank records it
            words = redact(traceback.format_exc(), os.environ)[-MAX_TRACEBACK_CHARS:]
            say({"failed": words, "category": PEER if _is_of_peer(failure) else category_of(failure)})
            os._exit(1)


def _is_of_peer(failure: Exception) -> bool:
    """Whether it is another process that is gone."""
    words = str(failure).lower()
    return isinstance(failure, RuntimeError) and any(part in words for part in ("gloo", "nccl", "connection", "peer"))


if __name__ == "__main__":
    main()
