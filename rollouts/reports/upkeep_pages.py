"""Pages for those who keep flags in order: history, flags that could go, notes for removal."""

from __future__ import annotations

from typing import Any

from flask import Response, render_template

from rollouts.accounts.model import Role
from rollouts.flags import service as flags
from rollouts.flags import staleness
from rollouts.reports import asked
from rollouts.reports.blueprint import bp
from rollouts.reports.flag_pages import may_edit
from rollouts.reports.flagging import history, removal
from rollouts.reports.flagging.files import csv_file
from rollouts.reports.flagging.listing import PAGE, STALE_DAYS
from rollouts.web.access import requires
from rollouts.web.context import now, reading

LONGEST_AGE = 3_650  # days
BECAUSE = {
    "rollout_decided": "decided",
    "one_value": "one value for all",
    "no_clients": "nobody asks",
    "not_edited": "not edited",
}


@bp.get("/flags/<key>/history", endpoint="flag_history")
@requires(Role.READER)
def show_history(key: str) -> str:
    """Every revision of a flag: who, when, why, and what changed."""
    before = asked.number("before")
    with reading() as session:
        flag = flags.get_flag(session, key)
        page = history.get_history(session, key, before=before)
    return render_template(
        "reports/flag_history.html", flag=flag, page=page, before=before, may_edit=may_edit()
    )


@bp.get("/flags/<key>/history.csv", endpoint="flag_history_file")
@requires(Role.READER)
def export_history(key: str) -> Response:
    """The history as a file."""
    with reading() as session:
        return csv_file(history.rows_of(session, key), f"{key}-history")


@bp.get("/flags/<key>/code", endpoint="flag_code")
@requires(Role.READER)
def show_code(key: str) -> str:
    """Where source code mentions a flag, and the note for its removal."""
    start = asked.number("from") or 0
    with reading() as session:
        note = removal.get_note(session, key, days=STALE_DAYS, now=now())
    return render_template(
        "reports/flag_code.html",
        flag=note.flag,
        note=note,
        text=removal.to_text(note),
        markdown=removal.to_markdown(note),
        rows=note.references[start : start + removal.PAGE],
        start=start,
        size=removal.PAGE,
    )


@bp.get("/flags/<key>/code.<any(csv, md, txt):kind>", endpoint="flag_code_file")
@requires(Role.READER)
def export_code(key: str, kind: str) -> Response:
    """The lines as a file, or the note as text or Markdown."""
    with reading() as session:
        note = removal.get_note(session, key, days=STALE_DAYS, now=now())
    if kind == "csv":
        heads = ["repository", "branch", "file", "line", "found_at"]
        rows = [[r.repository, r.branch, r.file, r.line, r.scanned_at] for r in note.references]
        return csv_file([heads, *rows], f"{key}-code")
    text = removal.to_markdown(note) if kind == "md" else removal.to_text(note)
    return Response(
        text, content_type=f"text/{'markdown' if kind == 'md' else 'plain'}; charset=utf-8"
    )


# Flags that could go


@bp.get("/stale-flags", endpoint="stale")
@requires(Role.READER)
def list_stale() -> str:
    """Flags that no longer decide anything, and why."""
    search, because, days = _wanted()
    after = asked.text("after")
    with reading() as session:
        everything = staleness.list_stale(session, days=days, now=now())
    found = _fitting(everything, search, because)
    rest = [item for item in found if item.flag.key > after]
    counts = {
        code: sum(any(reason.code == code for reason in item.reasons) for item in everything)
        for code in BECAUSE
    }
    return render_template(
        "reports/stale.html",
        lines=rest[:PAGE],
        next_after=rest[PAGE - 1].flag.key if len(rest) > PAGE else None,
        n_found=len(found),
        n_all=len(everything),
        counts=counts,
        words=BECAUSE,
        search=search,
        because=because,
        days=days,
        after=after,
        usual_days=STALE_DAYS,
    )


@bp.get("/stale-flags.csv", endpoint="stale_file")
@requires(Role.READER)
def export_stale() -> Response:
    """The same as a file."""
    search, because, days = _wanted()
    with reading() as session:
        found = _fitting(staleness.list_stale(session, days=days, now=now()), search, because)
        return csv_file(_rows(found), "stale-flags")


def _wanted() -> tuple[str, str, int]:
    days = min(max(asked.number("days") or STALE_DAYS, 1), LONGEST_AGE)
    because = asked.text("because")
    return asked.text("search"), because if because in BECAUSE else "", days


def _fitting(found: list[staleness.Stale], search: str, because: str) -> list[staleness.Stale]:
    words = search.casefold()
    return [
        item
        for item in found
        if (not because or any(reason.code == because for reason in item.reasons))
        and any(
            words in text.casefold()
            for text in (item.flag.key, item.flag.description, item.flag.owner)
        )
    ]


def _rows(found: list[staleness.Stale]) -> list[list[Any]]:
    heads = ["key", "owner", "tags", "changed_at", "because", "reasons", "removal", "mentions"]
    return [heads] + [
        [
            *(item.flag.key, item.flag.owner, ", ".join(item.flag.tags), item.flag.updated_at),
            ", ".join(reason.code for reason in item.reasons),
            *(" ".join(reason.text for reason in item.reasons), item.removal),
            len(item.references),
        ]
        for item in found
    ]
