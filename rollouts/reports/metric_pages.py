"""Pages on which a metric is made, changed or taken off the catalogue."""

from __future__ import annotations

from typing import Any

from flask import Response, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from rollouts.accounts.model import Role
from rollouts.errors import Fault, Invalid, RolloutsError
from rollouts.metrics import service
from rollouts.metrics.bodies import EditMetricBody, NewMetricBody
from rollouts.reports import metric_form
from rollouts.reports.blueprint import bp
from rollouts.reports.setup_parts import body
from rollouts.web.access import requires
from rollouts.web.context import current_actor, now, reading, transaction

CHOICES = {
    "aggregations": metric_form.AGGREGATIONS,
    "statistics": metric_form.STATISTICS,
    "per": metric_form.PER,
    "parts": metric_form.PARTS,
    "good": metric_form.GOOD,
}
FRESH = {"aggregation": "count", "good": "down", "statistic": "mean", "harm_unit": "events"}


@bp.get("/catalogue/+new", endpoint="metric_new")
@requires(Role.EDITOR)
def show_new() -> Response:
    """An empty metric."""
    return _page(None, FRESH)


@bp.post("/catalogue/+new", endpoint="metric_new_sent")
@requires(Role.EDITOR)
def make() -> ResponseReturnValue:
    """Add a metric to the catalogue."""
    try:
        asked = body(NewMetricBody, key=request.form.get("key", ""), **_read())
        with transaction() as session:
            service.create_metric(
                session,
                key=asked.key,
                name=asked.name,
                description=asked.description,
                owner=asked.owner or current_actor().name,
                definition=asked.to_domain(),
                actor=current_actor(),
                now=now(),
            )
    except RolloutsError as refusal:
        return _page(None, request.form, refusal)
    return redirect(url_for("reports.metric", key=asked.key), 303)


@bp.get("/catalogue/<key>/edit", endpoint="metric_edit")
@requires(Role.EDITOR)
def show_edit(key: str) -> Response:
    """A metric as it is, ready to be changed."""
    with reading() as session:
        row = service.get_metric(session, key)
        fields = metric_form.fields_of(service.get_version(session, row).to_domain())
    about = {"name": row.name, "description": row.description, "owner": row.owner}
    return _page(key, fields | about | {"version": str(row.version)})


@bp.post("/catalogue/<key>/edit", endpoint="metric_edit_sent")
@requires(Role.EDITOR)
def change(key: str) -> ResponseReturnValue:
    """Change a metric: another definition makes a new version, and locked plans keep theirs."""
    try:
        asked = body(EditMetricBody, reason=_reason(), **_read())
        with transaction() as session:
            row = service.get_metric(session, key)
            if request.form.get("version") != str(row.version):
                raise Invalid(
                    f"Somebody made version {row.version} since you opened this page. Nothing of "
                    "yours is lost: compare, then send again.",
                    faults=(Fault("version", f"it is {row.version} now"),),
                )
            service.redefine(
                session,
                key,
                name=asked.name,
                description=asked.description,
                owner=asked.owner or current_actor().name,
                definition=asked.to_domain(),
                reason=asked.reason,
                actor=current_actor(),
                now=now(),
            )
    except Invalid as refusal:
        return _page(key, request.form, refusal)
    return redirect(url_for("reports.metric", key=key), 303)


@bp.post("/catalogue/<key>/archive", endpoint="metric_archived")
@requires(Role.EDITOR)
def archive(key: str) -> ResponseReturnValue:
    """Take a metric off the catalogue; rollouts that count it go on."""
    with transaction() as session:
        service.archive(
            session, key, reason=request.form.get("reason", ""), actor=current_actor(), now=now()
        )
    return redirect(url_for("reports.metrics"), 303)


def _read() -> dict[str, Any]:
    return metric_form.body_of(request.form)


def _reason() -> str:
    held = request.form.get("reason", "").strip()
    if not held:
        raise Invalid(
            "Say why: the reason stands beside the new version.",
            faults=(Fault("reason", "say why"),),
        )
    return held


def _page(key: str | None, fields: Any, refusal: RolloutsError | None = None) -> Response:
    errors = metric_form.named(refusal.faults) if refusal else {}
    version = fields.get("version", "")
    if refusal is not None and "version" in errors and key is not None:
        with reading() as session:
            version = str(service.get_metric(session, key).version)
    page = render_template(
        "reports/metric_form.html",
        key=key,
        sent=fields,
        version=version,
        errors=errors,
        refusal=refusal,
        **CHOICES,
    )
    return make_response(page, refusal.status if refusal else 200)
