"""What a person types is read as they mean it, and what was stored is shown so."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.flags.model import FlagKind
from rollouts.reports.editor.texts import (
    condition_of,
    list_of,
    list_text,
    percent_of,
    rows_of,
    scalar_of,
    scalar_text,
    share_of,
    text_of,
    value_of,
)

plain = st.text(max_size=12).filter(lambda text: text == text.strip() and "\0" not in text)
scalars = st.none() | st.booleans() | st.integers(-999, 999) | plain
operands = (
    scalars
    | st.lists(scalars, max_size=4)
    | st.dictionaries(
        st.sampled_from(["$gt", "$lte", "$in", "$nin", "$regex", "$exists", "$or", "$eq", "is"]),
        scalars | st.lists(scalars, max_size=3),
        max_size=3,
    )
)
conditions = st.dictionaries(st.sampled_from(["country", "$or", "age", "$not", ""]), operands)


@given(conditions)
def test_rows_and_json_together_are_the_condition(condition: dict[str, Any]):
    """Whatever a condition holds, opening and saving it changes nothing."""
    rows, rest = rows_of(condition)

    assert condition_of(rows, rest) == (condition or None)


@given(scalars)
def test_a_value_is_read_back_as_it_was_shown(value: Any):
    """The text 40 keeps its quotes, so that it does not become a number."""
    again = scalar_of(scalar_text(value))

    assert type(again) is type(value)
    assert again == value


@given(st.lists(scalars, max_size=6))
def test_a_list_is_read_back_as_it_was_shown(values: list[Any]):
    """Commas and quotes within a value do not tear it."""
    assert list_of(list_text(values)) == values


@given(st.floats(0, 1))
def test_a_share_keeps_every_figure(share: float):
    """Per cent and back is the same share to the last bit."""
    assert share_of(percent_of(share)) == share


@pytest.mark.parametrize("text", ["", "ten", "nan", "1e999", "5,5,5"])
def test_what_is_no_share_is_refused(text: str):
    """Nothing infinite and nothing that is no number gets through."""
    with pytest.raises(ValueError, match="per cent"):
        share_of(text)


def test_tests_of_one_attribute_do_not_overwrite_one_another():
    """Two rows on one attribute both hold."""
    rows = [
        {"attribute": "age", "operator": "$gte", "value": "18"},
        {"attribute": "age", "operator": "$lt", "value": "65"},
        {"attribute": "age", "operator": "is", "value": "40"},
    ]

    assert condition_of(rows, {}) == {"$and": [{"age": {"$gte": 18, "$lt": 65}}, {"age": 40}]}


def test_empty_rows_ask_nothing():
    """A row that was added and left blank is dropped."""
    blank = {"attribute": " ", "operator": "is", "value": ""}

    assert condition_of([blank], {}) is None


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (FlagKind.BOOLEAN, "yes"),
        (FlagKind.BOOLEAN, "1"),
        (FlagKind.NUMBER, "true"),
        (FlagKind.NUMBER, "NaN"),
        (FlagKind.JSON, "{'a': 1}"),
        (FlagKind.JSON, "[" * 100_000),
        (FlagKind.JSON, "[" * 400 + "]" * 400),
    ],
)
def test_values_of_another_kind_say_what_to_type(kind: FlagKind, text: str):
    """Never an exception of another sort."""
    with pytest.raises(ValueError, match=r"type|JSON|deep"):
        value_of(kind, text)


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (FlagKind.STRING, ' "x" \n'),
        (FlagKind.NUMBER, 0.1),
        (FlagKind.JSON, {"a": [1, None, "ü"]}),
        (FlagKind.BOOLEAN, False),
    ],
)
def test_values_are_read_back_as_they_were_shown(kind: FlagKind, value: Any):
    """Every kind of flag."""
    assert value_of(kind, text_of(kind, value)) == value
