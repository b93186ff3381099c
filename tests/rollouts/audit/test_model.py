"""The canonical form and the hash over it."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.accounts.model import Role
from rollouts.audit.model import GENESIS, canonical, chained_hash, plain

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=True, allow_infinity=True)
    | st.text(st.characters(), max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)


@given(values)
def test_what_is_stored_and_read_back_has_the_same_form(value: Any) -> None:
    """A store that gives JSON back never breaks the chain by doing so."""
    assert canonical(json.loads(json.dumps(plain(value)))) == canonical(value)


@given(values)
def test_the_form_is_json_of_the_plain_value(value: Any) -> None:
    """Canonical means spelled one way, not changed."""
    assert json.loads(canonical(value)) == plain(value)


def test_the_order_of_keys_does_not_matter() -> None:
    """Two dicts that are equal have one spelling."""
    assert canonical({"b": 1, "a": 2}) == canonical({"a": 2, "b": 1}) == b'{"a":2,"b":1}'


def test_our_own_kinds_of_value_become_json() -> None:
    """Enums, times and nested objects are written as their plain forms."""
    at = datetime(2026, 5, 14, 9, 42, tzinfo=UTC)

    assert plain({"role": Role.ADMIN, "at": at, "big": 2**53 + 1}) == {
        "role": "admin",
        "at": "2026-05-14T09:42:00Z",
        "big": "9007199254740993",
    }


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_text_that_no_store_takes_is_tamed(text: str) -> None:
    """NUL and lone surrogates are replaced, not refused: the deed itself must be recorded."""
    tamed = plain(text)

    assert "\x00" not in tamed
    assert tamed.encode().decode() == tamed


def test_the_hash_depends_on_the_hash_before() -> None:
    """The same content in another place of the chain has another hash."""
    first = chained_hash(GENESIS, {"a": 1})

    assert first != chained_hash(first, {"a": 1})
    assert first == chained_hash(GENESIS, {"a": 1})
    assert len(first) == 64
