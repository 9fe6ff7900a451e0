"""Text and numbers as LaTeX reads them, for tables that need booktabs and nothing else."""

from collections.abc import Sequence

from rnnbench.report.words import number

_SIGNS = (
    {"\\": "\\textbackslash{}", "~": "\\textasciitilde{}", "^": "\\textasciicircum{}"}
    | {"<": "\\textless{}", ">": "\\textgreater{}", "|": "\\textbar{}", '"': "\\textquotedbl{}", "\n": " "}
    | {sign: f"\\{sign}" for sign in "&%$#_{}"}
)
NONE = "--"


def escape(item: object) -> str:
    """Text whose signs mean nothing to LaTeX."""
    return "".join(_SIGNS.get(sign, sign) for sign in str(item))


def quantity(item: float | None) -> str:
    """A number as `number` rounds it, with a minus and powers of ten as print has them; a dash for none."""
    if item is None:
        return NONE
    mantissa, e, exponent = number(item).partition("e")
    if e:
        return f"${mantissa} \\times 10^{{{int(exponent)}}}$"
    return f"${mantissa}$" if mantissa.startswith("-") else mantissa


def between(bounds: Sequence[float | None]) -> str:
    """The two ends of an interval; a dash where there is none."""
    low, high = bounds
    return NONE if low is None or high is None else f"{quantity(low)} to {quantity(high)}"


def percent(share: float | None, digits: int = 0) -> str:
    """A share in percent."""
    return NONE if share is None else f"{100 * share:.{digits}f}\\,\\%"


def landmarks(items: Sequence[object]) -> list[int]:
    """Places of a long row that a table has room for: its first, and a third and two thirds of the way."""
    return sorted({0, len(items) // 3, 2 * len(items) // 3})


def quarters(levels: Sequence[float]) -> list[int]:
    """Places of the levels, ascending to 1, that come nearest to 0, 1/4, 1/2 and 3/4."""
    wanted = (min(range(len(levels)), key=lambda place: abs(levels[place] - level)) for level in (0.0, 0.25, 0.5, 0.75))
    return sorted(set(wanted))
