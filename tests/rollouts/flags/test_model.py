"""What a flag may hold, and that everything wrong with it is named."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from rollouts.flags.checks import flag_faults
from rollouts.flags.differences import Difference, differences
from rollouts.flags.group_checks import group_faults
from rollouts.flags.model import (
    Arm,
    ExperimentRule,
    Flag,
    FlagKind,
    FlagState,
    ForceRule,
    GateRule,
    Given,
    GroupTest,
    Namespace,
    PercentageRule,
    Prerequisite,
    Rule,
    SavedGroup,
    Schedule,
)
from rollouts.flags.references import flag_reference_faults, group_reference_faults
from rollouts.flags.rule_json import dump_flag, dump_rules, load_flag, load_rules
from tests.rollouts.flags.makers import NOW, flag, rollout_rule

ARMS = (Arm("a", "A", False, 0.5), Arm("b", "B", True, 0.5))


def wrong_places(item: Flag) -> list[str]:
    """Where the faults of a flag are, below its state in production."""
    return [fault.where.removeprefix("environments.production.") for fault in flag_faults(item)]


def test_rules_survive_their_json():
    """What is stored is what was meant, for every kind of rule and every member."""
    rules: tuple[Rule, ...] = (
        ForceRule(
            id="r1",
            value=None,
            description="nobody",
            is_enabled=False,
            condition={"country": {"$in": ["DE", "AT"]}},
            saved_groups=(GroupTest("any", ("beta", "staff")),),
            prerequisites=(Prerequisite("other", {"value": True}, is_gate=True),),
            schedule=Schedule(NOW, NOW + timedelta(days=1)),
            namespaces=(Namespace("layer", ((0.0, 0.4), (0.6, 0.7))),),
        ),
        PercentageRule(id="r2", value=1.5, share=0.25, unit="device", seed="s", span=(0.1, 0.2)),
        ExperimentRule(id="r3", variations=ARMS, key="exp", ranges=((0.0, 0.1), (0.5, 0.6))),
        rollout_rule(decided="guided"),
        GateRule(id="r5", prerequisites=(Prerequisite("other", {"value": True}),)),
    )

    assert load_rules(dump_rules(rules)) == rules


def test_flags_survive_their_json():
    """A revision holds all of a flag, and tells a given null from none."""
    item = Flag(
        key="banner",
        kind=FlagKind.JSON,
        default={"text": "hello"},
        off=Given(None),
        description="what it is",
        owner="ada",
        tags=("web",),
        schema={"type": ["object", "null"]},
        states={
            "production": FlagState(True, Given(None), (ForceRule(id="r", value={}),)),
            "staging": FlagState(),
        },
    )

    assert load_flag(dump_flag(item)) == item


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        ({"type": "force", "value": 1, "valeu": 2}, ("force", "valeu")),
        ({"type": "force"}, ("force", "value")),
        ({"type": "percentage", "value": 1, "share": "0.5"}, ("percentage", "share")),
        ({"type": "percentage", "value": 1, "share": True}, ("percentage", "share")),
        ({"type": "force", "value": 1, "is_enabled": 1}, ("force", "is_enabled")),
        (
            {"type": "force", "value": 1, "schedule": {"starts_at": "2026-01-01T00:00:00"}},
            ("force", "schedule", "starts_at"),
        ),
    ],
)
def test_rules_are_read_strictly(raw: dict[str, Any], place: tuple[str, ...]):
    """A misspelt member, a text for a number or a time without zone is refused by its place."""
    with pytest.raises(ValidationError) as refusal:
        load_rules([raw])

    assert refusal.value.errors()[0]["loc"] == (0, *place)


@pytest.mark.parametrize(
    ("kind", "value", "is_fine"),
    [
        (FlagKind.BOOLEAN, True, True),
        (FlagKind.BOOLEAN, 1, False),
        (FlagKind.BOOLEAN, None, False),
        (FlagKind.STRING, "", True),
        (FlagKind.STRING, 3, False),
        (FlagKind.NUMBER, 3, True),
        (FlagKind.NUMBER, 3.5, True),
        (FlagKind.NUMBER, True, False),
        (FlagKind.NUMBER, float("nan"), False),
        (FlagKind.NUMBER, "3", False),
        (FlagKind.NUMBER, 2**53 + 1, False),
        (FlagKind.JSON, None, True),
        (FlagKind.JSON, {"a": [1, "b"]}, True),
        (FlagKind.JSON, "half \ud800", False),
        (FlagKind.JSON, "x" * 300_000, False),
    ],
)
def test_values_are_of_the_flags_kind(kind: FlagKind, value: Any, is_fine: bool):
    """Values of another kind, or that JSON cannot carry, are named where they stand."""
    wrong = wrong_places(Flag("f", kind, value))

    assert (wrong == []) is is_fine, wrong


def test_every_value_in_a_flag_is_checked():
    """Default, off value, environment's default, and each rule's values."""
    rules = (
        ForceRule(value="yes"),
        PercentageRule(value=1, share=0.5),
        ExperimentRule(variations=(Arm("a", "", False, 0.5), Arm("b", "", "no", 0.5))),
        rollout_rule(variations=(Arm("control", "", 0, 0.5), Arm("guided", "", True, 0.5))),
    )
    states = {"production": FlagState(True, Given("x"), rules)}

    found = wrong_places(Flag("f", FlagKind.BOOLEAN, "d", off=Given(0), states=states))

    assert found == [
        "default",
        "off",
        "default",
        "rules.0.value",
        "rules.1.value",
        "rules.2.variations.1.value",
        "rules.3.variations.0.value",
    ]


@pytest.mark.parametrize(
    ("rule", "place"),
    [
        (PercentageRule(value=True, share=1.1), "rules.0.share"),
        (PercentageRule(value=True, share=0.5, unit=""), "rules.0.unit"),
        (PercentageRule(value=True, share=0.5, hash_version=3), "rules.0.hash_version"),
        (PercentageRule(value=True, share=0.5, span=(0.6, 0.5)), "rules.0.span.0"),
        (ExperimentRule(variations=ARMS[:1]), "rules.0.variations"),
        (ExperimentRule(variations=(ARMS[0], ARMS[0])), "rules.0.variations"),
        (
            ExperimentRule(variations=(replace(ARMS[0], share=0.4), ARMS[1])),
            "rules.0.variations",
        ),
        (ExperimentRule(variations=ARMS, coverage=-0.1), "rules.0.coverage"),
        (ExperimentRule(variations=ARMS, ranges=((0.0, 1.0),)), "rules.0.ranges"),
        (rollout_rule(control="nobody"), "rules.0.control"),
        (rollout_rule(decided="nobody"), "rules.0.decided"),
        (rollout_rule("spaces are no key"), "rules.0.rollout"),
        (ForceRule(value=True, condition={"$xor": []}), "rules.0.condition.$xor"),
        (ForceRule(value=True, condition={"a": {"$like": "b"}}), "rules.0.condition.a.$like"),
        (ForceRule(value=True, condition={"a": {"$regex": "(?=x)"}}), "rules.0.condition.a.$regex"),
        (ForceRule(value=True, condition={"a": {"$in": "b"}}), "rules.0.condition.a.$in"),
        (
            ForceRule(value=True, condition={"a": {"$inGroup": "g", "$in": []}}),
            "rules.0.condition.a.$inGroup",
        ),
        (
            ForceRule(value=True, saved_groups=(GroupTest("all", ()),)),
            "rules.0.saved_groups.0.groups",
        ),
        (
            ForceRule(value=True, prerequisites=(Prerequisite("f", {"value": True}),)),
            "rules.0.prerequisites.0.flag",
        ),
        (ForceRule(value=True, schedule=Schedule(NOW, NOW)), "rules.0.schedule.ends_at"),
        (
            ForceRule(value=True, namespaces=(Namespace("a\0b", ((0, 1),)),)),
            "rules.0.namespaces.0.seed",
        ),
        (ForceRule(value=True, description="a\0b"), "rules.0.description"),
        (GateRule(), "rules.0.prerequisites"),
    ],
)
def test_a_wrong_rule_is_named_by_its_place(rule: Rule, place: str):
    """Each fault says where it is, so that a form can show it there."""
    assert place in wrong_places(flag("f", rule))


def test_a_rule_without_fault_has_none():
    """The checks do not cry wolf."""
    nested = {"$or": [{"a": {"$elemMatch": {"$gt": 3}}}, {"$not": {"b": {"$not": {"$size": 2}}}}]}
    rules = (
        ForceRule(value=True, condition={"$and": [nested, {"v": {"$vgte": "1.2.3"}}]}),
        PercentageRule(value=True, share=1),
        ExperimentRule(variations=ARMS, namespaces=(Namespace("layer", ((0.0, 0.5),)),)),
        rollout_rule(),
    )

    assert wrong_places(flag("f", *rules)) == []


def test_a_schema_holds_for_every_value():
    """JSON values that do not meet the schema are refused, wherever they stand."""
    schema = {"type": "object", "required": ["text"], "properties": {"text": {"pattern": "^a"}}}
    item = Flag(
        "f",
        FlagKind.JSON,
        {"text": "abc"},
        schema=schema,
        states={"production": FlagState(rules=(ForceRule(value={"text": "b"}),))},
    )

    assert wrong_places(item) == ["rules.0.value"]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nothing"},
        {"$ref": "http://example.com/schema.json"},
        {"properties": {"a": {"pattern": "(?<=x)y"}}},
        {"patternProperties": {"(a+)+$": {}}},
        {"enum": [[index] for index in range(3_000)]},
    ],
)
def test_a_schema_that_cannot_be_applied_safely_is_refused(schema: dict[str, Any]):
    """No schema fetches anything, backtracks, or takes long."""
    assert "schema" in wrong_places(Flag("f", FlagKind.JSON, {}, schema=schema))


def test_references_must_exist():
    """A prerequisite or saved group that is not there would silently match nobody."""
    rule = ForceRule(
        value=True,
        condition={"$not": {"id": {"$inGroup": "g1"}}},
        saved_groups=(GroupTest("none", ("g2",)),),
        prerequisites=(Prerequisite("gone", {"value": True}),),
    )

    found = list(flag_reference_faults(flag("f", rule), [], {}))

    assert [fault.problem for fault in found] == [
        "there is no flag 'gone'",
        "there is no saved group 'g1'",
        "there is no saved group 'g2'",
    ]


def test_a_cycle_of_prerequisites_is_refused_with_its_way():
    """Whoever closes the circle is told how it goes round."""

    def needs(key: str, other: str) -> Flag:
        return flag(key, ForceRule(value=True, prerequisites=(Prerequisite(other, {}),)))

    others = [needs("b", "c"), needs("c", "a")]

    found = list(flag_reference_faults(needs("a", "b"), others, {}))

    assert [fault.problem for fault in found] == [
        "the flag would depend on itself: a -> b -> c -> a"
    ]


def test_a_chain_of_prerequisites_has_an_end():
    """Ten flags above a flag are enough, also for those that stand above the one saved."""
    links = [
        flag(f"f{n}", ForceRule(value=True, prerequisites=(Prerequisite(f"f{n + 1}", {}),)))
        for n in range(10)
    ]
    last = flag("f10", ForceRule(value=True, prerequisites=(Prerequisite("f11", {}),)))

    assert not list(flag_reference_faults(links[0], [*links, flag("f10")], {}))
    found = list(flag_reference_faults(last, [*links, flag("f11")], {}))
    assert [fault.problem for fault in found] == ["the chain of flag 'f0' is longer than 10"]


def test_saved_groups_cannot_hold_each_other():
    """A condition group that leads back to itself is refused."""
    inner = SavedGroup("b", "b", condition={"$savedGroup": {"id": "a"}})
    outer = SavedGroup("a", "a", condition={"$savedGroup": {"id": "b"}})

    found = list(group_reference_faults(outer, {"b": inner}))

    assert [fault.problem for fault in found] == [
        "the saved group would depend on itself: a -> b -> a"
    ]


@pytest.mark.parametrize(
    ("group", "place"),
    [
        (SavedGroup("g", "g", values=(True,)), "values.0"),
        (SavedGroup("g", "g", values=({"a": 1},)), "values.0"),
        (SavedGroup("g", "g", attribute=""), "attribute"),
        (SavedGroup("g", "g", values=("a",), condition={"a": 1}), "values"),
        (SavedGroup("g", "g", condition={"a": {"$nope": 1}}), "condition.a.$nope"),
        (SavedGroup("g", "g", values=tuple(range(50_001))), "values"),
    ],
)
def test_a_wrong_saved_group_is_named_by_its_place(group: SavedGroup, place: str):
    """Members are plain values, and a group is one thing or the other."""
    assert [fault.where for fault in group_faults(group)] == [place]


def test_a_flag_switched_off_serves_its_off_value():
    """False for a boolean, the default for others, unless one is given."""
    assert Flag("f", FlagKind.BOOLEAN, True).off_value is False
    assert Flag("f", FlagKind.STRING, "blue").off_value == "blue"
    assert Flag("f", FlagKind.STRING, "blue", off=Given("grey")).off_value == "grey"


def test_differences_follow_rules_by_their_id():
    """A rule that moved is told as a new order, not as a change of all rules after it."""
    one, two = {"id": "r1", "value": 1}, {"id": "r2", "value": 2}

    found = differences({"rules": [one, two]}, {"rules": [{"id": "r2", "value": 3}, one]})

    assert found == [
        Difference("rules.order", {"before": ["r1", "r2"], "after": ["r2", "r1"]}),
        Difference("rules.r2.value", {"before": 2, "after": 3}),
    ]


def test_differences_tell_true_from_one():
    """Python calls them equal; SDKs do not."""
    assert differences({"default": 1}, {"default": True}) != []


def test_schedules_keep_their_moment():
    """A schedule's time is a moment, in whatever zone it was written."""
    raw = [{"type": "force", "value": 1, "schedule": {"starts_at": "2026-01-01T02:00:00+02:00"}}]

    (rule,) = load_rules(raw)

    assert rule.schedule is not None
    assert rule.schedule.starts_at == datetime(2026, 1, 1, tzinfo=UTC)
