"""Flags that no longer earn their place in the code, each with the reason."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy.orm import Session

from rollouts.accounts.model import Actor
from rollouts.audit import service as audit
from rollouts.errors import Fault
from rollouts.flags import propagation_store, reference_store, store
from rollouts.flags.changes import get_row, list_flags
from rollouts.flags.checks import NAME_MAX, TEXT_MAX, refuse, text_faults
from rollouts.flags.environments import list_environments
from rollouts.flags.model import Flag, RolloutRule
from rollouts.flags.reachable import values_in
from rollouts.flags.reference_store import CodeReferenceRow, CodeScanRow
from rollouts.web import json_bytes

COMMIT_MAX = 64  # characters: a SHA-256 in hexadecimal
PERMANENT = "permanent"  # the tag of flags that are meant to stay, such as kill switches

Code = Literal["one_value", "not_edited", "no_clients", "rollout_decided"]


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a flag is listed."""

    code: Code
    text: str


@dataclass(frozen=True, slots=True)
class Stale:
    """A flag that could go, why, and what to do."""

    flag: Flag
    reasons: tuple[Reason, ...]
    removal: str
    references: tuple[CodeReferenceRow, ...]


def list_stale(session: Session, *, days: int, now: datetime) -> list[Stale]:
    """Flags that could go, by key. Young flags are left alone until their rollout is decided.

    Flags with the tag `permanent` are meant to stay and are never listed.
    """
    places = [row.key for row in list_environments(session)]
    told = find_reasons(session, days=days, now=now)
    mentions = references_by_key(session, [flag.key for flag, _ in told])
    return [
        Stale(flag, reasons, removal(flag, places, rows), rows)
        for flag, reasons in told
        for rows in [tuple(mentions.get(flag.key, ()))]
    ]


def find_reasons(
    session: Session, *, days: int, now: datetime
) -> list[tuple[Flag, tuple[Reason, ...]]]:
    """The same flags with their reasons alone."""
    places = [row.key for row in list_environments(session)]
    seen = propagation_store.clients_seen(session)
    told = (
        (flag, tuple(reasons_of(flag, places, seen, days, now)))
        for flag in list_flags(session)
        if PERMANENT not in flag.tags
    )
    return [(flag, reasons) for flag, reasons in told if reasons]


def references_by_key(session: Session, keys: Collection[str]) -> dict[str, list[CodeReferenceRow]]:
    """Where scans found flags mentioned, by the flag's key."""
    names = store.ids_of(session, keys)
    found: dict[str, list[CodeReferenceRow]] = {}
    for row in reference_store.list_references(session, names):
        if row.flag_id in names:
            found.setdefault(names[row.flag_id], []).append(row)
    return found


def list_code_references(session: Session, key: str) -> list[CodeReferenceRow]:
    """Where scans found a flag mentioned. Raises NotFound."""
    return reference_store.list_references(session, [get_row(session, key).id])


def list_code_scans(session: Session, key: str) -> list[CodeScanRow]:
    """Which branches were looked through for a flag, and when. Raises NotFound."""
    return reference_store.list_scans(session, get_row(session, key).id)


def put_code_references(
    session: Session,
    key: str,
    repository: str,
    branch: str,
    found: Sequence[tuple[str, int]],
    *,
    commit: str = "",
    actor: Actor,
    now: datetime,
) -> list[CodeReferenceRow]:
    """Keep where a scan of one branch found a flag; all that is known of it. Raises NotFound."""
    row = get_row(session, key)
    refuse("The references", _text_faults(repository, branch, commit, found))
    held = reference_store.list_references(session, [row.id])
    before = [r for r in held if (r.repository, r.branch) == (repository, branch)]
    if sorted((r.file, r.line) for r in before) != sorted(found):
        reference_store.replace_references(session, row.id, repository, branch, found, now)
        audit.record(
            session,
            actor=actor,
            action="flag.code_scanned",
            subject_kind="flag",
            subject=key,
            before={"lines": len(before)},
            after={"repository": repository, "branch": branch, "lines": len(found)},
            now=now,
        )
    reference_store.save_scan(session, row.id, repository, branch, commit, now)
    return reference_store.list_references(session, [row.id])


def _text_faults(
    repository: str, branch: str, commit: str, found: Sequence[tuple[str, int]]
) -> Iterator[Fault]:
    yield from text_faults(repository, "repository", NAME_MAX)
    yield from text_faults(branch, "branch", NAME_MAX)
    yield from text_faults(commit, "commit", COMMIT_MAX)
    for index, (file, _) in enumerate(found):
        yield from text_faults(file, f"references.{index}.file", TEXT_MAX)


def reasons_of(
    flag: Flag,
    places: Sequence[str],
    seen: dict[str, datetime],
    days: int,
    now: datetime,
) -> list[Reason]:
    """Why a flag could go.

    seen: when clients of each environment were last known; environments nobody ever asked for
    are left out.
    """
    reasons = decided_in(flag)
    since = now - timedelta(days=days)
    if flag.created_at is None or flag.created_at > since:
        return reasons
    one = only_value(flag, places)
    if one is not None:
        reasons.append(Reason("one_value", f"Everybody gets {one} in every environment."))
    if flag.updated_at is not None and flag.updated_at <= since:
        age = (now - flag.updated_at).days
        reasons.append(Reason("not_edited", f"Nobody has edited it for {age} days."))
    kept = min(days, propagation_store.KEPT.days)
    on = [place for place in places if flag.state(place).is_enabled]
    if on and all(seen.get(place, since) <= now - timedelta(days=kept) for place in on):
        text = f"No client has asked for {' or '.join(on)} for {kept} days."
        reasons.append(Reason("no_clients", text))
    return reasons


def decided_in(flag: Flag) -> list[Reason]:
    """The rollouts of a flag that are decided, by environment."""
    return [
        Reason(
            "rollout_decided",
            f"The rollout {rule.rollout} is decided in {place}: everybody gets"
            f" {_json(rule.arm(rule.decided).value)}.",
        )
        for place, state in sorted(flag.states.items())
        for rule in state.rules
        if isinstance(rule, RolloutRule) and rule.decided is not None
    ]


def only_value(flag: Flag, places: Sequence[str]) -> str | None:
    """The value everybody gets everywhere, as JSON, if there is just one."""
    values = {_json(value) for place in places for value in values_in(flag, place)}
    return values.pop() if len(values) == 1 else None


def removal(flag: Flag, places: Sequence[str], rows: Sequence[CodeReferenceRow]) -> str:
    """What to do about a flag, in a sentence."""
    decided = {
        _json(rule.arm(rule.decided).value)
        for state in flag.states.values()
        for rule in state.rules
        if isinstance(rule, RolloutRule) and rule.decided is not None
    }
    value = decided.pop() if len(decided) == 1 else only_value(flag, places)
    n_files = len({(row.repository, row.file) for row in rows})
    counted = f"{len(rows)} line{'s' if len(rows) > 1 else ''}"
    where = f"on {counted} of {n_files} file{'s' if n_files > 1 else ''}" if rows else "in the code"
    if value is None:
        return f"Decide what {flag.key!r} is to be, take it out {where}, then archive it."
    return f"Put {value} in place of {flag.key!r} {where}, then archive it."


def _json(value: Any) -> str:
    return json_bytes.dumps(value).decode()
