"""What the peers train: an LSTM of 32 units that reads digits pixel by pixel, as a person would write it with torch and Lightning."""

import argparse
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.utils.data import DataLoader, TensorDataset

UNITS, CLASSES, BATCH_SIZE, EPOCHS = 32, 10, 64, 3


@dataclass(frozen=True)
class Task:
    """What a peer is asked for.

    Attributes:
        data: An .npz file with train_x (N, T, 1), train_y (N,), validation_x and validation_y.
        rates: Learning rate of each trial.
        scratch: A folder of this run alone.
    """

    data: Path
    rates: list[float]
    scratch: Path


def read_task() -> Task:
    """From the command line: DATA RATES SCRATCH."""
    parser = argparse.ArgumentParser()
    for name in ("data", "rates", "scratch"):
        parser.add_argument(name, type=Path)
    given = parser.parse_args()
    return Task(given.data, json.loads(given.rates.read_text()), given.scratch)


def print_best(accuracies: list[float]) -> None:
    """The best validation accuracy of each trial, for the program that measures."""
    print(json.dumps({"best": accuracies}))


def read_arrays(path: Path) -> dict[str, Tensor]:
    """The arrays of a data file."""
    with np.load(path) as arrays:
        return {name: torch.from_numpy(arrays[name]) for name in arrays}


class Classifier(pl.LightningModule):
    """Predicts the digit after the last pixel."""

    def __init__(self, lr: float, units: int = UNITS) -> None:
        super().__init__()
        self.lr = lr
        self.lstm = nn.LSTM(1, units, batch_first=True)
        self.head = nn.Linear(units, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        """Class scores."""
        scores: Tensor = self.head(self.lstm(x)[0][:, -1])
        return scores

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        """Mean cross-entropy."""
        x, y = batch
        return cross_entropy(self(x), y)

    def validation_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        """Logs the accuracy."""
        x, y = batch
        self.log("accuracy", (self(x).argmax(1) == y).float().mean())

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Adam."""
        return torch.optim.Adam(self.parameters(), lr=self.lr)


def fit(data: Path, lr: float, callbacks: list[pl.Callback], units: int = UNITS, epochs: int = EPOCHS) -> None:
    """Trains with a stock Trainer, its bar, summary, logger and checkpoints off: whoever calls has its own."""
    arrays = read_arrays(data)
    train = DataLoader(TensorDataset(arrays["train_x"], arrays["train_y"]), BATCH_SIZE, shuffle=True)
    validation = DataLoader(TensorDataset(arrays["validation_x"], arrays["validation_y"]), batch_size=512)
    trainer = pl.Trainer(
        max_epochs=epochs,
        accelerator="cpu",
        devices=1,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        callbacks=callbacks,
    )
    trainer.fit(Classifier(lr, units), train, validation)


class Best(pl.Callback):
    """Keeps the best accuracy of a training run and hands on each one."""

    def __init__(self, report: Callable[[float, int], None] = lambda accuracy, epoch: None) -> None:
        self.accuracy = 0.0
        self.report = report

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """After each epoch."""
        if not trainer.sanity_checking:
            accuracy = float(trainer.callback_metrics["accuracy"])
            self.accuracy = max(self.accuracy, accuracy)
            self.report(accuracy, trainer.current_epoch)
