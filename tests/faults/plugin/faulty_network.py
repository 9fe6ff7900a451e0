"""The implementation of the faulty cell."""

import os
import signal
import time
from pathlib import Path

from torch import Tensor

from rnnbench.cells.elman import Elman
from rnnbench.cells.step import State


class Faulty(Elman):
    """Args: `fault` says what goes wrong, the first time a batch is trained or, for `raise` and its like, at once."""

    def __init__(self, input_size: int, hidden_size: int, fault: str = "none") -> None:
        super().__init__(input_size, hidden_size)
        self.fault = fault
        self.steps = 0
        if fault == "raise":
            raise RuntimeError("the constructor of the faulty cell")
        if fault == "long":
            raise RuntimeError("x" * 200_000)
        if fault == "secret":
            raise RuntimeError(f"the token is {os.environ['FAULTY_API_TOKEN']} at postgresql://me:hunter22@host/db")

    def run(self, x_BTI: Tensor, state: State) -> tuple[Tensor, State]:
        outputs, last = super().run(x_BTI, state)
        self.steps += self.training
        if not self.training or self.steps < 3:
            return outputs, last
        if self.fault == "nan":
            return outputs * float("nan"), last
        if self.fault == "allocate":
            held = []
            while True:
                held.append(bytearray(os.urandom(1 << 16)) * 512)  # 32 MiB of pages that are really written
        if self.fault == "hang":
            time.sleep(3600)
        if self.fault == "die_once":
            marker = Path(os.environ["FAULTY_MARKER"])
            if not marker.exists():
                marker.touch()
                os.kill(os.getpid(), signal.SIGKILL)
        return outputs, last
