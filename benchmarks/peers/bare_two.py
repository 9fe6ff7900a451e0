"""The floor on two cores: the bare loop in two processes side by side, each with half of the trials; imports are not counted.

Two processes that share caches, memory and perhaps one core's units take longer than one of them alone on an idle machine.
"""

import json
import multiprocessing
import time
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

from bare_loop import train, warm_up
from model import Task, read_task

PROCESSES = 2


def work(task: Task, place: int, ready: Barrier, said: "Queue[tuple[int, list[float], float, float]]") -> None:
    """Every second trial, from the moment that all are ready."""
    arrays = warm_up(task)
    ready.wait()
    begun = time.monotonic()
    best = [train(arrays, lr) for lr in task.rates[place::PROCESSES]]
    said.put((place, best, begun, time.monotonic()))


def main() -> None:
    """Both processes, and the seconds from the first one's start to the last one's end."""
    task = read_task()
    spawn = multiprocessing.get_context("spawn")
    ready, said = spawn.Barrier(PROCESSES), spawn.Queue()
    workers = [spawn.Process(target=work, args=(task, place, ready, said)) for place in range(PROCESSES)]
    for worker in workers:
        worker.start()
    found = [said.get() for _ in workers]
    for worker in workers:
        worker.join()
    best = [0.0] * len(task.rates)
    for place, values, _, _ in found:
        best[place::PROCESSES] = values
    print(json.dumps({"best": best, "seconds": max(one[3] for one in found) - min(one[2] for one in found)}))


if __name__ == "__main__":
    main()
