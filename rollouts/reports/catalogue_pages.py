"""Pages of metrics, and of the audit."""

from __future__ import annotations

from flask import render_template

from rollouts.accounts.model import Role
from rollouts.reports import asked, catalogue
from rollouts.reports.blueprint import bp
from rollouts.web.access import requires
from rollouts.web.context import reading


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
