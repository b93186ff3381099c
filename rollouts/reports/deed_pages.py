"""What a person does to a live rollout from its report: withdraw, pause, resume."""

from __future__ import annotations

from flask import redirect, request, url_for
from flask.typing import ResponseReturnValue

from rollouts.accounts.model import Role
from rollouts.errors import Fault, Invalid
from rollouts.guard import service as guard
from rollouts.guard.service import Ending
from rollouts.lifecycle import deeds
from rollouts.reports.blueprint import bp
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, runtime, transaction


def asked_reason(key: str, *, kind: str) -> str:
    """The reason in a form that stops something. Raises Invalid without it, or with a wrong key."""
    reason = request.form.get("reason", "").strip()
    if not reason:
        raise Invalid(
            "Say why: the reason stands in the history. Go back; nothing was changed.",
            faults=(Fault("reason", "say why"),),
        )
    if request.form.get("key", "").strip() != key:
        raise Invalid(
            f"Type the {kind}'s key, {key}, to show that you mean this one. Nothing was changed.",
            faults=(Fault("key", f"not this {kind}'s key"),),
        )
    return reason


@bp.post("/rollouts/<key>/withdraw", endpoint="withdraw")
@requires(Role.EDITOR)
def withdraw(key: str) -> ResponseReturnValue:
    """Take the change away from everybody, on a last look."""
    ending = Ending("withdrawn", asked_reason(key, kind="rollout"), current_actor())
    guard.take_look(runtime(), key, kind="final", now=now(), ending=ending)
    return _back(key)


@bp.post("/rollouts/<key>/pause", endpoint="pause")
@requires(Role.EDITOR)
def pause(key: str) -> ResponseReturnValue:
    """Keep the ramp where it is; the guard goes on watching."""
    reason = request.form.get("reason", "").strip()
    with transaction() as session:
        deeds.pause(session, key, reason=reason, actor=current_actor(), now=now())
    return _back(key)


@bp.post("/rollouts/<key>/resume", endpoint="resume")
@requires(Role.EDITOR)
def resume(key: str) -> ResponseReturnValue:
    """Let the ramp go on."""
    reason = request.form.get("reason", "").strip()
    with transaction() as session:
        deeds.resume(session, key, reason=reason, actor=current_actor(), now=now())
    return _back(key)


def _back(key: str) -> ResponseReturnValue:
    return redirect(url_for("reports.report", key=key), 303)
