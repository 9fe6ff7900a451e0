"""Canonical JSON and keys."""

import hashlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rnnbench.base.canonical import canonical_json, digest

plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)


@given(plain)
def test_canonical_json_reads_back_as_the_same_value(value: object) -> None:
    assert json.loads(canonical_json(value)) == value


def test_the_order_of_keys_does_not_matter() -> None:
    assert canonical_json({"b": 1, "a": [True, None]}) == canonical_json({"a": [True, None], "b": 1}) == '{"a":[true,null],"b":1}'


def test_a_whole_float_differs_from_the_integer() -> None:
    assert digest(1.0) != digest(1)


def test_a_digest_is_the_sha256_of_the_text() -> None:
    assert digest({"a": "\u00e4"}) == hashlib.sha256(b'{"a":"\\u00e4"}').hexdigest()


@pytest.mark.parametrize("value", [math.nan, math.inf, [-math.inf]])
def test_a_float_that_is_not_finite_is_refused(value: object) -> None:
    with pytest.raises(ValueError, match="no canonical JSON"):
        canonical_json(value)


@pytest.mark.parametrize("value", [{1: 2}, {"a": object()}, {1, 2}, b"bytes"])
def test_what_is_not_plain_data_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        canonical_json(value)
