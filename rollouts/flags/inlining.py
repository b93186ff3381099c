"""Saved groups spelt out in the conditions that refer to them, for SDKs that know no references."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rollouts.flags.condition_checks import INLINE, referenced_groups
from rollouts.flags.model import Condition

NOBODY: Condition = {
    "$or": [{"$not": {}}]
}  # an empty condition holds for all, so its negation never
DEEPEST_GROUPS = 10


class Inliner:
    """Replaces references to the saved groups of one payload."""

    def __init__(self, groups: Mapping[str, Any]) -> None:
        self._groups = groups

    def spell_out(self, condition: Any, depth: int = 0) -> Any:
        """The same condition without references."""
        if isinstance(condition, list):
            return [self.spell_out(item, depth) for item in condition]
        if not isinstance(condition, dict):
            return condition
        reference = condition.get("$savedGroup")
        if reference is None:
            return self._members(condition, depth)
        others = {name: item for name, item in condition.items() if name != "$savedGroup"}
        spelt = self._reference(reference, depth)
        return {"$and": [spelt, self._members(others, depth)]} if others else spelt

    def _members(self, condition: dict[str, Any], depth: int) -> dict[str, Any]:
        spelt: dict[str, Any] = {}
        for name, item in condition.items():
            if name in INLINE:
                spelt[INLINE[name]] = self._values(item)
            else:
                spelt[name] = self.spell_out(item, depth)
        return spelt

    def _values(self, key: Any) -> list[Any]:
        group = self._groups.get(key, {})
        return list(group["values"]) if group.get("type") == "list" else []

    def _reference(self, reference: Any, depth: int) -> Condition:
        group = self._groups.get(reference["id"])
        if group is None or depth >= DEEPEST_GROUPS:
            return NOBODY
        if group["type"] == "list":
            attribute = reference.get("attributeKey", group["attributeKey"])
            return {attribute: {"$in": list(group["values"])}}
        spelt: Condition = self.spell_out(group["condition"], depth + 1)
        return spelt

    def spell_out_carried(self, carried: Mapping[str, Any]) -> dict[str, Any]:
        """Sections that were imported, the conditions in them without references."""
        return {
            name: [self._with_conditions(item) for item in section]
            if isinstance(section, list)
            else {key: self._bandit(item) for key, item in section.items()}
            for name, section in carried.items()
        }

    def _bandit(self, bandit: dict[str, Any]) -> dict[str, Any]:
        contexts = bandit.get("contexts")
        if not isinstance(contexts, list):
            return bandit
        return {**bandit, "contexts": [self._with_conditions(item) for item in contexts]}

    def _with_conditions(self, item: dict[str, Any]) -> dict[str, Any]:
        named = ("condition", "parentConditions")
        return {**item, **{name: self.spell_out(item[name]) for name in named if name in item}}

    def needed_by(
        self, features: Mapping[str, Any], carried: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The groups that features and imported sections refer to, and those that these refer to."""
        waiting = referenced_groups(
            [
                rule.get(member)
                for item in features.values()
                for rule in item.get("rules", ())
                for member in ("condition", "parentConditions")
            ]
        ) | referenced_groups(conditions_in(carried or {}))
        found: set[str] = set()
        while waiting:
            key = waiting.pop()
            if key in self._groups and key not in found:
                found.add(key)
                waiting |= referenced_groups(self._groups[key].get("condition"))
        return {key: group for key, group in self._groups.items() if key in found}


def conditions_in(carried: Mapping[str, Any]) -> list[Any]:
    """Every condition in sections that were imported: of experiments, and of bandits' contexts."""
    bandits = carried.get("contextualBandits", {}).values()
    contexts = [item for bandit in bandits for item in bandit.get("contexts") or ()]
    holders = [*carried.get("experiments", ()), *contexts]
    return [item.get(name) for item in holders for name in ("condition", "parentConditions")]
