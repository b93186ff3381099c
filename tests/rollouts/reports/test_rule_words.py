"""Flags in words."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rollouts.flags.model import (
    Arm,
    Flag,
    FlagKind,
    FlagState,
    ForceRule,
    GroupTest,
    PercentageRule,
    Prerequisite,
    RolloutRule,
    Schedule,
)
from rollouts.reports.rule_words import condition, rule_words, served

ARMS = (Arm("old", "Old", False, 0.5), Arm("new", "New", True, 0.5))


def make_flag(*rules: object, enabled: bool = True) -> Flag:
    """A flag with these rules in production."""
    state = FlagState(enabled, rules=tuple(rules))  # type: ignore[arg-type]
    return Flag("f", FlagKind.BOOLEAN, default=False, states={"production": state})


@pytest.mark.parametrize(
    ("held", "text"),
    [
        (None, "everyone"),
        ({}, "everyone"),
        ({"country": "GB", "segment": "retail"}, "country is GB and segment is retail"),
        ({"age": {"$gte": 18, "$lt": 65}}, "age at least 18 and age below 65"),
        ({"country": {"$in": ["GB", "IE"]}}, "country is one of GB, IE"),
        ({"$or": [{"a": 1}, {"b": True}]}, "(a is 1 or b is true)"),
        ({"$not": {"a": "x"}}, "not (a is x)"),
        ({"email": {"$exists": False}}, "email is not given"),
        ({"tags": {"$elemMatch": {"$eq": "x"}}}, 'tags $elemMatch {"$eq": "x"}'),
        ({"note": ""}, 'note is ""'),
    ],
)
def test_conditions_in_words(held: dict | None, text: str):
    """As a person would say it; what has no words is shown as it is."""
    assert condition(held) == text


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=12,
)
names = st.sampled_from(["$and", "$or", "$not", "$nor", "$in", "$exists", "a", "b.c", ""])


@given(st.dictionaries(names, json_values, max_size=4))
def test_any_condition_has_words(held: dict):
    """Odd ones too: a page never fails on a rule."""
    assert 0 < len(condition(held)) <= 301


def test_running_rollout_serves_shares_of_everyone():
    """Coverage and share are multiplied out, since people ask how many get it."""
    rule = RolloutRule(rollout="r", unit="id", variations=ARMS, control="old", coverage=0.1)

    assert rule_words(rule).serves.replace("\u00a0", " ") == "false for 5 %, true for 5 %, by id"
    assert rule_words(rule).rollout == "r"


def test_decided_rollout_serves_one_value():
    """After a withdrawal everyone gets the old one."""
    rule = RolloutRule(
        rollout="r", unit="id", variations=ARMS, control="old", coverage=0.1, decided="old"
    )

    assert served(make_flag(rule), "production") == "false for everyone"


def test_all_that_a_rule_asks_is_said():
    """Groups, other flags and times as well as the condition."""
    rule = ForceRule(
        value=True,
        condition={"country": "GB"},
        saved_groups=(GroupTest("any", ("staff",)),),
        prerequisites=(Prerequisite("basket", {"value": True}),),
        schedule=Schedule(datetime(2026, 5, 14, 9, tzinfo=UTC), None),
    )

    assert rule_words(rule).asks == (
        "country is GB; in group staff; flag basket: value is true; from 14 May 09:00 UTC"
    )


def test_switched_off_serves_the_off_value():
    """Whatever the rules say."""
    flag = make_flag(ForceRule(value=True), enabled=False)

    assert served(flag, "production") == "false for everyone"
    assert served(make_flag(), "staging") == "false for everyone"


def test_more_rules_are_counted():
    """One line names the first and says that there are others."""
    flag = make_flag(
        PercentageRule(value=True, share=0.25), ForceRule(value=True), ForceRule(value=False)
    )

    assert served(flag, "production").replace("\u00a0", " ") == (
        "true for 25 %, by id; 2 more rules; else false"
    )
