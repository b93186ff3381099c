"""Sections of an imported payload that an environment passes on to SDKs as they are."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor, Role
from rollouts.audit import service as audit
from rollouts.errors import Conflict, Fault, NotAllowed
from rollouts.flags.bulk import Change
from rollouts.flags.differences import Difference
from rollouts.flags.environment_store import EnvironmentRow
from rollouts.flags.growthbook_sections import EXPERIMENTS


class OnConflict(StrEnum):
    """What becomes of flags and saved groups that are here already and say something else."""

    REFUSE = "refuse"
    REPLACE = "replace"


def carry(
    session: Session,
    place: EnvironmentRow,
    read: Mapping[str, Any],
    on_conflict: OnConflict,
    *,
    actor: Actor,
    now: datetime,
    reason: str,
) -> list[Change]:
    """Pass these sections on from now on; the caller publishes. Sections not given stay.

    Raises Conflict, NotAllowed.
    """
    held = place.carried
    changed = sorted(name for name in read if read[name] != held.get(name, type(read[name])()))
    if not changed:
        return []
    _check(place, changed, on_conflict, actor)
    found = [_difference(name, held, read) for name in changed]
    place.carried = {**held, **{name: read[name] for name in changed}}
    audit.record(
        session,
        actor=actor,
        action="environment.imported",
        subject_kind="environment",
        subject=place.key,
        before={item.path: item.sides["before"] for item in found if "before" in item.sides},
        after={item.path: item.sides["after"] for item in found},
        reason=reason,
        now=now,
    )
    return [Change("environment", place.key, not held, tuple(found))]


def _check(
    place: EnvironmentRow, changed: list[str], on_conflict: OnConflict, actor: Actor
) -> None:
    actor.check_environment(place.key)
    if EXPERIMENTS in changed and not actor.role.includes(Role.ADMIN):
        raise NotAllowed(
            "Experiments of a visual editor run code in your customers' pages: an administrator"
            " imports them, or you leave `experiments` out."
        )
    there = [name for name in changed if place.carried.get(name)]
    if there and on_conflict is OnConflict.REFUSE:
        problem = "are here already and say something else"
        raise Conflict(
            f"Nothing was changed: {there[0]} {problem}.",
            faults=tuple(Fault(name, problem) for name in there),
        )


def _difference(name: str, held: Mapping[str, Any], read: Mapping[str, Any]) -> Difference:
    before = {"before": held[name]} if name in held else {}
    return Difference(name, {**before, "after": read[name]})
