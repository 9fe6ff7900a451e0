"""Models of several sizes as models of one size: smaller ones are padded with units whose weights are all zero.

Such a unit stays silent and gets no gradient, so the padded model computes what the small one does. A weight's axis that grows with
the units holds a block of them for each gate (or direction), one block after the other.
"""

# Shapes: h and H, units of the small and of the padded model; k, blocks along an axis.

from torch import Tensor, nn


class Room:
    """Where a small model's weights lie within those of a padded one.

    Args:
        units: Of both.

    Raises:
        ValueError: a weight is not made of blocks of units.
    """

    def __init__(self, small: nn.Module, padded: nn.Module, units: tuple[int, int]) -> None:
        self._blocks: dict[str, list[int | None]] = {}
        self._units = units
        shapes = {name: weight.shape for name, weight in padded.named_parameters()}
        for name, weight in small.named_parameters():
            self._blocks[name] = [_blocks(name, ours, theirs, units) for ours, theirs in zip(weight.shape, shapes[name], strict=True)]

    def part(self, name: str, padded: Tensor) -> Tensor:
        """A view (k, h, ...) of the weights that the small model has too, each growing axis as two."""
        for place, blocks in enumerate(self._blocks[name]):
            axis = place + sum(one is not None for one in self._blocks[name][:place])
            if blocks is not None:
                padded = padded.unflatten(axis, (blocks, self._units[1])).narrow(axis + 1, 0, self._units[0])
        return padded

    def own(self, name: str, weight: Tensor) -> Tensor:
        """The small model's weight, as a view of the same form."""
        for place, blocks in enumerate(self._blocks[name]):
            if blocks is not None:
                weight = weight.unflatten(place + sum(one is not None for one in self._blocks[name][:place]), (blocks, self._units[0]))
        return weight


def _blocks(name: str, ours: int, theirs: int, units: tuple[int, int]) -> int | None:
    if ours == theirs:
        return None
    blocks, rest = divmod(ours, units[0])
    if rest or blocks * units[1] != theirs:
        raise ValueError(f"{name}: {ours} values along an axis are not blocks of {units[0]} units")
    return blocks
