"""Two people edit at once: nothing of either is lost without somebody choosing it."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from rollouts.reports.editor.merging import merge


def rule(name: str, value: bool = True) -> dict[str, Any]:
    """A rule that serves one value."""
    return {"type": "force", "id": name, "description": name, "value": value}


def state(*rules: dict[str, Any], enabled: bool = True, **own: Any) -> dict[str, Any]:
    """A state as revisions keep it."""
    return {"enabled": enabled, **own, "rules": list(rules)}


STAFF, IRELAND, ISLANDS = rule("staff"), rule("ireland"), rule("islands")
BASE = state(STAFF, IRELAND, ISLANDS)


def ids(body: dict[str, Any]) -> list[str]:
    """Rules in their order."""
    return [item["id"] for item in body["rules"]]


def test_changes_to_different_rules_fit():
    """Mine added and changed, theirs removed: all three are kept."""
    theirs = state(STAFF, IRELAND, enabled=False)
    mine = state(STAFF, rule("baskets"), rule("ireland", False), ISLANDS)
    merged = merge(BASE, theirs, mine, {})

    assert merged.clashes == []
    assert merged.body == state(STAFF, rule("baskets"), rule("ireland", False), enabled=False)


def test_a_rule_that_both_changed_needs_a_choice():
    """Either can be taken; mine if nothing is said."""
    theirs = state(STAFF, {**IRELAND, "value": False}, ISLANDS)
    mine = state(STAFF, {**IRELAND, "is_enabled": False}, ISLANDS)
    [part] = merge(BASE, theirs, mine, {}).clashes

    assert part.key == "rule:ireland"
    assert merge(BASE, theirs, mine, {}).body == mine
    assert merge(BASE, theirs, mine, {"rule:ireland": "theirs"}).body == theirs
    assert part.words("theirs") == "everyone → false"
    assert part.words("mine") == "switched off: everyone → true"


def test_removed_there_and_changed_here_is_a_clash():
    """A removal is a change too."""
    theirs, mine = state(STAFF, ISLANDS), state(STAFF, rule("ireland", False), ISLANDS)

    assert [part.words("theirs") for part in merge(BASE, theirs, mine, {}).clashes] == ["none"]
    assert ids(merge(BASE, theirs, mine, {"rule:ireland": "theirs"}).body) == ["staff", "islands"]


def test_default_of_ones_own_and_switch_are_merged():
    """A default that is taken away is a change like any other."""
    merged = merge(state(default=None), state(), state(default=None, enabled=False), {})

    assert merged.body == state(enabled=False)


rules = st.lists(st.sampled_from("abcdef"), unique=True).flatmap(
    lambda names: st.tuples(*(st.booleans().map(lambda on, n=name: rule(n, on)) for name in names))
)
states = st.builds(lambda held, on: state(*held, enabled=on), rules, st.booleans())


@given(states, states)
def test_when_only_one_changed_theirs_or_mine_is_taken_whole(base: dict, other: dict):
    """Order included."""
    assert merge(base, other, base, {}).body == other
    assert merge(base, base, other, {}).body == other


@given(states, states, states)
def test_nothing_is_doubled_or_invented(base: dict, theirs: dict, mine: dict):
    """Each rule is there at most once and as one of the two has it."""
    body = merge(base, theirs, mine, {}).body

    assert len(set(ids(body))) == len(body["rules"])
    assert all(item in theirs["rules"] or item in mine["rules"] for item in body["rules"])
