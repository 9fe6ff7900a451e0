"""Several models of one shape at once: the code of one runs under torch.vmap, and here is what torch cannot map by itself.

Whatever has no rule for many models goes through `map_models`, which hands it tensors with a model axis, or `each_model`, which calls
it for one model after the other. Random numbers come from each model's own stream, so that a model draws what it would draw alone.
"""

# Shapes: N models.

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

_streams: ContextVar[Sequence[Generator] | None] = ContextVar("streams", default=None)

Run = Callable[..., tuple[Tensor, ...]]


@contextmanager
def models(streams: Sequence[Generator]) -> Iterator[None]:
    """Within, tensors under torch.vmap belong to as many models as there are streams, each with its own."""
    token = _streams.set(streams)
    try:
        yield
    finally:
        _streams.reset(token)


def has_models() -> bool:
    """Whether this runs for several models."""
    return _streams.get() is not None


def map_models(run: Run, tensors: Sequence[Tensor | None], places: Sequence[int], out: Sequence[int]) -> tuple[Tensor, ...]:
    """What `run` gives for tensors that all have a model axis, in place `places` of each; its results have one in place `out`."""
    found: tuple[Tensor, ...] = _Mapped.apply(run, tuple(places), tuple(out), *tensors)  # type: ignore[no-untyped-call]
    return found


def each_model(run: Run, num_results: int, *tensors: Tensor) -> tuple[Tensor, ...]:
    """The results of `run` for these tensors; with several models it is called for each."""
    if not has_models():
        return run(*tensors)

    def run_each(*stacked: Tensor) -> tuple[Tensor, ...]:
        ends = [run(*one) for one in zip(*(tensor.unbind(0) for tensor in stacked), strict=True)]
        return tuple(torch.stack(parts) for parts in zip(*ends, strict=True))

    return map_models(run_each, tensors, [0] * len(tensors), [0] * num_results)


@dataclass(frozen=True)
class PerModel:
    """A share for each model, where models differ in it."""

    values: tuple[float, ...]

    def __bool__(self) -> bool:
        return any(self.values)


Share = float | PerModel


def draw_mask(like: Tensor, shape: Sequence[int], share: Share) -> Tensor:
    """Ones for a share and zeros for the rest, of `like`'s type: whatever its layout, the same numbers in the same places."""
    return _make(like, shape, share, lambda empty, of_one, stream: empty.bernoulli_(of_one, generator=stream))


def fill(like: Tensor, shape: Sequence[int], share: Share) -> Tensor:
    """The share itself everywhere."""
    return _make(like, shape, share, lambda empty, of_one, _: empty.fill_(of_one))


def drop(x: Tensor, share: Share, *, training: bool, shape: Sequence[int] | None = None) -> Tensor:
    """Dropout: a share of `x` is zero, the rest grows so that the expectation stays; nothing happens when not training.

    Args:
        shape: Of the mask, where it is not `x`'s own.
    """
    return x * draw_dropout(x, x.shape if shape is None else shape, share) if training and share else x


def draw_dropout(like: Tensor, shape: Sequence[int], share: Share) -> Tensor:
    """What dropout multiplies with."""

    def draw(empty: Tensor, of_one: float, stream: Generator | None) -> Tensor:
        return empty.bernoulli_(1 - of_one, generator=stream).div_(1 - of_one)

    return _make(like, shape, share, draw)


def draw_noise(like: Tensor, std: Share) -> Tensor:
    """Normal numbers around zero, in `like`'s shape."""
    return _make(like, like.shape, std, lambda empty, of_one, stream: empty.normal_(0.0, of_one, generator=stream))


def _make(like: Tensor, shape: Sequence[int], share: Share, make: Callable[[Tensor, float, Generator | None], Tensor]) -> Tensor:
    """A tensor of that shape; with several models one from each model's share and stream."""
    streams = _streams.get()
    if streams is None:
        assert isinstance(share, float | int), "shares differ only between models"
        return make(like.new_empty(tuple(shape)), share, None)
    shares = share.values if isinstance(share, PerModel) else [share] * len(streams)

    def make_each(stacked: Tensor) -> tuple[Tensor]:
        pairs = zip(shares, streams, strict=True)
        return (torch.stack([make(stacked.new_empty(tuple(shape)), of_one, stream) for of_one, stream in pairs]),)

    return map_models(make_each, (like.detach(),), (0,), (0,))[0]


class _Mapped(torch.autograd.Function):
    """A function with a rule for many models and none for one."""

    @staticmethod
    def forward(*_: Any) -> tuple[Tensor, ...]:
        raise TypeError("only for tensors of several models, under torch.vmap")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        """Nothing: autograd sees through the rule."""

    @staticmethod
    def vmap(
        info: Any, in_dims: Sequence[Any], run: Run, places: Sequence[int], out: Sequence[int], *tensors: Tensor | None
    ) -> tuple[tuple[Tensor, ...], tuple[int, ...]]:
        given: list[Tensor | None] = []
        for tensor, dim, place in zip(tensors, in_dims[3:], places, strict=True):
            if tensor is None:
                given.append(None)
            elif dim is None:
                given.append(tensor.unsqueeze(place).expand(*tensor.shape[:place], info.batch_size, *tensor.shape[place:]))
            else:
                given.append(tensor.movedim(dim, place))
        return run(*given), tuple(out)
