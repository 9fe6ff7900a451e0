"""A parameter's value in its type: checked when the sweep file was read, so anything else is our own mistake."""

from collections.abc import Mapping

from rnnbench.base.parameters import Value


def whole(parameters: Mapping[str, Value], name: str) -> int:
    """A parameter of kind int."""
    value = parameters[name]
    assert isinstance(value, int), f"{name} is a whole number"
    return value


def number(parameters: Mapping[str, Value], name: str) -> float:
    """A parameter of kind float."""
    value = parameters[name]
    assert isinstance(value, float), f"{name} is a number"
    return value
