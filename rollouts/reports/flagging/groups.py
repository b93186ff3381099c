"""Saved groups: which flags use them, and an edit of one as texts."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy.orm import Session

from rollouts.errors import Fault, Invalid
from rollouts.flags import groups
from rollouts.flags import service as flags
from rollouts.flags.model import Flag, SavedGroup
from rollouts.flags.references import groups_of
from rollouts.reports.editor.texts import json_of

LONGEST = 400_000  # characters of one field
MOST_LISTED = 50  # values that came or went

Texts = dict[str, str]
Lines = tuple[tuple[str, str], ...]


def flags_using(session: Session) -> dict[str, list[str]]:
    """Keys of the flags that name each group in a rule, by the group's key."""
    found: dict[str, list[str]] = {}
    for flag in flags.list_flags(session):
        for key in sorted(_groups_of(flag)):
            found.setdefault(key, []).append(flag.key)
    return found


def _groups_of(flag: Flag) -> set[str]:
    return {
        key for state in flag.states.values() for rule in state.rules for key in groups_of(rule)
    }


def texts_of(group: SavedGroup) -> Texts:
    """The fields of an edit before anything is typed."""
    is_numeric = any(not isinstance(value, str) for value in group.values)
    return {
        "key": group.key,
        "name": group.name,
        "description": group.description,
        "attribute": group.attribute,
        "form": "list" if group.is_list else "condition",
        "condition": "" if group.is_list else json.dumps(group.condition, indent=2),
        "add": "",
        "take": "",
        "numbers": "on" if is_numeric else "",
        "revision": str(group.revision),
        "reason": "",
    }


def texts_sent(sent: Mapping[str, str]) -> Texts:
    """The fields as they were sent."""
    names = texts_of(SavedGroup("", ""))
    return {
        name: sent.get(name, "").replace("\r\n", "\n").replace("\0", "")[:LONGEST] for name in names
    }


def group_of(texts: Texts, held: SavedGroup | None) -> SavedGroup:
    """The group as the fields make it of what is there. Raises Invalid."""
    began = held or SavedGroup(texts["key"].strip(), "")
    named = replace(began, name=texts["name"].strip(), description=texts["description"].strip())
    if texts["form"] == "condition":
        return replace(named, condition=_condition(texts["condition"]), values=())
    taken = {_token(value) for value in _values(texts["take"], bool(texts["numbers"]))}
    values = [*began.values, *_values(texts["add"], bool(texts["numbers"]))]
    kept = {_token(value): value for value in values if _token(value) not in taken}
    attribute = texts["attribute"].strip()
    return replace(named, attribute=attribute, condition=None, values=tuple(kept.values()))


def _condition(text: str) -> dict[str, Any]:
    try:
        held = json_of(text)
    except ValueError as wrong:
        raise Invalid(f"condition: {wrong}", faults=(Fault("condition", str(wrong)),)) from None
    if not isinstance(held, dict):
        problem = "a condition is an object, in braces"
        raise Invalid(f"condition: {problem}", faults=(Fault("condition", problem),))
    return held


def _values(text: str, has_numbers: bool) -> list[str | int | float]:
    """One value a line, or several between commas."""
    parts = (part.strip() for line in text.split("\n") for part in line.split(","))
    return [_number(part) if has_numbers else part for part in parts if part]


def _number(text: str) -> str | int | float:
    try:
        held = json_of(text)
    except ValueError:
        return text
    return text if isinstance(held, bool) or not isinstance(held, int | float) else held


def _token(value: Any) -> str:
    """What tells values apart: the number 1 is not the text "1"."""
    return json.dumps(value)


@dataclass(frozen=True, slots=True)
class Edit:
    """What an edit of a group would change."""

    after: SavedGroup
    lines: Lines
    n_added: int
    n_taken: int

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not self.lines


def edit_of(before: SavedGroup, after: SavedGroup) -> Edit:
    """The difference between two states of a group."""
    was, will = (dict.fromkeys(map(_token, group.values)) for group in (before, after))
    came = [token for token in will if token not in was]
    gone = [token for token in was if token not in will]
    told = [*_fields(before, after), *_moved("values", gone, came)]
    return Edit(after, tuple(told), len(came), len(gone))


def _fields(before: SavedGroup, after: SavedGroup) -> list[tuple[str, str]]:
    sides = [_shown(group) for group in (before, after)]
    found: list[tuple[str, str]] = []
    for name in sides[0]:
        was, will = (side[name] for side in sides)
        if was != will:
            found += [("at", name), ("del", was), ("add", will)]
    return found


def _shown(group: SavedGroup) -> dict[str, str]:
    return {
        "name": group.name,
        "description": group.description,
        "attribute": group.attribute if group.is_list else "–",
        "condition": "–" if group.is_list else json.dumps(group.condition, ensure_ascii=False),
    }


def _moved(name: str, gone: Sequence[str], came: Sequence[str]) -> list[tuple[str, str]]:
    if not gone and not came:
        return []
    lines = [("at", f"{name}: {len(gone):,} out, {len(came):,} in")]
    lines += [("del", token) for token in gone[:MOST_LISTED]]
    lines += [("add", token) for token in came[:MOST_LISTED]]
    n_more = max(len(gone) - MOST_LISTED, 0) + max(len(came) - MOST_LISTED, 0)
    return lines + ([("ctx", f"and {n_more:,} more")] if n_more else [])


def users_of(session: Session, key: str) -> list[str]:
    """Flags and groups that refer to a group, in words."""
    return groups.users_of(session, key)
