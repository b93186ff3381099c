"""Users as people paste them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.reports.flagging.users import Misread, user_of, users_of


@pytest.mark.parametrize(
    ("text", "user"),
    [
        ('{"id": "u1", "tags": ["a"]}', {"id": "u1", "tags": ["a"]}),
        ("id=u1\r\nage: 40\n\nurl=https://x.example/?a=b", None),
        ("name = Ann: x", {"name": "Ann: x"}),
        ('zip="01234"\nstaff=true\nnothing=\ntags=["a", 2]', None),
        ("", {}),
    ],
)
def test_json_and_lines_say_the_same(text: str, user: dict[str, Any] | None):
    """The first sign divides; values that are JSON are what they say, others are texts."""
    known = {
        "id=": {"id": "u1", "age": 40, "url": "https://x.example/?a=b"},
        "zip": {"zip": "01234", "staff": True, "nothing": "", "tags": ["a", 2]},
    }
    assert user_of(text) == (known[text[:3]] if user is None else user)


@pytest.mark.parametrize(
    ("text", "line", "column", "before", "after"),
    [
        ('{"id": "u1",\n "age": }', 2, 9, ' "age": ', "}"),
        ("id=u1\ncountry", 2, 1, "", "country"),
        ("id=u1\nid=u2", 2, 1, "", "id=u2"),
        ('{"id": 1} x', 1, 11, '{"id": 1} ', "x"),
        ("{", 1, 2, "{", ""),
        ('{"a": NaN}', 1, 1, "", ""),
        ('{"a": "\\ud800"}', 1, 1, "", ""),
    ],
)
def test_mistakes_are_named_by_their_place(
    text: str, line: int, column: int, before: str, after: str
):
    """Line, column and the words around them."""
    with pytest.raises(Misread) as caught:
        user_of(text)

    wrong = caught.value
    assert (wrong.line, wrong.column, wrong.before, wrong.after) == (line, column, before, after)
    assert wrong.problem


def test_what_is_too_much_is_refused():
    """As the API refuses it."""
    with pytest.raises(Misread, match=r"nests? too deep|at most 32 levels"):
        user_of('{"a": ' + "[" * 60 + "]" * 60 + "}")
    with pytest.raises(Misread, match="10,000 characters"):
        user_of("id=" + "u" * 20_000)
    with pytest.raises(Misread, match="at most 10,000 users"):
        users_of("\n".join(f"u{n}" for n in range(10_001)))


def test_lists_of_users_may_be_mixed():
    """Ids, objects by line, or one array; the line of a mistake is that of the whole text."""
    assert users_of('u1\n\n{"id": "u2", "a": 1}\n') == [{"id": "u1"}, {"id": "u2", "a": 1}]
    assert users_of('[{"id": 1},\n {"id": 2}]') == [{"id": 1}, {"id": 2}]
    for text, line in (('u1\n{"id": }', 2), ("[1]", 1), ('[\n{"a": 1},\n]', 3)):
        with pytest.raises(Misread) as caught:
            users_of(text)
        assert caught.value.line == line


@given(st.text(max_size=200))
def test_any_text_is_read_or_refused(text: str):
    """Nothing a person can paste fails in another way."""
    for read in (user_of, users_of):
        with suppress(Misread):
            read(text)
