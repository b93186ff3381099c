"""The editor of a flag's rules, the step before saving, the clash, and going back."""

from __future__ import annotations

from typing import Any

from flask import Response, make_response, render_template, request
from flask.typing import ResponseReturnValue

from rollouts.accounts.model import Role
from rollouts.errors import Fault, StaleEdit
from rollouts.flags import service as flags
from rollouts.flags.attributes import list_attributes
from rollouts.flags.groups import list_groups
from rollouts.flags.model import Flag
from rollouts.reports import asked
from rollouts.reports.blueprint import bp
from rollouts.reports.editor import service
from rollouts.reports.editor.buttons import press
from rollouts.reports.editor.form import Form, form_of, form_sent
from rollouts.reports.editor.reading import beside
from rollouts.reports.editor.service import Tried
from rollouts.reports.editor.texts import OPERATORS
from rollouts.reports.flag_pages import SAY_WHY, changed
from rollouts.reports.flagging.users import LONGEST, Misread, users_of
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, runtime, transaction

CHOICE = "choice."


@bp.get("/flags/<key>/rules", endpoint="rules")
@requires(Role.EDITOR)
def edit_rules(key: str) -> ResponseReturnValue:
    """A flag's rules in one environment, ready to be changed."""
    with reading() as session:
        flag = flags.get_flag(session, key)
        environments = flags.list_environments(session)
        wanted = asked.text("environment") or environments[0].key
        flags.get_environment(session, wanted)
    return _form(flag, form_of(flag, wanted, flag.state(wanted)))


@bp.post("/flags/<key>/rules", endpoint="rules_sent")
@requires(Role.EDITOR)
def send_rules(key: str) -> ResponseReturnValue:
    """What a button of the form asks for; only "save" changes anything."""
    form, do = form_sent(request.form), request.form.get("do", "review")
    with reading() as session:
        flag = flags.get_flag(session, key)
        flags.get_environment(session, form.environment)
    match do:
        case "review":
            return _review(flag, form)
        case "save":
            return _save(flag, form)
        case "merge":
            return _merge(flag, form)
        case "edit":
            return _form(flag, form)
    return _form(flag, form, focus=press(form, flag, do))


def _try(flag: Flag, form: Form) -> Tried:
    return service.attempt(runtime().db, flag, form, current_actor(), now())


def _review(flag: Flag, form: Form, wrong: str = "") -> Response:
    tried = _try(flag, form)
    if tried.is_stale:
        return _clash(flag, form)
    if tried.review is None:
        return _form(flag, form, tried.faults, status=422)
    users, misread = asked_users()
    with reading() as session:
        types = service.warnings_of_types(session, flag, tried.after, form.environment)
    page = render_template(
        "reports/rules_review.html",
        flag=flag,
        form=form,
        review=tried.review,
        types=types,
        effects=service.effects_of(runtime().db, flag, tried, users, now()),
        at=now(),
        users=request.form.get("users", ""),
        misread=misread,
        wrong=wrong,
    )
    return make_response(page, 422 if wrong or misread else 200)


def asked_users() -> tuple[list[dict[str, Any]], Misread | None]:
    """The users that somebody gave to try a change on, or where their list cannot be read."""
    try:
        return users_of(request.form.get("users", "")[:LONGEST]), None
    except Misread as wrong:
        return [], wrong


def _save(flag: Flag, form: Form) -> ResponseReturnValue:
    if not form.reason.strip():
        return _review(flag, form, SAY_WHY)
    tried = _try(flag, form)
    if tried.is_stale:
        return _clash(flag, form)
    if tried.state is None or tried.faults:
        return _form(flag, form, tried.faults, status=422)
    try:
        with transaction() as session:
            service.save(session, flag, form, tried.state, current_actor(), now())
    except StaleEdit:
        with reading() as session:
            flag = flags.get_flag(session, flag.key)
        return _clash(flag, form)
    return changed(flag.key)


def _clash(flag: Flag, form: Form) -> Response:
    """Both versions side by side; the whole form goes along, so nothing is lost."""
    with reading() as session:
        held = service.clash(session, flag, form, {})
        if held is None:
            return _form(flag, form, _try(flag, form).faults, status=422)
        page = render_template("reports/rules_clash.html", flag=flag, form=form, clash=held)
    return make_response(page, 412)


def _merge(flag: Flag, form: Form) -> Response:
    sent = request.form
    if sent.get("newest") != str(flag.revision):
        return _clash(flag, form)  # and somebody changed it once more
    choices = {
        name.removeprefix(CHOICE): chosen
        for name, chosen in sent.items()
        if name.startswith(CHOICE)
    }
    with reading() as session:
        held = service.clash(session, flag, form, choices)
    if held is None:
        return _form(flag, form, _try(flag, form).faults, status=422)
    return _review(flag, service.merged_form(flag, form, held))


def _form(
    flag: Flag, form: Form, faults: tuple[Fault, ...] = (), *, focus: str = "", status: int = 200
) -> Response:
    errors = beside(form, faults)
    with reading() as session:
        environments = flags.list_environments(session)
        everything, groups = flags.list_flags(session), list_groups(session)
    page = render_template(
        "reports/rules.html",
        flag=flag,
        form=form,
        errors=errors,
        focus="" if errors else focus,
        environments=environments,
        operators=OPERATORS,
        attributes=list_attributes(everything, groups),
        group_keys=[group.key for group in groups],
        flag_keys=[other.key for other in everything if other.key != flag.key],
        locked={rule.id: rule for rule in flag.state(form.environment).rules},
    )
    return make_response(page, status)


@bp.get("/flags/<key>/revisions/<int:number>", endpoint="revision")
@requires(Role.EDITOR)
def show_revision(key: str, number: int) -> str:
    """What going back to a revision would change."""
    return _restore(key, number)


@bp.post("/flags/<key>/revisions/<int:number>", endpoint="revision_restored")
@requires(Role.EDITOR)
def restore_revision(key: str, number: int) -> ResponseReturnValue:
    """Make a new revision with the rules of an earlier one; rules of rollouts stay."""
    reason = request.form.get("reason", "").strip()
    if not reason:
        page = _restore(key, number, SAY_WHY)
        return make_response(page, 422)
    read = form_sent(request.form).revision
    try:
        with transaction() as session:
            flags.revert(
                session,
                key,
                number,
                actor=current_actor(),
                now=now(),
                reason=reason,
                expected_revision=read,
            )
    except StaleEdit:
        page = _restore(key, number, "It was changed since you read this. Look again, then send.")
        return make_response(page, 412)
    return changed(key)


def _restore(key: str, number: int, wrong: str = "") -> str:
    with reading() as session:
        flag = flags.get_flag(session, key)
        row = flags.get_flag_revision(session, key, number)
    db, actor = runtime().db, current_actor()
    tried = service.try_revert(db, flag, number, actor, now())
    effects = service.effects_of(db, flag, tried, (), now())
    held: dict[str, Any] = {"flag": flag, "row": row, "review": tried.review, "wrong": wrong}
    held |= {"effects": effects, "at": now()}
    return render_template("reports/revision.html", **held, reason=request.form.get("reason", ""))
