"""A flag's revisions: who, when, why, and what changed."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.orm import Session

from rollouts.flags import service as flags
from rollouts.flags.differences import Difference, differences

if TYPE_CHECKING:
    from rollouts.flags.store import RevisionRow

PAGE = 25
MOST_LINES = 40
MOST_EXPORTED = 10_000


@dataclass(frozen=True, slots=True)
class Change:
    """One revision of a flag as lines: what went, what came."""

    row: RevisionRow
    lines: tuple[tuple[str, str], ...]
    n_more: int
    environments: tuple[str, ...]  # whose state it changed


@dataclass(frozen=True, slots=True)
class History:
    """One page of a flag's revisions, the newest first."""

    changes: tuple[Change, ...]
    next_before: int | None


def get_history(
    session: Session, key: str, *, before: int | None = None, limit: int = PAGE
) -> History:
    """A flag's revisions below a number. Raises NotFound."""
    rows = flags.list_flag_revisions(session, key, before=before, limit=limit + 1)
    shown = rows[:limit]
    return History(
        tuple(_change(session, key, row, rows) for row in shown),
        shown[-1].number if len(rows) > limit else None,
    )


def _change(session: Session, key: str, row: RevisionRow, rows: Sequence[RevisionRow]) -> Change:
    if row.number == 1:
        return Change(row, (), 0, ())
    found = differences(_before(session, key, row, rows), row.snapshot)
    lines = [line for item in found for line in _told(item)]
    return Change(
        row, tuple(lines[:MOST_LINES]), max(len(lines) - MOST_LINES, 0), _environments(found)
    )


def _before(
    session: Session, key: str, row: RevisionRow, rows: Sequence[RevisionRow]
) -> dict[str, Any]:
    earlier = next((item for item in rows if item.number == row.number - 1), None)
    found = earlier or flags.get_flag_revision(session, key, row.number - 1)
    return found.snapshot


def _environments(found: Iterable[Difference]) -> tuple[str, ...]:
    names = (item.path.split(".")[1] for item in found if item.path.startswith("environments."))
    return tuple(dict.fromkeys(names))


def _told(item: Difference) -> list[tuple[str, str]]:
    lines = [("at", item.path.replace(".", " / "))]
    if "before" in item.sides:
        lines.append(("del", _short(item.sides["before"])))
    if "after" in item.sides:
        lines.append(("add", _short(item.sides["after"])))
    return lines


def _short(held: Any) -> str:
    text = json.dumps(held, ensure_ascii=False)
    return text if len(text) <= 200 else text[:200] + "…"


def rows_of(session: Session, key: str) -> Iterable[list[Any]]:
    """The history as rows of a table, its heads first."""
    yield ["revision", "at", "actor", "actor_kind", "action", "reason", "changed"]
    rows = flags.list_flag_revisions(session, key, limit=MOST_EXPORTED)
    for place, row in enumerate(rows):
        earlier = rows[place + 1].snapshot if place + 1 < len(rows) else None
        found = [] if earlier is None else differences(earlier, row.snapshot)
        paths = "; ".join(item.path for item in found)
        yield [
            *(row.number, row.at, row.actor_name, row.actor_kind),
            *(row.action, row.reason, paths),
        ]
