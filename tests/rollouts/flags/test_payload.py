"""What SDKs are told, read back by the real growthbook SDK."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from growthbook import GrowthBook
from hypothesis import given, settings
from hypothesis import strategies as st

from rollouts.flags import payload
from rollouts.flags.model import (
    Arm,
    ExperimentRule,
    Flag,
    FlagKind,
    FlagState,
    ForceRule,
    GateRule,
    Given,
    GroupForm,
    GroupTest,
    Namespace,
    Options,
    PercentageRule,
    Prerequisite,
    RolloutRule,
    SavedGroup,
    Schedule,
)
from tests.rollouts.flags.makers import ENVIRONMENT, NOW, flag, rollout_rule

GOLDEN = Path(__file__).resolve().parents[2] / "golden" / "payload.json"

GROUPS = (
    SavedGroup("beta", "Beta", attribute="id", values=("u1", "u2")),
    SavedGroup("dach", "DACH", condition={"country": {"$in": ["DE", "AT", "CH"]}}),
    SavedGroup("both", "Both", condition={"$or": [{"$savedGroup": {"id": "beta"}}, {"vip": True}]}),
)


def told(*flags: Flag, options: Options | None = None) -> dict[str, Any]:
    """What an SDK is told about flags, as JSON that went over the wire."""
    canonical = payload.build(flags, ENVIRONMENT, GROUPS, NOW)
    return json.loads(json.dumps(payload.adapt(canonical, options or Options())))


def ask(whole: dict[str, Any], key: str, /, **attributes: Any) -> Any:
    """What the SDK makes of a payload for a user."""
    book = GrowthBook(
        attributes=attributes,
        features=whole["features"],
        saved_groups=whole.get("savedGroups", {}),
    )
    result = book.eval_feature(key)
    book.destroy()
    return result


def test_the_payload_is_growthbooks():
    """Every member a modern SDK expects, spelt as it expects it, in one known text."""
    rules = (
        rollout_rule(condition={"country": "DE"}),
        ExperimentRule(
            id="fr_1",
            key="colours",
            name="Colours",
            variations=(Arm("0", "Control", False, 0.4), Arm("1", "Green", True, 0.6)),
            coverage=0.5,
            fallback_unit="device",
            namespaces=(Namespace("checkout", ((0.0, 0.5),)),),
            bucket_version=2,
            min_bucket_version=1,
            is_sticky=False,
            phase="3",
        ),
        PercentageRule(id="fr_2", value=True, share=0.2, unit="company"),
        ForceRule(
            id="fr_3",
            value=True,
            saved_groups=(GroupTest("any", ("beta", "dach")),),
            prerequisites=(Prerequisite("other", {"value": True}, is_gate=True),),
        ),
    )
    canonical = payload.build(
        [flag("new-checkout", *rules), flag("other")], ENVIRONMENT, GROUPS, NOW
    )

    assert canonical == json.loads(GOLDEN.read_text())


def test_a_flag_switched_off_is_only_its_off_value():
    """No rule leaks, and nobody gets anything else."""
    rule = ForceRule(value="red")
    states = {ENVIRONMENT: FlagState(False, Given("green"), (rule,))}
    item = Flag("colour", FlagKind.STRING, "blue", off=Given("grey"), states=states)

    assert told(item)["features"]["colour"] == {"defaultValue": "grey"}


def test_an_environment_may_have_its_own_default():
    """A default given there wins, even a null one; elsewhere the flag's own holds."""
    item = Flag(
        "banner",
        FlagKind.JSON,
        {"text": "hi"},
        states={ENVIRONMENT: FlagState(True, Given(None)), "staging": FlagState(True)},
    )

    assert payload.feature(item, ENVIRONMENT, NOW) == {"defaultValue": None}
    assert payload.feature(item, "staging", NOW) == {"defaultValue": {"text": "hi"}}


def test_archived_flags_are_not_told():
    """SDKs do not know them any more."""
    item = replace(flag("gone"), is_archived=True)

    assert told(item, flag("here"))["features"].keys() == {"here"}


def test_a_rule_holds_while_its_schedule_does():
    """From the first moment until just before the last; the next change is known."""
    schedule = Schedule(NOW, NOW + timedelta(hours=1))
    item = flag("sale", ForceRule(value=True, schedule=schedule))

    def is_told(offset: timedelta) -> bool:
        return "rules" in payload.feature(item, ENVIRONMENT, NOW + offset)

    before = timedelta(microseconds=-1)
    assert [is_told(before), is_told(timedelta()), is_told(timedelta(hours=1) + before)] == [
        False,
        True,
        True,
    ]
    assert not is_told(timedelta(hours=1))
    assert payload.next_change([item], ENVIRONMENT, NOW + before) == NOW
    assert payload.next_change([item], ENVIRONMENT, NOW) == schedule.ends_at
    assert payload.next_change([item], ENVIRONMENT, NOW + timedelta(days=1)) is None


def test_a_disabled_rule_is_not_told():
    """It stays in the flag's history and editor only."""
    item = flag("f", ForceRule(value=True, is_enabled=False))

    assert told(item)["features"]["f"] == {"defaultValue": False}


def test_names_are_told_only_if_wanted():
    """Readers of a page's source learn neither names of variations nor rule ids unasked."""
    rule = ExperimentRule(
        id="fr_1", name="Secret", variations=(Arm("0", "Old", 0, 0.5), Arm("1", "New", 1, 0.5))
    )
    item = flag("f", rule, kind=FlagKind.NUMBER, default=0)

    shown = told(item, options=Options(with_rule_ids=True, with_names=True))
    hidden = told(item, options=Options(with_rule_ids=False, with_names=False))

    assert {"Secret", "Old", "New", "fr_1"} <= set(_texts(shown))
    assert not {"Secret", "Old", "New", "fr_1"} & set(_texts(hidden))
    assert hidden["features"]["f"]["rules"][0]["meta"] == [{"key": "0"}, {"key": "1"}]


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for item in value.values() for text in _texts(item)]
    if isinstance(value, list):
        return [text for item in value for text in _texts(item)]
    return [value] if isinstance(value, str) else []


@pytest.mark.parametrize("form", list(GroupForm))
@pytest.mark.parametrize(
    ("test", "members"),
    [
        (GroupTest("any", ("beta",)), {"u1": True, "u3": False}),
        (GroupTest("none", ("beta",)), {"u1": False, "u3": True}),
        (GroupTest("all", ("beta", "dach")), {"u1": True, "u2": False, "u3": False}),
        (GroupTest("any", ("both",)), {"u1": True, "u3": False, "u4": True}),
        (GroupTest("none", ("beta", "dach")), {"u2": False, "u3": False, "u4": True}),
    ],
)
def test_saved_groups_mean_the_same_in_both_forms(
    form: GroupForm, test: GroupTest, members: dict[str, bool]
):
    """Spelt out or referred to, the SDK finds the same people in a group."""
    people: dict[str, dict[str, Any]] = {
        "u1": {"id": "u1", "country": "DE"},
        "u2": {"id": "u2", "country": "FR"},
        "u3": {"id": "u3", "country": "CH"},
        "u4": {"id": "u4", "country": "FR", "vip": True},
    }
    whole = told(flag("f", ForceRule(value=True, saved_groups=(test,))), options=Options(form))

    found = {name: ask(whole, "f", **people[name]).on for name in members}

    assert found == members


@pytest.mark.parametrize("form", list(GroupForm))
def test_group_operators_mean_the_same_in_both_forms(form: GroupForm):
    """`$inGroup` and `$notInGroup` of a condition that somebody wrote by hand."""
    inside = ForceRule(value=True, condition={"id": {"$inGroup": "beta"}, "x": 1})
    outside = ForceRule(value=True, condition={"$not": {"$not": {"id": {"$notInGroup": "beta"}}}})
    whole = told(flag("in", inside), flag("out", outside), options=Options(form))

    assert ask(whole, "in", id="u1", x=1).on
    assert not ask(whole, "in", id="u1", x=2).on
    assert not ask(whole, "in", id="u9", x=1).on
    assert ask(whole, "out", id="u9").on
    assert not ask(whole, "out", id="u1").on


def test_only_needed_groups_are_sent():
    """Members of groups that no flag of the environment refers to stay here."""
    item = flag("f", ForceRule(value=True, saved_groups=(GroupTest("any", ("both",)),)))

    whole = told(item, options=Options(GroupForm.REFERENCES))

    assert whole["savedGroups"].keys() == {"both", "beta"}
    assert told(flag("g"), options=Options(GroupForm.REFERENCES))["savedGroups"] == {}


def test_prerequisites_gate_and_skip():
    """A prerequisite that fails skips its rule; one that gates takes the whole flag away."""
    needs = Prerequisite("parent", {"value": True})
    skipping = flag("skipping", ForceRule(value=True, prerequisites=(needs,)))
    gated = flag("gated", GateRule(prerequisites=(needs,)), ForceRule(value=True))
    off, on = flag("parent"), flag("parent", default=True)

    assert ask(told(off, skipping), "skipping", id="u").value is False
    assert ask(told(on, skipping), "skipping", id="u").value is True
    assert ask(told(off, gated), "gated", id="u").value is None
    assert ask(told(on, gated), "gated", id="u").value is True


def test_a_percentage_rule_serves_its_share():
    """A fifth of many units, always the same ones."""
    whole = told(flag("f", PercentageRule(value=True, share=0.2)))

    on = [ask(whole, "f", id=f"user-{n}").on for n in range(2_000)]

    assert 0.17 < sum(on) / len(on) < 0.23
    assert on == [ask(whole, "f", id=f"user-{n}").on for n in range(2_000)]


def test_namespaces_exclude_each_other():
    """Rules in disjoint parts of a layer never meet in one unit."""

    def rule(start: float, end: float) -> ExperimentRule:
        arms = (Arm("0", "", False, 0.5), Arm("1", "", True, 0.5))
        return ExperimentRule(variations=arms, namespaces=(Namespace("layer", ((start, end),)),))

    whole = told(flag("one", rule(0, 0.5)), flag("two", rule(0.5, 1)))

    for n in range(300):
        sources = [ask(whole, key, id=f"user-{n}").source for key in ("one", "two")]
        assert sources.count("experiment") == 1


def test_a_decided_rollout_is_no_experiment_any_more():
    """Everybody whom it concerns gets the decided variation, and nothing is tracked."""
    rule = rollout_rule(coverage=0.1, decided="control", condition={"country": "DE"})
    whole = told(flag("f", rule, default=True))

    results = [ask(whole, "f", id=f"u{n}", country="DE") for n in range(50)]

    assert {(result.source, result.value) for result in results} == {("force", False)}
    assert ask(whole, "f", id="u1", country="FR").value is True
    assert "guided" not in _texts(whole)


shares = st.lists(st.integers(1, 20), min_size=2, max_size=5)
coverages = st.floats(0, 1, allow_nan=False)


@settings(deadline=None, max_examples=60)
@given(shares, coverages, coverages, st.text(min_size=1, max_size=8), st.integers(0, 10**6))
def test_growing_coverage_moves_nobody_between_arms(
    parts: list[int], one: float, other: float, rollout: str, seed: int
):
    """Whoever is in at a small coverage is in at a larger one, and in the same arm."""
    small, large = sorted((one, other))
    arms = tuple(
        Arm(f"arm-{index}", "", index, part / sum(parts)) for index, part in enumerate(parts)
    )

    def assigned(coverage: float) -> list[int | None]:
        rule = RolloutRule(
            rollout=rollout, unit="id", variations=arms, control="arm-0", coverage=coverage
        )
        whole = told(flag("f", rule, kind=FlagKind.NUMBER, default=-1))
        found = [ask(whole, "f", id=f"unit-{seed}-{n}") for n in range(40)]
        return [item.value if item.source == "experiment" else None for item in found]

    for before, after in zip(assigned(small), assigned(large), strict=True):
        assert before is None or before == after


def test_the_split_is_as_configured():
    """Of many units the configured share is covered, and each arm gets its part of them."""
    arms = (Arm("control", "", False, 0.85), Arm("guided", "", True, 0.15))
    whole = told(flag("f", rollout_rule(variations=arms, coverage=0.5)))

    results = [ask(whole, "f", id=f"user-{n}") for n in range(4_000)]

    inside = [result for result in results if result.source == "experiment"]
    assert 0.46 < len(inside) / len(results) < 0.54
    assert 0.12 < sum(result.value for result in inside) / len(inside) < 0.18
    assert inside[0].experimentResult.key in ("control", "guided")
    assert inside[0].experiment.key == "guided-returns"
