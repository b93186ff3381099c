"""Try, save, merge and restore: each change is tried first in a transaction that is undone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.db import Database
from rollouts.errors import Conflict, Fault, Invalid, StaleEdit
from rollouts.flags import service as flags
from rollouts.flags.attributes import list_mismatches
from rollouts.flags.groups import list_groups
from rollouts.flags.model import Flag, FlagState
from rollouts.flags.rule_json import dump_state, load_flag, load_state
from rollouts.reports.editor.form import Form, form_of
from rollouts.reports.editor.merging import Merged, merge
from rollouts.reports.editor.reading import state_of
from rollouts.reports.editor.review import Review, review
from rollouts.reports.flagging.effects import Effect, get_effects

if TYPE_CHECKING:
    from rollouts.flags.store import RevisionRow


TYPES_DIFFER = '`40` is a number, `"40"` a text; only some languages take one for the other.'


@dataclass(frozen=True, slots=True)
class Tried:
    """How an edit would end: what it changes, what is wrong with it, or that it came too late."""

    state: FlagState | None = None
    review: Review | None = None
    after: Flag | None = None
    faults: tuple[Fault, ...] = ()
    is_stale: bool = False


def attempt(db: Database, flag: Flag, form: Form, actor: Actor, now: datetime) -> Tried:
    """What saving the form would do; nothing is kept."""
    state, faults = state_of(form, flag)
    if state is None:
        return Tried(faults=tuple(faults))
    if form.revision != flag.revision:
        return Tried(state, is_stale=True)

    def change(session: Session) -> Flag:
        return _set(session, flag, form, state, actor, now)

    try:
        after = _undone(db, change)
    except StaleEdit:
        return Tried(state, is_stale=True)
    except Invalid as wrong:
        return Tried(state, faults=wrong.faults or (Fault("form", wrong.detail),))
    except Conflict as wrong:
        return Tried(state, faults=(Fault("form", wrong.detail),))
    return Tried(state, review(flag, after, [form.environment], now), after)


def save(
    session: Session, flag: Flag, form: Form, state: FlagState, actor: Actor, now: datetime
) -> Flag:
    """Keep it, with the reason. Raises StaleEdit if somebody was faster."""
    return _set(session, flag, form, state, actor, now)


def _set(
    session: Session, flag: Flag, form: Form, state: FlagState, actor: Actor, now: datetime
) -> Flag:
    return flags.set_state(
        session,
        flag.key,
        form.environment,
        state,
        actor=actor,
        now=now,
        reason=form.reason,
        expected_revision=form.revision,
    )


def _undone(db: Database, change: Callable[[Session], Flag]) -> Flag:
    with db.transaction() as session:
        after = change(session)
        session.rollback()
    return after


@dataclass(frozen=True, slots=True)
class Clash:
    """Somebody else's change beside one's own."""

    newest: RevisionRow
    since: int  # revisions that came in between
    merged: Merged


def clash(session: Session, flag: Flag, form: Form, choices: Mapping[str, str]) -> Clash | None:
    """Both changes against what both began from; None if the form itself cannot be read.

    Raises NotFound if the form names a revision that never was.
    """
    mine, faults = state_of(form, flag)
    if mine is None or faults:
        return None
    base = load_flag(flags.get_flag_revision(session, flag.key, form.revision).snapshot)
    began, theirs = (dump_state(side.state(form.environment)) for side in (base, flag))
    return Clash(
        newest=flags.get_flag_revision(session, flag.key, flag.revision),
        since=flag.revision - form.revision,
        merged=merge(began, theirs, dump_state(mine), choices),
    )


def merged_form(flag: Flag, form: Form, held: Clash) -> Form:
    """The form of the merged state, made for the newest revision."""
    whole = form_of(flag, form.environment, load_state(held.merged.body))
    whole.reason = form.reason
    return whole


def try_revert(db: Database, flag: Flag, number: int, actor: Actor, now: datetime) -> Tried:
    """What going back to a revision would change, in every environment. Raises NotFound."""

    def change(session: Session) -> Flag:
        return flags.revert(session, flag.key, number, actor=actor, now=now)

    return _everywhere(db, flag, change, now)


def try_details(
    db: Database, flag: Flag, fields: Mapping[str, Any], actor: Actor, now: datetime
) -> Tried:
    """What other details would change, in every environment. Raises Invalid."""

    def change(session: Session) -> Flag:
        return flags.edit_flag(session, flag.key, fields, actor=actor, now=now)

    return _everywhere(db, flag, change, now)


def _everywhere(
    db: Database, flag: Flag, change: Callable[[Session], Flag], now: datetime
) -> Tried:
    after = _undone(db, change)
    environments = sorted({*flag.states, *after.states})
    return Tried(review=review(flag, after, environments, now), after=after)


def warnings_of_types(
    session: Session, flag: Flag, after: Flag | None, environment: str
) -> list[tuple[str, str]]:
    """Attributes that the edit compares as no other flag does: what, and what to do."""
    if after is None:
        return []
    others = [other for other in flags.list_flags(session) if other.key != flag.key]
    groups = list_groups(session)
    before = {
        (item.attribute, item.here) for item in list_mismatches(flag, environment, others, groups)
    }
    return [
        (
            f"Rule {item.rule} compares {item.attribute} with a {item.here}",
            f"Elsewhere it is a {' or '.join(item.elsewhere.types)}. {TYPES_DIFFER}",
        )
        for item in list_mismatches(after, environment, others, groups)
        if (item.attribute, item.here) not in before
    ]


def effects_of(
    db: Database, flag: Flag, tried: Tried, users: Sequence[dict[str, Any]], now: datetime
) -> tuple[Effect, ...]:
    """Whose answers the edit changes: of these users, or of made-up ones if there are none."""
    if tried.after is None:
        return ()
    environments = sorted({*flag.states, *tried.after.states})
    with db.reading() as session:
        return get_effects(session, flag, tried.after, environments, users, now=now)
