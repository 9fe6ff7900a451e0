"""The floor: a loop in plain PyTorch on one core, imports not counted.

Prints half the seconds that it took, what two cores would take that do not slow each other; see bare_two.py.
"""

import json
import time

import torch
from model import BATCH_SIZE, EPOCHS, Classifier, Task, read_arrays, read_task
from torch.nn.functional import cross_entropy


def train(arrays: dict[str, torch.Tensor], lr: float) -> float:
    """One trial; its best validation accuracy."""
    torch.manual_seed(0)
    model = Classifier(lr)
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    x, y, best = arrays["train_x"], arrays["train_y"], 0.0
    for _ in range(EPOCHS):
        model.train()
        for rows in torch.randperm(len(x)).split(BATCH_SIZE):
            optimizer.zero_grad()
            cross_entropy(model(x[rows]), y[rows]).backward()
            optimizer.step()
        model.eval()
        with torch.inference_mode():
            right = model(arrays["validation_x"]).argmax(1) == arrays["validation_y"]
        best = max(best, float(right.float().mean()))
    return best


def warm_up(task: Task) -> dict[str, torch.Tensor]:
    """One trial that does not count; the data."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    arrays = read_arrays(task.data)
    train(arrays, task.rates[0])
    return arrays


def main() -> None:
    """Every trial, one after the other."""
    task = read_task()
    arrays = warm_up(task)
    begun = time.perf_counter()
    best = [train(arrays, lr) for lr in task.rates]
    print(json.dumps({"best": best, "seconds": (time.perf_counter() - begun) / 2}))


if __name__ == "__main__":
    main()
