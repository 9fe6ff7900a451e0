"""What tracking costs: whole sweeps, interleaved, with MLflow as it should be, switched off, slow, refusing every call and hanging.

Run: python benchmarks/tracking.py [--rounds 3] [--epochs 60] [--only on slow]. Prints JSON: seconds of each command and of its trials,
and medians over those of the sweep without tracking in the same round.
"""

import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from common import RNNBENCH, machine
from passing import PassesOn

from rnnbench.base.home import Home
from rnnbench.cli.services import MLFLOW_ENVIRONMENT
from rnnbench.ledger.store import Ledger

SWEEP = """
task: sequential_digits
cells: [lstm, gru]
search: {{num_samples: 16}}
budget: {{max_epochs: {epochs}}}
space: {{network.hidden_size: 64, optimizer.lr: {{loguniform: [1e-3, 1e-2]}}}}
"""
SLOW_S = 1.0


class _Refuses(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_error(500)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        pass


class _Hangs(_Refuses):
    def do_GET(self) -> None:
        threading.Event().wait(600)

    do_POST = do_GET


class _Slow(PassesOn):
    """A server that takes its time."""

    def before(self) -> None:
        time.sleep(SLOW_S)


def serve(handler: type[BaseHTTPRequestHandler]) -> str:
    """Starts a server, on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def start_mlflow(folder: Path) -> tuple[str, subprocess.Popen[bytes]]:
    """A healthy MLflow with a database of its own."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    words = ["mlflow", "server", "--host", "127.0.0.1", "--port", str(port), "--backend-store-uri", f"sqlite:///{folder}/mlflow.db"]
    words += ["--artifacts-destination", str(folder / "artifacts"), "--workers", "1"]
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    environ = {**os.environ, **MLFLOW_ENVIRONMENT}
    server = subprocess.Popen([sys.executable, "-m", *words], env=environ, **quiet)  # type: ignore[call-overload]
    address = f"http://127.0.0.1:{port}"
    for _ in range(600):
        with suppress(OSError), urllib.request.urlopen(address + "/health"):
            return address, server
        time.sleep(0.1)
    raise TimeoutError("MLflow did not start")


def run(arguments: list[str], epochs: int) -> tuple[float, float]:
    """Seconds of a sweep's whole command, and of its trials together."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "small.yaml").write_text(SWEEP.format(epochs=epochs))
        begun = time.perf_counter()
        subprocess.run([*RNNBENCH, "sweep", "small.yaml", *arguments], cwd=folder, check=True, capture_output=True)
        taken = time.perf_counter() - begun
        with Ledger.open(Home(Path(folder) / "runs").ledger_url) as ledger:
            return taken, sum(trial.wall_s or 0.0 for trial in ledger.trials("small"))


def main() -> None:
    """Runs every kind once in each round."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--only", nargs="+", choices=["on", "slow", "refuses", "hangs"])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        _Slow.behind, server = start_mlflow(Path(folder))
        try:
            kinds = {
                "off": ["--tracking-uri", "none"],
                "on": [],
                "slow": ["--tracking-uri", serve(_Slow)],
                "refuses": ["--tracking-uri", serve(_Refuses)],
                "hangs": ["--tracking-uri", serve(_Hangs)],
            }
            kinds = {kind: arguments for kind, arguments in kinds.items() if kind == "off" or kind in (given.only or kinds)}
            found: dict[str, list[tuple[float, float]]] = {kind: [] for kind in kinds}
            for number in range(given.rounds):
                for kind, arguments in kinds.items():
                    found[kind].append(run(arguments, given.epochs))
                    print(f"round {number + 1}: {kind} {found[kind][-1]}", file=sys.stderr)
        finally:
            server.terminate()
            server.wait()
    table = {}
    for kind, rounds in found.items():
        for place, what in enumerate(("command", "trials")):
            ratios = [one[place] / off[place] for one, off in zip(rounds, found["off"], strict=True)]
            table[f"{kind}, {what}"] = {"seconds": [one[place] for one in rounds], "over_off": statistics.median(ratios), "all": ratios}
    print(json.dumps({"machine": machine(), **vars(given), "table": table}, indent=1))


if __name__ == "__main__":
    main()
