"""Pages of saved groups: the list, one group with its values and its users, making and editing."""

from __future__ import annotations

from typing import Any

from flask import Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from rollouts.accounts.model import Role
from rollouts.errors import Conflict, Invalid, RolloutsError, StaleEdit
from rollouts.flags import groups
from rollouts.flags.model import SavedGroup
from rollouts.reports import asked
from rollouts.reports.blueprint import bp
from rollouts.reports.deed_pages import asked_reason
from rollouts.reports.flag_pages import SAY_WHY, may_edit
from rollouts.reports.flagging import groups as told
from rollouts.reports.flagging.files import csv_file
from rollouts.reports.flagging.listing import PAGE
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, runtime, transaction

VALUES_A_PAGE = 100


@bp.get("/saved-groups", endpoint="groups")
@requires(Role.READER)
def list_groups() -> str:
    """Every saved group, and how many flags use it."""
    search, after = asked.text("search"), asked.text("after") or None
    with reading() as session:
        rows = groups.list_groups(session, after=after, limit=PAGE + 1, search=search)
        users = told.flags_using(session)
    return render_template(
        "reports/groups.html",
        lines=rows[:PAGE],
        users=users,
        next_after=rows[PAGE - 1].key if len(rows) > PAGE else None,
        search=search,
        after=after,
        may_edit=may_edit(),
    )


@bp.get("/saved-groups.csv", endpoint="groups_file")
@requires(Role.READER)
def export_groups() -> Response:
    """The list as a file."""
    heads = ["key", "name", "description", "attribute", "values", "condition", "revision", "flags"]
    with reading() as session:
        users = told.flags_using(session)
        rows = [
            [
                *(group.key, group.name, group.description),
                *((group.attribute, len(group.values), "") if group.is_list else ("", "", "yes")),
                *(group.revision, ", ".join(users.get(group.key, ()))),
            ]
            for group in groups.list_groups(session, search=asked.text("search"))
        ]
    return csv_file([heads, *rows], "saved-groups")


@bp.get("/saved-groups/<key>", endpoint="group")
@requires(Role.READER)
def show_group(key: str) -> str:
    """One saved group: who is in it, and what it decides."""
    search, start = asked.text("search"), asked.number("from") or 0
    with reading() as session:
        group = groups.get_group(session, key)
        flags = told.flags_using(session).get(key, [])
        users = told.users_of(session, key)
    words = search.casefold()
    found = [value for value in group.values if words in str(value).casefold()]
    return render_template(
        "reports/group.html",
        group=group,
        flags=flags,
        groups=[name.removeprefix("saved group ") for name in users if name[0] == "s"],
        values=found[start : start + VALUES_A_PAGE],
        n_found=len(found),
        start=start,
        size=VALUES_A_PAGE,
        search=search,
        may_edit=may_edit(),
    )


@bp.get("/saved-groups/<key>/values.csv", endpoint="group_file")
@requires(Role.READER)
def export_group(key: str) -> Response:
    """The values of a group as a file."""
    with reading() as session:
        group = groups.get_group(session, key)
    return csv_file([[group.attribute], *([value] for value in group.values)], key)


@bp.get("/new-saved-group", endpoint="new_group")
@requires(Role.EDITOR)
def new_group() -> Response:
    """An empty form."""
    return _form(None, told.texts_of(SavedGroup("", "")))


@bp.post("/new-saved-group", endpoint="new_group_sent")
@requires(Role.EDITOR)
def make_group() -> ResponseReturnValue:
    """Make a saved group; nobody uses it until a rule names it."""
    texts = told.texts_sent(request.form)
    try:
        with transaction() as session:
            group = groups.create_group(
                session, told.group_of(texts, None), actor=current_actor(), now=now()
            )
    except (Invalid, Conflict) as refusal:
        return _form(None, texts, refusal)
    return _changed(group.key)


@bp.get("/saved-groups/<key>/edit", endpoint="group_edit")
@requires(Role.EDITOR)
def edit_group(key: str) -> Response:
    """A group ready to be changed."""
    with reading() as session:
        group = groups.get_group(session, key)
    return _form(group, told.texts_of(group))


@bp.post("/saved-groups/<key>/edit", endpoint="group_edit_sent")
@requires(Role.EDITOR)
def send_group(key: str) -> ResponseReturnValue:
    """Show the difference and the flags that change with it; only "save" changes anything."""
    texts, do = told.texts_sent(request.form), request.form.get("do")
    with reading() as session:
        group = groups.get_group(session, key)
    if do == "edit":
        return _form(group, texts)
    if str(group.revision) != texts["revision"]:
        return _stale(group, texts)
    try:
        edit = told.edit_of(group, told.group_of(texts, group))
        _try(edit.after, group)
        if do != "save" or not texts["reason"].strip() or edit.is_empty:
            return _review(group, texts, edit, SAY_WHY if do == "save" else "")
        _save(edit.after, group, texts["reason"])
    except StaleEdit:
        return _stale(group, texts)
    except (Invalid, Conflict) as refusal:
        return _form(group, texts, refusal)
    return _changed(key)


def _try(after: SavedGroup, held: SavedGroup) -> None:
    """Raises what saving would raise; nothing is kept."""
    with transaction() as session:
        groups.edit_group(
            session, after, expected_revision=held.revision, actor=current_actor(), now=now()
        )
        session.rollback()


def _save(after: SavedGroup, held: SavedGroup, reason: str) -> None:
    with transaction() as session:
        groups.edit_group(
            session,
            after,
            expected_revision=held.revision,
            actor=current_actor(),
            now=now(),
            reason=reason,
        )


@bp.post("/saved-groups/<key>/delete", endpoint="group_deleted")
@requires(Role.EDITOR)
def delete_group(key: str) -> ResponseReturnValue:
    """Forget a group that nothing refers to."""
    asked_reason(key, kind="group")
    revision = request.form.get("revision", "")
    with transaction() as session:
        groups.delete_group(
            session,
            key,
            expected_revision=int(revision) if revision.isdecimal() and len(revision) < 10 else 0,
            actor=current_actor(),
            now=now(),
        )
    runtime().delivery.refresh()
    return redirect(url_for("reports.groups"), 303)


def _changed(key: str) -> ResponseReturnValue:
    runtime().delivery.refresh()  # so that clients hear of it before this answer is read
    return redirect(url_for("reports.group", key=key), 303)


def _review(group: SavedGroup, texts: told.Texts, edit: told.Edit, wrong: str) -> Response:
    with reading() as session:
        users = told.users_of(session, group.key)
    page = render_template(
        "reports/group_review.html", group=group, texts=texts, edit=edit, users=users, wrong=wrong
    )
    return make_response(page, 422 if wrong else 200)


def _stale(group: SavedGroup, texts: told.Texts) -> Response:
    """Somebody was faster: what they made of it stands beside what was typed."""
    with reading() as session:
        newest = groups.get_group(session, group.key)
    again = {**texts, "revision": str(newest.revision)}
    return _form(newest, again, status=412, read=texts["revision"])


def _form(
    group: SavedGroup | None,
    texts: told.Texts,
    refusal: RolloutsError | None = None,
    *,
    status: int = 200,
    **held: Any,
) -> Response:
    errors: dict[str, str] = {}
    for fault in refusal.faults if refusal else ():
        where = fault.where.split(".")[0]
        errors.setdefault({"values": "add"}.get(where, where), fault.problem)
    if refusal and not errors:
        errors["key" if group is None else "form"] = refusal.detail
    page = render_template(
        "reports/group_edit.html", group=group, texts=texts, errors=errors, **held
    )
    return make_response(page, refusal.status if refusal else status)
