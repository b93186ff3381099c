"""Many flags and saved groups changed at once: all of it or nothing, published once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.errors import Fault, Invalid
from rollouts.flags import changes, environment_store, groups, store
from rollouts.flags.archiving import check_archivable
from rollouts.flags.differences import Difference, differences
from rollouts.flags.groups import dump_group
from rollouts.flags.model import Flag, FlagState, Rule, SavedGroup
from rollouts.flags.publishing import publish
from rollouts.flags.revisions import show_difference


@dataclass(frozen=True, slots=True)
class Change:
    """What is changed in one flag, saved group, environment or metric."""

    kind: Literal["flag", "saved group", "environment", "metric"]
    key: str
    is_new: bool
    differences: tuple[Difference, ...]

    def to_json(self) -> dict[str, Any]:
        """The change as the API shows it."""
        return {
            "kind": self.kind,
            "key": self.key,
            "change": "new" if self.is_new else "changed",
            "differences": [show_difference(item) for item in self.differences],
        }


def change_all(
    session: Session,
    flags: Sequence[Flag],
    saved_groups: Sequence[SavedGroup],
    *,
    action: str,
    actor: Actor,
    now: datetime,
    reason: str = "",
) -> list[Change]:
    """Make flags and groups be as they are given; those that are so already leave no trace."""
    environment_store.lock_environments(session)
    held = {group.key: group for group in groups.list_groups(session)}
    done = [
        _write_group(session, held.get(group.key), group, actor, now, reason)
        for group in saved_groups
        if held.get(group.key) != group
    ]
    before = {flag.key: flag for flag in changes.list_flags(session, with_archived=True)}
    changed = [flag for flag in flags if before.get(flag.key) != flag]
    places = changes.list_places(session)
    for flag in changed:
        with _named(f"flags.{flag.key}"):
            changes.check_flag(places, before.get(flag.key), flag, actor, reason)
    pairs = [(before.get(flag.key), flag) for flag in changed]
    written = changes.write_all(session, pairs, action, actor, reason, now)
    done += [
        Change("flag", item.flag.key, item.flag.key not in before, tuple(item.differences))
        for item in written
    ]
    groups.check_references(session, [g for g in saved_groups if g.condition is not None])
    whole = before | {item.flag.key: item.flag for item in written}
    live = [flag for flag in whole.values() if not flag.is_archived]
    changes.check_references(session, changed, live)
    for flag in changed:
        if flag.is_archived and flag.key in before and not before[flag.key].is_archived:
            check_archivable(flag, live)
    publish(session, now, live=live)
    return done


def _write_group(
    session: Session,
    before: SavedGroup | None,
    after: SavedGroup,
    actor: Actor,
    now: datetime,
    reason: str,
) -> Change:
    with _named(f"saved_groups.{after.key}"):
        groups.check_group(session, after, actor)
    row = store.find_group_row(session, after.key)
    saved = groups.write(session, row, after, actor, now, reason)
    found = differences({} if before is None else dump_group(before), dump_group(saved))
    return Change("saved group", after.key, before is None, tuple(found))


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Put the thing's own place before every fault that is found in it."""
    try:
        yield
    except Invalid as wrong:
        faults = tuple(Fault(f"{where}.{fault.where}", fault.problem) for fault in wrong.faults)
        first = f"{faults[0].where}: {faults[0].problem}" if faults else wrong.detail
        raise Invalid(f"Nothing was changed. {first}", faults=faults) from wrong


def with_kept_ids(new: Iterable[Rule], held: Sequence[Rule]) -> tuple[Rule, ...]:
    """Rules that came without an id take that of the rule they replace, so that ids stay.

    That is an equal rule if there is one, else the one of the same type in the same place.
    """
    rules = list(new)
    taken = {rule.id for rule in rules if rule.id}
    for is_replacement in (_is_equal, _is_in_place):
        for at, rule in enumerate(rules):
            if rule.id:
                continue
            for place, other in enumerate(held):
                if other.id not in taken and is_replacement(rule, other, at, place):
                    rules[at] = replace(rule, id=other.id)
                    taken.add(other.id)
                    break
    return tuple(rules)


def _is_equal(rule: Rule, other: Rule, _at: int, _place: int) -> bool:
    return replace(other, id="") == rule


def _is_in_place(rule: Rule, other: Rule, at: int, place: int) -> bool:
    return at == place and rule.type == other.type


def in_environment(flag: Flag, environment: str, state: FlagState) -> Flag:
    """The flag with that state, its rules keeping their ids."""
    rules = with_kept_ids(state.rules, flag.state(environment).rules)
    return changes.with_state(flag, environment, replace(state, rules=rules))
