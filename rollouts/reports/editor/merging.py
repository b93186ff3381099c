"""Two people changed one flag: what fits beside the other's change, and what needs a choice."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rollouts.flags.rule_json import load_rules
from rollouts.reports.rule_words import rule_words, value

Body = Mapping[str, Any]  # a state as `dump_state` writes it
THEIRS, MINE = "theirs", "mine"


@dataclass(frozen=True, slots=True)
class Part:
    """One thing that can be changed by itself: the switch, the default, a rule, the order."""

    key: str
    name: str
    base: Any
    theirs: Any
    mine: Any
    choice: str  # whose is taken where both differ

    @property
    def is_clash(self) -> bool:
        """Whether both changed it, and not to the same."""
        return self.base not in (self.theirs, self.mine) and self.theirs != self.mine

    @property
    def is_changed(self) -> bool:
        """Whether anybody changed it."""
        return not self.base == self.theirs == self.mine

    @property
    def result(self) -> Any:
        """What the merged state has."""
        if self.is_clash:
            return self.theirs if self.choice == THEIRS else self.mine
        return self.theirs if self.mine == self.base else self.mine

    @property
    def owner(self) -> str:
        """Whose it is in the merged state."""
        if self.theirs == self.mine:
            return "both" if self.is_changed else ""
        return MINE if self.result == self.mine else THEIRS

    def words(self, side: str) -> str:
        """One side for people."""
        held = getattr(self, side)
        if self.key == "order":
            return ", ".join(held)
        if self.key == "enabled":
            return "on" if held else "off"
        if held is None:
            return "the flag’s own" if self.key == "default" else "none"
        if self.key == "default":
            return value(held["value"])
        told = rule_words(load_rules([held])[0])
        return f"{'' if told.is_on else 'switched off: '}{told.asks} → {told.serves}"


@dataclass(frozen=True, slots=True)
class Merged:
    """A state in which everything that fits has its place."""

    parts: tuple[Part, ...]
    order: tuple[str, ...]

    @property
    def clashes(self) -> list[Part]:
        """What needs a choice."""
        return [part for part in self.parts if part.is_clash]

    @property
    def fitting(self) -> list[Part]:
        """What was changed and fits."""
        return [part for part in self.parts if part.is_changed and not part.is_clash]

    @property
    def body(self) -> dict[str, Any]:
        """The merged state as `load_state` reads it."""
        held = {part.key: part.result for part in self.parts}
        own = {} if held["default"] is None else {"default": held["default"]["value"]}
        rules = [held[f"rule:{name}"] for name in self.order]
        return {"enabled": held["enabled"], **own, "rules": [r for r in rules if r is not None]}


def merge(base: Body, theirs: Body, mine: Body, choices: Mapping[str, str]) -> Merged:
    """Both changes together. A clash is decided by `choices`, else mine is taken."""
    sides = (base, theirs, mine)
    parts = [
        _part("enabled", "Switch", [side["enabled"] for side in sides], choices),
        _part("default", "Everyone else", [_default(side) for side in sides], choices),
    ]
    held = [{rule["id"]: rule for rule in side["rules"]} for side in sides]
    names = list(dict.fromkeys(name for rules in (held[2], held[1], held[0]) for name in rules))
    for name in names:
        three = [rules.get(name) for rules in held]
        parts.append(_part(f"rule:{name}", _named(three, name), three, choices))
    return Merged(tuple(parts), tuple(_order([list(rules) for rules in held])))


def _part(key: str, name: str, three: Sequence[Any], choices: Mapping[str, str]) -> Part:
    base, theirs, mine = three
    return Part(key, name, base, theirs, mine, choices.get(key, MINE))


def _default(side: Body) -> dict[str, Any] | None:
    return {"value": side["default"]} if "default" in side else None


def _named(three: Sequence[Body | None], name: str) -> str:
    last = next(rule for rule in (three[2], three[1], three[0]) if rule is not None)
    return str(last.get("description") or last.get("rollout") or f"Rule {name}")


def _order(three: Sequence[list[str]]) -> list[str]:
    """Mine if I moved rules, else theirs; what only the other has follows its predecessor."""
    base, theirs, mine = three
    common = [name for name in base if name in theirs and name in mine]
    has_moved = [name for name in mine if name in common] != common
    first, second = (mine, theirs) if has_moved else (theirs, mine)
    out = list(first)
    for place, name in enumerate(second):
        if name not in out:
            before = next((x for x in reversed(second[:place]) if x in out), None)
            out.insert(0 if before is None else out.index(before) + 1, name)
    return out
