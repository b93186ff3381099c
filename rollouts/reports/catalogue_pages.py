"""Pages of flags with their kill switch, of metrics, and of the audit."""

from __future__ import annotations

from flask import redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from rollouts.accounts.model import Role
from rollouts.flags import service as flags
from rollouts.reports import asked, catalogue
from rollouts.reports.blueprint import bp
from rollouts.reports.deed_pages import asked_reason
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, runtime, transaction


@bp.get("/flags", endpoint="flags")
@requires(Role.READER)
def list_flags() -> str:
    """Every flag and what it serves where."""
    search, after = asked.text("search"), asked.text("after") or None
    with reading() as session:
        page = catalogue.list_flags(session, search=search, after=after)
    return render_template("reports/flags.html", page=page, search=search, after=after)


@bp.get("/flags/<key>", endpoint="flag")
@requires(Role.READER)
def show_flag(key: str) -> str:
    """One flag: its environments, its rules in words, its history."""
    with reading() as session:
        page = catalogue.get_flag(session, key, before=asked.number("before"))
    may_switch = current_actor().role.includes(Role.EDITOR)
    return render_template("reports/flag.html", page=page, may_switch=may_switch)


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
    return _switched(key)


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
    return _switched(key)


def _switched(key: str) -> ResponseReturnValue:
    runtime().delivery.refresh()  # so that clients hear of it before this answer is read
    return redirect(url_for("reports.flag", key=key), 303)


@bp.get("/catalogue", endpoint="metrics")
@requires(Role.READER)
def list_metrics() -> str:
    """Every metric and what it counts."""
    search, after = asked.text("search"), asked.text("after") or None
    with reading() as session:
        page = catalogue.list_metrics(session, search=search, after=after)
    return render_template("reports/metrics.html", page=page, search=search, after=after)


@bp.get("/catalogue/<key>", endpoint="metric")
@requires(Role.READER)
def show_metric(key: str) -> str:
    """One metric: what it counts now and what it counted before."""
    with reading() as session:
        page = catalogue.get_metric(session, key)
    return render_template("reports/metric.html", page=page)


# Names of people and their reasons stand here, so reading results is not enough.
@bp.get("/audit", endpoint="audit")
@requires(Role.EDITOR)
def show_audit() -> str:
    """Who did what, when and why; and whether the chain is whole."""
    search, before = asked.text("search"), asked.number("before")
    with reading() as session:
        page = catalogue.list_audit(session, search=search, before=before)
    return render_template("reports/audit.html", page=page, search=search, before=before)
