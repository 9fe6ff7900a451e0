"""The optimiser and the learning-rate schedule that a trial's parameters name."""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import nn
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

from rnnbench.base.parameters import Value


def build_optimizer(parameters: Mapping[str, Value], weights: Iterable[nn.Parameter]) -> Optimizer:
    """The optimiser of `optimizer.*`, in torch's fused form where it has one.

    Raises:
        ValueError: torch refuses the combination, e.g. Nesterov without momentum.
    """
    options = {name.removeprefix("optimizer."): value for name, value in parameters.items() if name.startswith("optimizer.")}
    name = options.pop("name")
    lr, weight_decay = _number(options["lr"]), _number(options["weight_decay"])
    if options.get("lr_scaling") == "one_minus_momentum":
        lr *= 1 - _number(options["momentum"])
    if name in ("adam", "adamw"):
        kind = Adam if name == "adam" else AdamW
        betas = (_number(options["beta1"]), _number(options["beta2"]))
        return kind(weights, lr=lr, betas=betas, weight_decay=weight_decay, fused=True)
    if name == "sgd":
        momentum = _number(options["momentum"])
        return SGD(weights, lr=lr, momentum=momentum, nesterov=bool(options["nesterov"]), weight_decay=weight_decay, fused=True)
    if name == "rmsprop":
        momentum, alpha = _number(options["momentum"]), _number(options["alpha"])
        return RMSprop(weights, lr=lr, momentum=momentum, alpha=alpha, weight_decay=weight_decay, foreach=True)
    if name == "adagrad":
        return Adagrad(weights, lr=lr, weight_decay=weight_decay, fused=True)
    raise ValueError(f"no optimiser {name!r}")


def lr_scale(parameters: Mapping[str, Value], epoch: int, max_epochs: int, num_falls: int) -> float:
    """What the learning rate is multiplied by in an epoch.

    Args:
        epoch: From 1.
        num_falls: How often the plateau schedule has lowered the rate so far.
    """
    schedule = parameters["training.lr_schedule"]
    if schedule == "cosine":
        return 0.5 * (1 + math.cos(math.pi * (epoch - 1) / max_epochs))
    if schedule == "plateau":
        return _number(parameters["training.lr_factor"]) ** num_falls
    return 1.0


def clip_gradients(weights: list[nn.Parameter], parameters: Mapping[str, Value]) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Clips after `backward` by value, then by norm, as the parameters say.

    Returns the gradient's norm before clipping and whether it was clipped (0 or 1; None: nothing clips), scalars on the device.
    """
    gradients = [weight.grad for weight in weights if weight.grad is not None]
    norm, clipped = _total_norm(gradients), None
    if (clip_value := parameters["training.clip_value"]) is not None:
        limit = _number(clip_value)
        clipped = torch.stack([gradient.abs().max() for gradient in gradients]).max().gt(limit).float()
        torch.nn.utils.clip_grad_value_(weights, limit)
    if (clip_norm := parameters["training.clip_norm"]) is not None:
        limit = _number(clip_norm)
        norm_now = norm if clip_value is None else _total_norm(gradients)
        torch.nn.utils.clip_grads_with_norm_(weights, limit, norm_now)
        clipped_now = norm_now.gt(limit).float()
        clipped = clipped_now if clipped is None else torch.maximum(clipped, clipped_now)
    return norm, clipped


def _total_norm(gradients: list[torch.Tensor]) -> torch.Tensor:
    # What torch.nn.utils.get_total_norm computes, without sorting the gradients by device first.
    norms = [torch.linalg.vector_norm(gradient) for gradient in gradients]
    total: torch.Tensor = torch.linalg.vector_norm(torch.stack(norms))
    return total


def _number(value: Value) -> float:
    assert isinstance(value, int | float), f"{value!r} should have been checked as a number"
    return float(value)
