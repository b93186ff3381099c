"""Pages of flags: the list, one flag with its kill switch, making, describing, archiving."""

from __future__ import annotations

from typing import Any

from flask import Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from rollouts.accounts.model import Role
from rollouts.errors import Conflict, Invalid, RolloutsError, StaleEdit
from rollouts.flags import service as flags
from rollouts.flags.model import Flag, FlagKind
from rollouts.flags.rule_json import load_flag
from rollouts.reports import asked
from rollouts.reports.blueprint import bp
from rollouts.reports.deed_pages import asked_reason
from rollouts.reports.editor.service import effects_of, try_details
from rollouts.reports.flagging import details, listing, overview
from rollouts.reports.flagging.files import csv_file
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, runtime, transaction

SAY_WHY = "Say why: the reason stands in the history and the audit."


def wanted_of_address() -> listing.Wanted:
    """What the address asks of the list."""
    return listing.Wanted(**{name: asked.text(name) for name in listing.Wanted.__slots__})


@bp.get("/flags", endpoint="flags")
@requires(Role.READER)
def list_flags() -> str:
    """Every flag and what it serves where."""
    wanted, after = wanted_of_address(), asked.text("after") or None
    with reading() as session:
        page = listing.list_flags(session, wanted, after=after, now=now())
    return render_template(
        "reports/flags.html", page=page, wanted=wanted, after=after, may_edit=may_edit()
    )


@bp.get("/flags.csv", endpoint="flags_file")
@requires(Role.READER)
def export_flags() -> Response:
    """All flags that the address asks for, as a file."""
    with reading() as session:
        everything = flags.list_flags(session, with_archived=True)
        found = listing.find_flags(session, everything, wanted_of_address(), now=now())
        return csv_file(listing.rows_of(found, flags.list_environments(session)), "flags")


@bp.get("/flags/<key>", endpoint="flag")
@requires(Role.READER)
def show_flag(key: str) -> str:
    """One flag: its environments, its rules in words, how far its newest change has come."""
    with reading() as session:
        page = overview.get_flag(session, key)
    return render_template("reports/flag.html", page=page, may_switch=may_edit())


def may_edit() -> bool:
    """Whether the reader of a page may change flags."""
    return current_actor().role.includes(Role.EDITOR)


@bp.post("/flags/<key>/off", endpoint="flag_off")
@requires(Role.EDITOR)
def turn_off(key: str) -> ResponseReturnValue:
    """The kill switch: everyone in one environment gets the off value, at once."""
    reason = asked_reason(key, kind="flag")
    with transaction() as session:
        flags.kill(
            session,
            key,
            environment=request.form.get("environment", ""),
            reason=reason,
            actor=current_actor(),
            now=now(),
        )
    return changed(key)


@bp.post("/flags/<key>/on", endpoint="flag_on")
@requires(Role.EDITOR)
def turn_on(key: str) -> ResponseReturnValue:
    """Serve the flag's rules again in one environment."""
    reason = asked_reason(key, kind="flag")
    with transaction() as session:
        flags.set_enabled(
            session,
            key,
            request.form.get("environment", ""),
            True,
            reason=reason,
            actor=current_actor(),
            now=now(),
        )
    return changed(key)


@bp.post("/flags/<key>/archive", endpoint="flag_archived")
@requires(Role.EDITOR)
def archive_flag(key: str) -> ResponseReturnValue:
    """Take a flag out of every payload; it stays, and can be brought back."""
    reason = asked_reason(key, kind="flag")
    with transaction() as session:
        flags.archive(session, key, actor=current_actor(), now=now(), reason=reason)
    return changed(key)


@bp.post("/flags/<key>/restore", endpoint="flag_restored")
@requires(Role.EDITOR)
def restore_flag(key: str) -> ResponseReturnValue:
    """Serve an archived flag again, as it was."""
    reason = asked_reason(key, kind="flag")
    with transaction() as session:
        flags.restore(session, key, actor=current_actor(), now=now(), reason=reason)
    return changed(key)


def changed(key: str) -> ResponseReturnValue:
    """Clients hear of a change before the answer to it is read."""
    runtime().delivery.refresh()
    return redirect(url_for("reports.flag", key=key), 303)


# Making and describing


@bp.get("/new-flag", endpoint="new_flag")
@requires(Role.EDITOR)
def new_flag() -> Response:
    """An empty form."""
    texts = details.texts_sent({"kind": "boolean", "default": "false"})
    return _form(None, texts)


@bp.post("/new-flag", endpoint="new_flag_sent")
@requires(Role.EDITOR)
def make_flag() -> ResponseReturnValue:
    """Make a flag; it is switched on everywhere and serves its default until it has rules."""
    texts = details.texts_sent(request.form)
    try:
        with transaction() as session:
            flag = flags.create_flag(
                session,
                details.new_flag(texts),
                actor=current_actor(),
                now=now(),
                reason=texts["reason"],
            )
    except (Invalid, Conflict) as refusal:
        return _form(None, texts, refusal)
    return changed(flag.key)


@bp.get("/flags/<key>/details", endpoint="flag_details")
@requires(Role.EDITOR)
def edit_details(key: str) -> Response:
    """What holds for a flag in every environment, ready to be changed."""
    with reading() as session:
        flag = flags.get_flag(session, key)
    return _form(flag, {**details.texts_of(flag), "reason": "", "revision": str(flag.revision)})


@bp.post("/flags/<key>/details", endpoint="flag_details_sent")
@requires(Role.EDITOR)
def send_details(key: str) -> ResponseReturnValue:
    """Show the difference; only "save" changes anything."""
    with reading() as session:
        flag = flags.get_flag(session, key)
    texts = details.texts_sent(request.form)
    if request.form.get("do") == "edit":
        return _form(flag, texts)
    try:
        fields = details.fields_of(flag.kind, texts)
        if request.form.get("do") != "save" or not texts["reason"].strip():
            return _review(flag, texts, fields)
        with transaction() as session:
            flags.edit_flag(
                session,
                key,
                fields,
                actor=current_actor(),
                now=now(),
                reason=texts["reason"],
                expected_revision=_revision(texts),
            )
    except StaleEdit:
        return _contest(flag.key, texts)
    except (Invalid, Conflict) as refusal:
        return _form(flag, texts, refusal)
    return changed(key)


def _revision(texts: details.Texts) -> int:
    text = texts["revision"]
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _review(flag: Flag, texts: details.Texts, fields: dict[str, Any]) -> Response:
    if _revision(texts) != flag.revision:
        return _contest(flag.key, texts)
    tried = try_details(runtime().db, flag, fields, current_actor(), now())
    wrong = SAY_WHY if request.form.get("do") == "save" else ""
    page = render_template(
        "reports/flag_details_review.html",
        flag=flag,
        texts=texts,
        review=tried.review,
        effects=effects_of(runtime().db, flag, tried, (), now()),
        at=now(),
        wrong=wrong,
    )
    return make_response(page, 422 if wrong else 200)


def _contest(key: str, texts: details.Texts) -> Response:
    """Somebody was faster: both versions side by side, and the form with what was typed."""
    with reading() as session:
        flag = flags.get_flag(session, key)
        began = load_flag(flags.get_flag_revision(session, key, _revision(texts)).snapshot)
        newest = flags.get_flag_revision(session, key, flag.revision)
    held = details.contests(began, flag, texts)
    again = {**texts, "revision": str(flag.revision)}
    return _form(flag, again, status=412, contests=held, newest=newest, read=texts["revision"])


def _form(
    flag: Flag | None,
    texts: details.Texts,
    refusal: RolloutsError | None = None,
    *,
    status: int = 200,
    **held: Any,
) -> Response:
    faults = refusal.faults if refusal else ()
    errors: dict[str, str] = {}
    for fault in faults:
        is_own = not fault.where.startswith("environments.")
        problem = fault.problem if is_own else f"{fault.where}: {fault.problem}"
        errors.setdefault(_field(fault.where), problem)
    if refusal and not errors:
        errors["key" if flag is None else "form"] = refusal.detail
    page = render_template(
        "reports/flag_details.html",
        flag=flag,
        texts=texts,
        errors=errors,
        kinds=list(FlagKind),
        **held,
    )
    return make_response(page, refusal.status if refusal else status)


def _field(where: str) -> str:
    """The field a fault stands beside; values of rules that break a new schema have none here."""
    name = where.split(".")[0]
    known = ("key", "kind", *details.FIELDS, "reason")
    return name if name in known else "schema" if name == "environments" else "form"
