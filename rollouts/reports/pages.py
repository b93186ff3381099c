"""Home and the pages of a rollout: plan, report, history, and the report as a file."""

from __future__ import annotations

from flask import Response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from rollouts.accounts.model import Role
from rollouts.errors import NotFound
from rollouts.lifecycle.plan import Draft
from rollouts.reports import (
    asked,
    catalogue_pages,
    deed_pages,
    flag_pages,
    forecasts,
    home,
    method_pages,
    paper,
    past_pages,
    service,
)
from rollouts.reports import editor_pages as editor_pages
from rollouts.reports import group_pages as group_pages
from rollouts.reports import metric_pages as metric_pages
from rollouts.reports import setup_pages as setup_pages
from rollouts.reports import upkeep_pages as upkeep_pages
from rollouts.reports import who_pages as who_pages
from rollouts.reports.blueprint import bp
from rollouts.reports.home import Wanted
from rollouts.reports.one_off import pages as one_off_pages
from rollouts.reports.tables import to_csv
from rollouts.web import json_bytes
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, runtime

__all__ = [
    "bp",
    "catalogue_pages",
    "deed_pages",
    "editor_pages",
    "flag_pages",
    "method_pages",
    "one_off_pages",
    "past_pages",
]
LOOKS_A_PAGE = 25


@bp.get("/", endpoint="home")
@requires(Role.READER)
def show_home() -> str:
    """What needs somebody, what is live, what ended."""
    wanted = Wanted(asked.text("search"), asked.text("state"), asked.text("after") or None)
    with reading() as session:
        page = home.get_home(session, wanted, now=now())
    return render_template("reports/home.html", page=page, wanted=wanted, now=now())


@bp.get("/rollouts", endpoint="rollouts")
@requires(Role.READER)
def to_home() -> ResponseReturnValue:
    """The list of rollouts is the first page."""
    return redirect(url_for("reports.home"), 302)


@bp.get("/rollouts/<key>", endpoint="rollout")
@requires(Role.READER)
def to_rollout(key: str) -> ResponseReturnValue:
    """Where links in mail and chat lead: the plan of a draft, else the report."""
    with reading() as session:
        head = service.get_head(session, key)
    place = "reports.plan" if head.state == "draft" else "reports.report"
    return redirect(url_for(place, key=key), 302)


@bp.get("/rollouts/<key>/report", endpoint="report")
@bp.get("/rollouts/<key>/report/<snapshot_id>", endpoint="report")
@requires(Role.READER)
def show_report(key: str, snapshot_id: str | None = None) -> str:
    """The newest report, or the one that was kept under an id."""
    page = _report(key, snapshot_id)
    return render_template(
        "reports/report.html",
        tab="Report",
        rollout=page.head,
        report=page.report,
        figures=service.figures(runtime().db, page),
        timeline=page.timeline,
        notices=page.notices,
        method_page=url_for("reports.method"),
        may_act=page.head.is_live and current_actor().role.includes(Role.EDITOR),
    )


@bp.get("/rollouts/<key>/report/<snapshot_id>.<any(json, csv, html):kind>", endpoint="export")
@requires(Role.READER)
def export(key: str, snapshot_id: str, kind: str) -> Response:
    """One snapshot as a file: its body, its rows, or the whole report without a server."""
    page = _report(key, snapshot_id)
    if page.report is None:
        raise NotFound("snapshot", snapshot_id)
    body = page.report.body
    if kind == "json":
        return _file(json_bytes.dumps(body), "application/json", f"{body['id']}.json")
    if kind == "csv":
        return _file(to_csv(body).encode(), "text/csv; charset=utf-8", f"{body['id']}.csv")
    html = paper.to_html(page, service.figures(runtime().db, page))
    return _file(html.encode(), "text/html; charset=utf-8", f"{body['id']}.html")


@bp.get("/rollouts/<key>/plan", endpoint="plan")
@requires(Role.READER)
def show_plan(key: str) -> str:
    """What was settled before the first customer."""
    with reading() as session:
        page = service.get_plan(session, key)
    return render_template(
        "reports/plan.html",
        tab="Plan",
        rollout=page.head,
        page=page,
        forecast=None if page.head.ended_at else _forecast(key, page.draft),
    )


@bp.get("/rollouts/<key>/history", endpoint="history")
@requires(Role.READER)
def show_history(key: str) -> str:
    """What happened, by whom, and every look."""
    before = asked.number("before")
    with reading() as session:
        page = service.get_history(session, key, before=before, limit=LOOKS_A_PAGE)
    return render_template(
        "reports/history.html", tab="History", rollout=page.head, page=page, before=before
    )


def _forecast(key: str, draft: Draft) -> forecasts.ForecastPage:
    parts = runtime()
    return forecasts.get_forecast(
        parts.db,
        key,
        draft,
        request.args,
        look_seconds=parts.settings.look_interval_seconds,
        now=now(),
    )


def _report(key: str, snapshot_id: str | None) -> service.ReportPage:
    with reading() as session:
        return service.get_report(
            session,
            key,
            snapshot_id,
            default_look_seconds=runtime().settings.look_interval_seconds,
            now=now(),
        )


def _file(content: bytes, kind: str, name: str) -> Response:
    answer = Response(content, content_type=kind)
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
