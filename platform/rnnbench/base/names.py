"""Names people type: the nearest right one, and which are safe as a file name."""

import difflib
import re
from collections.abc import Iterable, Sequence

MAX_LISTED = 12
SAFE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def suggest(name: str, known: Iterable[str]) -> str:
    """The tail of an error message: the nearest of the known names, else all of them where they are few.

    Returns text such as `; did you mean 'lstm'?` or `; known: elman, gru, lstm`.
    """
    options = sorted(known)
    near = difflib.get_close_matches(name, options, n=1, cutoff=0.6)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(options)}" if 0 < len(options) <= MAX_LISTED else ""


def listed(names: Sequence[str]) -> str:
    """Names in words, `a, b and c`; empty: no names."""
    return " and ".join(filter(None, (", ".join(names[:-1]), *names[-1:])))


def never_ran(sweep: str, known: Iterable[str]) -> str:
    """An error message about a sweep that is not among those that ran."""
    return f"no sweep '{printable(sweep)}' has run here{suggest(sweep, known)}"


def is_safe(name: str) -> bool:
    """Whether a name can be a file's or folder's name: letters, digits, `.`, `_`, `-`, at most 100, not starting with a dot."""
    return SAFE_NAME.fullmatch(name) is not None


def printable(text: str, limit: int = 80) -> str:
    """The text with control characters escaped and cut to `limit` characters, for an error message."""
    clean = "".join(ch if ch.isprintable() else repr(ch)[1:-1] for ch in text)
    return clean if len(clean) <= limit else clean[: limit - 3] + "..."
