"""What a payload refers to and does not hold: to every SDK an empty list, and a flag that is null.

Both are made as just that, so that what is here already, or comes later, gives them no other
meaning unnoticed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rollouts.flags.condition_checks import referenced_groups
from rollouts.flags.inlining import conditions_in
from rollouts.flags.model import Flag, FlagKind, FlagState, Rule, SavedGroup
from rollouts.flags.references import groups_of


class Missing:
    """What flags, saved groups and imported sections refer to, and what of it is not there."""

    def __init__(
        self, flags: Sequence[Flag], groups: Sequence[SavedGroup], carried: Mapping[str, Any]
    ) -> None:
        self._rules = [rule for flag in flags for rule in _rules_of(flag)]
        self._groups = groups
        self._carried = carried

    def groups(self, known: Iterable[str], notes: list[str]) -> list[SavedGroup]:
        """A group without members for each that is missing."""
        named = referenced_groups(conditions_in(self._carried)).union(
            *(groups_of(rule) for rule in self._rules),
            *(referenced_groups(group.condition) for group in self._groups),
        )
        made = [SavedGroup(key, key) for key in sorted(named - set(known))]
        notes.extend(
            f"The saved group {group.key!r} is referred to and is not in the payload: made"
            " without members, as SDKs read it."
            for group in made
        )
        return made

    def flags(self, known: Iterable[str], environment: str, notes: list[str]) -> list[Flag]:
        """A flag that serves null for each that is missing and others wait for."""
        named = {item.flag for rule in self._rules for item in rule.prerequisites}
        for experiment in self._carried.get("experiments", ()):
            named |= {item["id"] for item in experiment.get("parentConditions") or ()}
        states = {environment: FlagState(is_enabled=True)}
        missing = sorted(named - set(known))
        notes.extend(
            f"The flag {key!r} is waited for and is not in the payload: made as one that"
            " serves null, as SDKs read it."
            for key in missing
        )
        return [Flag(key, FlagKind.JSON, None, states=dict(states)) for key in missing]


def _rules_of(flag: Flag) -> list[Rule]:
    return [rule for state in flag.states.values() for rule in state.rules]
