"""Optimisers, schedules and clipping, against torch's own plain forms."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import nn

from rnnbench.base.parameters import Value
from rnnbench.trial.optimizer import build_optimizer, clip_gradients, lr_scale

OPTIONS: dict[str, dict[str, Value]] = {
    "adam": {"optimizer.beta1": 0.8, "optimizer.beta2": 0.95},
    "adamw": {"optimizer.beta1": 0.8, "optimizer.beta2": 0.95},
    "sgd": {"optimizer.momentum": 0.9, "optimizer.nesterov": True},
    "rmsprop": {"optimizer.momentum": 0.5, "optimizer.alpha": 0.9},
    "adagrad": {},
}
REFERENCE: dict[str, Callable[[list[nn.Parameter]], torch.optim.Optimizer]] = {
    "adam": lambda w: torch.optim.Adam(w, lr=0.1, betas=(0.8, 0.95), weight_decay=0.01, fused=False, foreach=False),
    "adamw": lambda w: torch.optim.AdamW(w, lr=0.1, betas=(0.8, 0.95), weight_decay=0.01, fused=False, foreach=False),
    "sgd": lambda w: torch.optim.SGD(w, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01, fused=False, foreach=False),
    "rmsprop": lambda w: torch.optim.RMSprop(w, lr=0.1, momentum=0.5, alpha=0.9, weight_decay=0.01, foreach=False),
    "adagrad": lambda w: torch.optim.Adagrad(w, lr=0.1, weight_decay=0.01, fused=False, foreach=False),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_an_optimiser_steps_as_torchs_plain_loop_does(name: str) -> None:
    weights = [nn.Parameter(torch.linspace(-1, 1, 12, dtype=torch.float64).reshape(3, 4)) for _ in range(2)]
    parameters: dict[str, Value] = {"optimizer.name": name, "optimizer.lr": 0.1, "optimizer.weight_decay": 0.01, **OPTIONS[name]}
    ours, theirs = build_optimizer(parameters, weights[:1]), REFERENCE[name](weights[1:])
    for _ in range(5):
        for weight, optimizer in zip(weights, (ours, theirs), strict=True):
            optimizer.zero_grad()
            (weight**2).sum().backward()
            optimizer.step()
    torch.testing.assert_close(weights[0], weights[1], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["sgd", "rmsprop"])
def test_a_rate_scaled_by_one_minus_momentum_is_a_smaller_rate(name: str) -> None:
    options: dict[str, Value] = {"optimizer.name": name, "optimizer.weight_decay": 0.0, "optimizer.momentum": 0.75, **OPTIONS[name]}
    momentum = options["optimizer.momentum"]
    assert isinstance(momentum, float)
    scaled = build_optimizer({**options, "optimizer.lr": 0.1, "optimizer.lr_scaling": "one_minus_momentum"}, [nn.Parameter(torch.ones(1))])
    assert scaled.param_groups[0]["lr"] == pytest.approx(0.1 * (1 - momentum), rel=1e-12)
    plain = build_optimizer({**options, "optimizer.lr": 0.1, "optimizer.lr_scaling": "none"}, [nn.Parameter(torch.ones(1))])
    assert plain.param_groups[0]["lr"] == 0.1


def test_nesterov_without_momentum_is_refused_by_torch() -> None:
    parameters: dict[str, Value] = {"optimizer.name": "sgd", "optimizer.lr": 0.1, "optimizer.weight_decay": 0.0}
    with pytest.raises(ValueError, match="momentum"):
        build_optimizer({**parameters, "optimizer.momentum": 0.0, "optimizer.nesterov": True}, [nn.Parameter(torch.zeros(1))])


def _clipped(clip_norm: float | None, clip_value: float | None) -> tuple[list[float], float, float]:
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([3.0, 4.0])
    norm, clipped = clip_gradients([weight], {"training.clip_norm": clip_norm, "training.clip_value": clip_value})
    return weight.grad.tolist(), float(norm), 0.0 if clipped is None else float(clipped)


def test_clipping_by_norm_scales_the_gradient_and_reports_the_norm_before() -> None:
    gradient, norm, clipped = _clipped(1.0, None)
    assert gradient == pytest.approx([0.6, 0.8], abs=1e-6)
    assert (norm, clipped) == (5.0, 1.0)


def test_clipping_by_value_cuts_each_entry() -> None:
    assert _clipped(None, 3.5) == ([3.0, 3.5], 5.0, 1.0)


@pytest.mark.parametrize(("clip_norm", "clip_value"), [(None, None), (6.0, None), (None, 4.5)])
def test_a_gradient_within_the_limits_is_left_alone(clip_norm: float | None, clip_value: float | None) -> None:
    assert _clipped(clip_norm, clip_value) == ([3.0, 4.0], 5.0, 0.0)


def test_the_schedules_follow_their_formulas() -> None:
    assert [lr_scale({"training.lr_schedule": "constant"}, epoch, 4, 0) for epoch in (1, 4)] == [1.0, 1.0]
    cosine = [lr_scale({"training.lr_schedule": "cosine"}, epoch, 4, 0) for epoch in (1, 2, 3, 4)]
    assert cosine == pytest.approx([1.0, (1 + math.sqrt(0.5)) / 2, 0.5, (1 - math.sqrt(0.5)) / 2])
    plateau: dict[str, Value] = {"training.lr_schedule": "plateau", "training.lr_factor": 0.1}
    assert [lr_scale(plateau, 9, 9, falls) for falls in (0, 2)] == pytest.approx([1.0, 0.01])
