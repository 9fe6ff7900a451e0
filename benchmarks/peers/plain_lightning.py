"""One long trial as a person would write it with Lightning, without search or tracking. Run: plain_lightning.py DATA LR UNITS EPOCHS."""

import sys
from pathlib import Path

import torch
from model import Best, fit, print_best


def main() -> None:
    """Trains on one thread."""
    data, lr, units, epochs = sys.argv[1:]
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    best = Best()
    fit(Path(data), float(lr), [best], int(units), int(epochs))
    print_best([best.accuracy])


if __name__ == "__main__":
    main()
