"""Changes to many flags or metrics shown before they are made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import rich_click as click
from sqlalchemy.orm import Session

from rollouts.console import say
from rollouts.errors import Conflict
from rollouts.flags.bulk import Change
from rollouts.flags.differences import Difference
from rollouts.runtime import Runtime
from rollouts.web import json_bytes

Work = Callable[[Session, datetime], list[Change]]


def plan(parts: Runtime, work: Work) -> list[Change]:
    """What would be changed; nothing is."""
    with parts.db.transaction() as session:
        found = work(session, parts.now())
        session.rollback()
    return found


def carry_out(parts: Runtime, work: Work, *, is_asked: bool) -> None:
    """Show what will be changed, ask, and change exactly that. Raises Conflict if it differs by then."""
    planned = plan(parts, work)
    show(planned)
    if not planned:
        return
    if is_asked:
        click.confirm("Change this?", abort=True)
    with parts.db.transaction() as session:
        done = work(session, parts.now())
        if _seen(done) != _seen(planned):
            raise Conflict("Somebody changed some of this meanwhile. Nothing was done: look again.")
    say(f"Changed {_counted(done)}.")


def _seen(changes: Sequence[Change]) -> list[Any]:
    """What a person saw of the state before, which ids of new rules are no part of."""
    return [
        (change.kind, change.key, [item.sides.get("before") for item in change.differences])
        for change in changes
    ]


def show(changes: Sequence[Change]) -> None:
    """One line for each thing that changes, and below it what changes in it."""
    for change in changes:
        say(f"{'+' if change.is_new else '~'} {change.kind} {change.key}")
        for item in () if change.is_new else change.differences:
            say(f"    {_line(item)}")
    say(f"{_counted(changes)} to change." if changes else "Nothing to change.")


def _line(item: Difference) -> str:
    before, after = (
        json_bytes.dumps(item.sides[side]).decode() if side in item.sides else "nothing"
        for side in ("before", "after")
    )
    return f"{item.path}: {before} -> {after}"


def _counted(changes: Sequence[Change]) -> str:
    counts = [
        (n, kind)
        for kind in ("flag", "saved group", "environment", "metric")
        if (n := sum(change.kind == kind for change in changes))
    ]
    return " and ".join(f"{n} {kind}{'' if n == 1 else 's'}" for n, kind in counts)
