"""Whether a misbehaving tracking server slows trials: whole inline sweeps, interleaved, with MLflow as it should be and not.

Run: python benchmarks/tracking.py [ROUNDS]. Prints JSON: seconds of the trials of each sweep, and medians over those without tracking.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rnnbench.base.home import Home
from rnnbench.ledger.store import Ledger

SWEEP = """
task: sequential_digits
cells: [lstm, gru]
search: {num_samples: 8}
budget: {max_epochs: 12}
space: {network.hidden_size: 32, optimizer.lr: {loguniform: [1e-3, 1e-1]}}
"""


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


def serve(handler: type[BaseHTTPRequestHandler]) -> str:
    """Starts a server that misbehaves, on a free port of this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def run(arguments: list[str]) -> float:
    """Seconds that the trials of one sweep took, from start to record."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "small.yaml").write_text(SWEEP)
        command = [sys.executable, "-c", "from rnnbench.cli.app import main; main()"]
        sweep = [*command, "sweep", "small.yaml", "--executor", "inline", *arguments]
        subprocess.run(sweep, cwd=folder, check=True, capture_output=True)
        with Ledger.open(Home(Path(folder) / "runs").ledger_url) as ledger:
            return sum(trial.wall_s or 0.0 for trial in ledger.trials("small"))


def main() -> None:
    """Runs every kind once in each round."""
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    kinds = {
        "off": ["--tracking-uri", "none"],
        "on": [],
        "refuses": ["--tracking-uri", serve(_Refuses)],
        "hangs": ["--tracking-uri", serve(_Hangs)],
    }
    seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
    for number in range(rounds):
        for kind, arguments in kinds.items():
            seconds[kind].append(run(arguments))
            print(f"round {number + 1}: {kind} {seconds[kind][-1]:.1f} s", file=sys.stderr)
    ratios = {kind: [one / off for one, off in zip(values, seconds["off"], strict=True)] for kind, values in seconds.items()}
    medians = {kind: round(statistics.median(values), 3) for kind, values in ratios.items()}
    spread = {kind: [round(min(values), 3), round(max(values), 3)] for kind, values in ratios.items()}
    print(json.dumps({"seconds": seconds, "over_off": medians, "lowest_and_highest": spread}, indent=1))


if __name__ == "__main__":
    main()
