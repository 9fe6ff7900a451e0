"""Plain data as the ledger stores it: valid JSON that also holds NaN and the infinities."""

import json
import math
from collections.abc import Mapping
from sys import intern
from typing import Any

_TAG = "$float"
_MARK = f'"{_TAG}"'
# Longer texts are rarely the same in two trials.
_SHORT = 100


def encode(value: Any) -> Any:
    """Plain data without a float that JSON cannot hold."""
    if isinstance(value, float) and not math.isfinite(value):
        return {_TAG: repr(value)}
    if isinstance(value, Mapping):
        return {key: encode(item) for key, item in value.items()}
    return [encode(item) for item in value] if isinstance(value, list | tuple) else value


def decode(value: Any) -> Any:
    """What `encode` was given (tuples as lists); the names and short words that trials have in common are one object in memory."""
    if isinstance(value, dict):
        return float(value[_TAG]) if value.keys() == {_TAG} else {intern(key): decode(item) for key, item in value.items()}
    if isinstance(value, str):
        return intern(value) if len(value) <= _SHORT else value
    return [decode(item) for item in value] if isinstance(value, list) else value


def decode_text(text: str) -> Any:
    """The same of JSON as it is stored; what holds no float that JSON cannot hold is taken as it is."""
    value = json.loads(text)
    return decode(value) if _MARK in text else value
