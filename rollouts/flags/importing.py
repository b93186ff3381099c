"""Taking over what GrowthBook serves in one environment, whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.errors import Conflict, Fault, Invalid
from rollouts.flags import environment_store
from rollouts.flags.bulk import Change, change_all, in_environment
from rollouts.flags.carrying import OnConflict, carry
from rollouts.flags.changes import list_flags
from rollouts.flags.environments import get_environment
from rollouts.flags.groups import list_groups
from rollouts.flags.growthbook import kind_of, read_payload, values_of
from rollouts.flags.model import Flag, FlagKind, FlagState, Given, RolloutRule, SavedGroup
from rollouts.flags.value_checks import kind_problem


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import changed, and what it left out since it never had an effect."""

    changes: list[Change]
    notes: tuple[str, ...]
    n_unchanged: int

    def to_json(self) -> dict[str, Any]:
        """The import as the API shows it."""
        return {
            "changes": [change.to_json() for change in self.changes],
            "unchanged": self.n_unchanged,
            "notes": list(self.notes),
        }


def import_growthbook(
    session: Session,
    environment: str,
    features: Mapping[str, Any],
    saved_groups: Mapping[str, Any],
    *,
    on_conflict: OnConflict,
    actor: Actor,
    now: datetime,
    reason: str = "",
    sections: Mapping[str, Any] | None = None,
) -> Imported:
    """Make flags of a payload, on in this environment only unless they were here before.

    sections: `experiments` and `contextualBandits`, where the payload has them.
    Raises Invalid naming what cannot be kept, Conflict naming what is here already, NotAllowed
    where experiments that run in pages are brought by somebody who is no administrator.
    """
    place = get_environment(session, environment)
    environment_store.lock_environments(session)
    read = read_payload(features, saved_groups, environment, sections)
    held = {flag.key: flag for flag in list_flags(session, with_archived=True)}
    held_groups = {group.key: group for group in list_groups(session)}
    flags = [_merged(flag, held.get(flag.key), environment) for flag in read.flags]
    groups = [_merged_group(group, held_groups.get(group.key)) for group in read.groups]
    _refuse_conflicts(flags, held, groups, held_groups, environment, on_conflict)
    done = carry(session, place, read.carried, on_conflict, actor=actor, now=now, reason=reason)
    n_carried = len(done)
    done += change_all(
        session, flags, groups, action="flag.imported", actor=actor, now=now, reason=reason
    )
    return Imported(done, read.notes, len(flags) + len(groups) + n_carried - len(done))


def check_sections(payload: Mapping[str, Any]) -> None:
    """Refuse what cannot be read: whoever exports it has the key."""
    found = tuple(Fault(name, "is encrypted") for name in payload if name.startswith("encrypted"))
    if found:
        raise Invalid(
            f"The payload's {found[0].where} is encrypted: take that of a plain connection, or"
            " decrypt it first.",
            faults=found,
        )


def _merged(read: Flag, held: Flag | None, environment: str) -> Flag:
    """The flag that is here, serving in this environment what was read."""
    if held is None:
        return read
    state = read.state(environment)
    own = None if _is_same(held.default, read.default) else Given(read.default)
    values = [read.default, *values_of(state.rules)]
    if read.metadata is not None:
        held = replace(held, metadata=read.metadata)
    is_fitting = all(kind_problem(held.kind, value) is None for value in values)
    merged = in_environment(held, environment, FlagState(True, own, state.rules))
    return merged if is_fitting else replace(merged, kind=_common_kind(held, values))


def _common_kind(held: Flag, values: list[Any]) -> FlagKind:
    """The narrowest kind for what is served here and what is served elsewhere."""
    defaults = [state.default.value for state in held.states.values() if state.default]
    elsewhere = [value for state in held.states.values() for value in values_of(state.rules)]
    return kind_of([held.default, held.off_value, *defaults, *elsewhere, *values])


def _is_same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _merged_group(read: SavedGroup, held: SavedGroup | None) -> SavedGroup:
    if held is None:
        return read
    return replace(read, name=held.name, description=held.description)


def _refuse_conflicts(
    flags: list[Flag],
    held: Mapping[str, Flag],
    groups: list[SavedGroup],
    held_groups: Mapping[str, SavedGroup],
    environment: str,
    on_conflict: OnConflict,
) -> None:
    """Nothing is overwritten unasked; a rollout's rule and an archived flag not even if asked."""
    found = [
        Fault(f"flags.{flag.key}", problem)
        for flag in flags
        if flag.key in held and held[flag.key] != flag
        for problem in _problems(held[flag.key], environment, on_conflict)
    ]
    if on_conflict is OnConflict.REFUSE:
        found += [
            Fault(f"saved_groups.{group.key}", "is here already and says something else")
            for group in groups
            if group.key in held_groups and held_groups[group.key] != group
        ]
    if found:
        first = found[0]
        raise Conflict(
            f"Nothing was changed: {first.where} {first.problem}.", faults=tuple(found[:100])
        )


def _problems(held: Flag, environment: str, on_conflict: OnConflict) -> list[str]:
    if held.is_archived:
        return ["is here, archived: restore it first"]
    rules = held.state(environment).rules
    rollouts = [rule.rollout for rule in rules if isinstance(rule, RolloutRule)]
    if rollouts:
        return [f"carries the rollout {', '.join(rollouts)}, which an import may not touch"]
    return ["is here already and says something else"] if on_conflict is OnConflict.REFUSE else []
