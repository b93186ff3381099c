"""What rules ask of users, and as what."""

from __future__ import annotations

from typing import Any

import pytest

from rollouts.flags.attributes import Attribute, asked_in, list_attributes, list_mismatches
from rollouts.flags.model import (
    Flag,
    ForceRule,
    GroupTest,
    Namespace,
    PercentageRule,
    SavedGroup,
)
from tests.rollouts.flags.makers import flag


def asks(key: str, condition: dict[str, Any]) -> Flag:
    """A flag with one condition."""
    return flag(key, ForceRule(value=True, condition=condition))


@pytest.mark.parametrize(
    ("condition", "seen"),
    [
        ({"a": 1, "b": "x", "c": True, "d": None}, "a:number b:text c:true or false d:"),
        ({"a": {"$in": ["x", 2]}}, "a:number a:text"),
        ({"$not": {"a": {"$not": {"$gt": 3}}}}, "a:number"),
        ({"$or": [{"a": {"$vgte": "1.2"}}, {"b": {"$exists": True}}]}, "a:version b:"),
        ({"a": {"$elemMatch": {"$eq": "x"}}, "b": {"x": 1}}, "a:text b:"),
        ({"$savedGroup": {"id": "g"}, "$and": 3}, ""),
        ([], ""),
    ],
)
def test_conditions_tell_attributes_and_types(condition: Any, seen: str):
    """At any depth; what says nothing of the type says none."""
    assert " ".join(f"{name}:{kind}" for name, kind in sorted(set(asked_in(condition)))) == seen


def test_attributes_of_all_flags_and_groups_are_counted():
    """Units and namespaces too; the most usual type first."""
    flags = [
        asks("a", {"age": {"$gte": 18}}),
        asks("b", {"age": 40}),
        asks("c", {"age": "40"}),
        flag("d", PercentageRule(value=True, share=0.5, unit="company")),
        flag("e", ForceRule(value=True, namespaces=(Namespace("s", ((0.0, 0.5),), "till"),))),
    ]
    staff = SavedGroup("staff", "Staff", attribute="email", values=("a@b.example",))
    uk = SavedGroup("uk", "UK", condition={"country": "GB"})

    assert list_attributes(flags, [staff, uk]) == [
        Attribute("age", 3, ("number", "text")),
        Attribute("company", 1, ()),
        Attribute("country", 1, ("text",)),
        Attribute("email", 1, ("text",)),
        Attribute("till", 1, ()),
    ]


def test_a_type_that_nobody_else_uses_is_noticed():
    """An attribute that is new, or a version that others call a text, is not."""
    others = [asks("a", {"age": {"$gte": 18}, "app": "6.2"})]
    rules = ForceRule(value=True, condition={"age": {"$gte": "18"}, "app": {"$vgt": "6"}, "new": 1})
    staff = ForceRule(value=True, saved_groups=(GroupTest("any", ("staff",)),))
    (found,) = list_mismatches(flag("f", staff, rules), "production", others, [])

    assert (found.rule, found.attribute, found.here) == (2, "age", "text")
    assert found.elsewhere == Attribute("age", 1, ("number",))
    assert list_mismatches(flag("f", rules), "staging", others, []) == []
