"""What is wrong with a saved group, before it is saved."""

from __future__ import annotations

from collections.abc import Iterator

from rollouts.errors import Fault
from rollouts.flags.checks import NAME_MAX, TEXT_MAX, key_faults, text_faults
from rollouts.flags.condition_checks import condition_faults
from rollouts.flags.model import SavedGroup

MOST_MEMBERS = 50_000


def group_faults(group: SavedGroup) -> Iterator[Fault]:
    """A list of plain values of one attribute, or a condition: never both."""
    yield from key_faults(group.key, "key")
    yield from text_faults(group.name, "name", NAME_MAX)
    yield from text_faults(group.description, "description", TEXT_MAX)
    if group.condition is not None:
        yield from condition_faults(group.condition, "condition")
        if group.values:
            yield Fault("values", "a group has values or a condition, not both")
    yield from _member_faults(group)


def _member_faults(group: SavedGroup) -> Iterator[Fault]:
    if not group.attribute or len(group.attribute) > NAME_MAX:
        yield Fault("attribute", f"must have between 1 and {NAME_MAX} characters")
    if len(group.values) > MOST_MEMBERS:
        yield Fault("values", f"at most {MOST_MEMBERS:,} values, not {len(group.values):,}")
    for index, value in enumerate(group.values):
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            yield Fault(f"values.{index}", "must be a text or a number")
            return
        if isinstance(value, str):
            yield from text_faults(value, f"values.{index}", NAME_MAX)
