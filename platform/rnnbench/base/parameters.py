"""A parameter of a trial, declared once as plain data: type, range, default, help."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from rnnbench.base.errors import ParameterError
from rnnbench.base.names import printable, suggest

NAMESPACES = ("network", "cell", "optimizer", "training", "task", "data")

Value = str | int | float | bool | None
Kind = Literal["int", "float", "bool", "choice", "text"]


@dataclass(frozen=True)
class Parameter:
    """One parameter, e.g. `optimizer.lr`.

    Attributes:
        name: Full dotted name; its first part is the namespace.
        kind: int, float, bool, choice (one of `choices`) or text (any words).
        default: The value when a sweep file is silent; null is allowed only when the default is null.
        low, high: Inclusive bounds; `above` is an exclusive lower bound.
        choices: Allowed values of a `choice`.
        help: One line, with the unit.
        when: Other parameters and the values under which this one exists, e.g. {"optimizer.name": ("sgd",)}.
        is_later: Whether it came after the first release: a trial that has it at its default does not mention it, so that the
            keys of trials from before stay what they were.
    """

    name: str
    kind: Kind
    default: Value
    help: str
    low: float = -math.inf
    high: float = math.inf
    above: float = -math.inf
    choices: tuple[Value, ...] = ()
    when: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    is_later: bool = False

    def check(self, value: object) -> Value:
        """Returns the value in this parameter's type (an int given for a float becomes one).

        Raises:
            ParameterError: wrong type or out of range; the text says what is allowed.
        """
        if value is None and self.default is None:
            return None
        if self.kind == "choice":
            for choice in self.choices:
                if value == choice and type(value) is type(choice):
                    return choice
            hint = suggest(str(value), [str(c) for c in self.choices])
            raise ParameterError(f"{self.name} is {_show(value)}, must be one of {self._choices()}{hint if 'mean' in hint else ''}")
        if (self.kind == "bool" and isinstance(value, bool)) or (self.kind == "text" and isinstance(value, str)):
            return value
        if self.kind == "int" and isinstance(value, int) and not isinstance(value, bool):
            return int(self._in_range(value))
        if self.kind == "float" and isinstance(value, int | float) and not isinstance(value, bool):
            return float(self._in_range(float(value)))
        raise ParameterError(f"{self.name} is {_show(value)}, must be {self.allowed()}")

    def allowed(self) -> str:
        """What values are allowed, in words."""
        if self.kind == "choice":
            return f"one of {self._choices()}"
        if self.kind == "bool":
            return "true or false"
        if self.kind == "text":
            return "text" + (" or null" if self.default is None else "")
        noun = "a whole number" if self.kind == "int" else "a number"
        parts = []
        if self.above > -math.inf:
            parts.append(f"above {self.above:g}")
        elif self.low > -math.inf:
            parts.append(f"from {self.low:g}")
        if self.high < math.inf:
            parts.append(f"to {self.high:g}")
        return " ".join([noun, *parts]) + (" or null" if self.default is None else "")

    def is_active(self, values: Mapping[str, Value]) -> bool:
        """Whether the parameter exists beside the given values of the others."""
        return all(values.get(name) in allowed for name, allowed in self.when.items())

    def _choices(self) -> str:
        return ", ".join(str(choice) for choice in self.choices)

    def _in_range(self, value: float) -> float:
        if not math.isfinite(value) or value < self.low or value <= self.above or value > self.high:
            raise ParameterError(f"{self.name} is {value:g}, must be {self.allowed()}")
        return value


def _show(value: object) -> str:
    return "null" if value is None else printable(repr(value))
