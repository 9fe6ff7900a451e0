"""Canonical JSON: one text for one value, so that a hash of it can be a key."""

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any

# Plain data is nested without a bound, which mypy can name only by a recursive alias that every caller must then narrow.
Plain = Any


def canonical_json(value: Plain) -> str:
    """The one JSON text of plain data: keys sorted, no spaces, ASCII, floats by their shortest exact form.

    An integral float keeps its point (`1.0` and `1` are different values).

    Raises:
        TypeError: the value holds something other than str, int, float, bool, None, list, tuple or a dict with text keys.
        ValueError: a float is NaN or infinite.
    """
    _require_plain(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, allow_nan=False)


def digest(value: Plain) -> str:
    """The sha256 of the canonical JSON, as 64 hexadecimal digits."""
    return hashlib.sha256(canonical_json(value).encode("ascii")).hexdigest()


def _require_plain(value: Plain) -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            if not isinstance(key, str):
                raise TypeError(f"key {key!r} is not text")
            _require_plain(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _require_plain(item)
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{value} has no canonical JSON")
    elif value is not None and type(value) not in (str, int, bool):
        raise TypeError(f"{type(value).__name__} is not plain data")
