"""Waits until a Ray has so many nodes: python -m rnnbench_deploy.slurm.nodes ADDRESS NUMBER [SECONDS]."""

import sys
import time

import ray


def wait(address: str, number: int, patience_s: float) -> int:
    """How many nodes have joined: `number`, or those that had when the time was up."""
    ray.init(address=address, log_to_driver=False, logging_level="ERROR")
    deadline = time.monotonic() + patience_s
    while True:
        joined = sum(bool(node["Alive"]) for node in ray.nodes())
        if joined >= number or time.monotonic() > deadline:
            return joined
        time.sleep(0.5)


if __name__ == "__main__":
    wanted = int(sys.argv[2])
    joined = wait(sys.argv[1], wanted, float(sys.argv[3]) if len(sys.argv) > 3 else 120.0)
    sys.stderr.write(f"rnnbench: Ray has {joined} of {wanted} nodes\n")
    sys.exit(joined < wanted)
