"""The host: a process that has imported torch and the trials' code once, and forks a worker for whoever asks at its socket.

On one machine this saves every worker but the first its imports, seconds of a processor each, and they begin while other parts of a
sweep still start. A worker lives as long as its connection; the host as long as its standard input is open.

Run as a program with the path of the socket and the names of tasks. Lines of JSON go over the connection: `{"environ": {...}}` first,
`{"jobs": [...]}` in, see `door.run_jobs`, and its events out; after `test_opened` the worker waits for `{"noted": true}`.
"""

import gc
import json
import os
import queue
import select
import selectors
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from rnnbench.trial.door import Event, run_jobs

IMPORTED = ("rnnbench.trial.run", "rnnbench.trial.group")
# What an executor sets for a worker of its own, and a worker of the host must have too.
FROM_EXECUTOR = ("CUDA_VISIBLE_DEVICES",)
# Whoever works at the machine, and the driver that records, come first.
NICE = 10
START_S = 60.0


class Host:
    """Starts a host and ends it.

    Args:
        path: Of the socket, in a folder that nobody else can enter.
        threads: Of the libraries that fix their number when they are imported.
        tasks: Names of the tasks whose code is imported too.
    """

    def __init__(self, path: Path, threads: int, tasks: Sequence[str] = ()) -> None:
        self.path = path
        environ = {"OMP_NUM_THREADS": str(threads), **os.environ}
        command = [sys.executable, "-m", "rnnbench.trial.host", str(path), *tasks]
        # A process group of its own: Ctrl-C at the terminal is the driver's to answer.
        # What libraries print there is nobody's to read: a trial has its own log.
        quiet = subprocess.DEVNULL
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=quiet, stderr=quiet, env=environ, process_group=0)

    def close(self) -> None:
        """Ends the host at once, also while it still imports; its workers end with their connections."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        # It keeps nothing: there is no reason to wait until it has freed what it imported.
        self._process.kill()
        self._process.wait()


class HostedWorker:
    """A worker of a host, seen from who asked for it.

    Raises:
        OSError: no host answers at that path.
    """

    def __init__(self, path: Path, environ: Mapping[str, str] | None = None) -> None:
        self.socket = _connect(path)
        self._rest = b""
        own = {name: os.environ[name] for name in FROM_EXECUTOR if name in os.environ}
        _send(self.socket, {"environ": own | dict(environ or {})})

    def give(self, jobs: Sequence[Mapping[str, Any]]) -> None:
        """Has the jobs run after those that it has."""
        _send(self.socket, {"jobs": list(jobs)})

    def events(self, wait_s: float) -> list[Event]:
        """What the worker has sent since the last call, waiting so long for the first.

        Raises:
            ConnectionError: the worker has died.
        """
        if not select.select([self.socket], [], [], wait_s)[0]:
            return []
        found = self.socket.recv(1 << 16)
        if not found:
            raise ConnectionError("the worker process died")
        *lines, self._rest = (self._rest + found).split(b"\n")
        return [json.loads(line) for line in lines]

    def close(self) -> None:
        """Ends the worker, whatever it does."""
        self.socket.close()

    def note(self) -> None:
        """The event `test_opened` is recorded: the worker may go on."""
        _send(self.socket, {"noted": True})


def _connect(path: Path) -> socket.socket:
    deadline = time.monotonic() + START_S
    while True:
        connection = socket.socket(socket.AF_UNIX)
        try:
            connection.connect(str(path))
        except OSError:  # the host has just been started
            connection.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
        else:
            return connection


def _send(connection: socket.socket, message: Mapping[str, Any]) -> None:
    connection.sendall(json.dumps(message).encode() + b"\n")


def serve(path: Path, tasks: Sequence[str]) -> None:
    """Forks a worker for each connection until standard input ends."""
    with socket.socket(socket.AF_UNIX) as listener, selectors.DefaultSelector() as selector:
        listener.bind(str(path))
        listener.listen()
        _import(tasks)
        os.nice(NICE)
        gc.freeze()  # what is there now is never collected, so that its pages stay shared
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the workers
        selector.register(0, selectors.EVENT_READ)
        selector.register(listener, selectors.EVENT_READ)
        while all(key.fileobj is listener for key, _ in selector.select()):
            connection, _ = listener.accept()
            if os.fork():
                connection.close()
                continue
            selector.close()
            listener.close()
            os.close(0)
            os.open(os.devnull, os.O_RDONLY)
            _work(connection)


def _import(tasks: Sequence[str]) -> None:
    for name in IMPORTED:
        import_module(name)
    from rnnbench.task.load import load_task

    for task in tasks:
        with suppress(Exception):  # each trial will say what is wrong with its task
            load_task(task)


def _work(connection: socket.socket) -> NoReturn:
    """A worker's life: jobs of one message after the other, until the connection ends."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    packs: queue.SimpleQueue[list[dict[str, Any]]] = queue.SimpleQueue()
    noted = threading.Event()

    def listen() -> None:
        try:
            with connection.makefile("rb") as lines:
                os.environ |= json.loads(next(lines))["environ"]
                for line in lines:
                    message = json.loads(line)
                    if "jobs" in message:
                        packs.put(message["jobs"])
                    else:
                        noted.set()
        finally:
            os._exit(0)  # whoever asked for the worker is gone: nobody would hear how its trial ends

    def report(event: Event) -> None:
        noted.clear()
        _send(connection, event)
        if event["kind"] == "test_opened":
            noted.wait()

    threading.Thread(target=listen, daemon=True).start()
    while True:
        run_jobs(packs.get(), report, alone=True)


if __name__ == "__main__":
    # Ctrl-C, and a scheduler that ends a job, reach every process: the driver answers, and workers save when it asks for it.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    serve(Path(sys.argv[1]), sys.argv[2:])
