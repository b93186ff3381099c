"""A form that takes a CSV file and gives the report on it; nothing is kept."""

from __future__ import annotations

from typing import Any

from flask import Response, make_response, render_template, request

from rollouts.accounts.model import Role
from rollouts.errors import Invalid, RolloutsError
from rollouts.reports.blueprint import bp
from rollouts.reports.one_off import page
from rollouts.reports.one_off.sent import answer_text
from rollouts.web.access import requires
from rollouts.web.context import runtime

SINGLE = ("unit", "variation", "control", "design", "time", "every", "group", "start")
LINES = ("metrics", "segments", "limits", "goals", "covariates", "treated")
LONGEST = 5_000


@bp.get("/analyze", endpoint="analyze")
@requires(Role.READER)
def show_form() -> Response:
    """The form, empty."""
    return _form(None)


@bp.post("/analyze", endpoint="analyze_sent")
@requires(Role.READER)
def take_file() -> Response:
    """The report on the file that was sent; the form again where something does not fit."""
    try:
        report = _report()
    except RolloutsError as refusal:
        return _form(refusal)
    answer = make_response(page.to_html(report))
    answer.headers["Content-Security-Policy"] = page.POLICY  # the report carries its own styles
    return answer


def _report() -> dict[str, Any]:
    sent = request.files.get("file")
    if sent is None or not sent.filename:
        raise Invalid("Choose a CSV file.")
    try:
        text = sent.read().decode("utf-8-sig")
    except UnicodeDecodeError:
        raise Invalid("The file is not text in UTF-8. Save it as CSV in UTF-8.") from None
    given: dict[str, Any] = {name: _text(name) or None for name in SINGLE}
    given |= {name: _lines(name) for name in LINES}
    given["before_exposure"] = "before_exposure" in request.form
    return answer_text(given, text=text, name=sent.filename[:200])


def _text(name: str) -> str:
    held = request.form.get(name, "").strip()
    if len(held) > LONGEST:
        raise Invalid(f"{name}: at most {LONGEST:,} characters.")
    return held


def _lines(name: str) -> list[str]:
    """One item a line."""
    return [line.strip() for line in _text(name).splitlines() if line.strip()]


def _form(refusal: RolloutsError | None) -> Response:
    most = runtime().settings.body_max_bytes
    html = render_template(
        "reports/analyze.html",
        refusal=refusal,
        errors={fault.where: fault.problem for fault in refusal.faults} if refusal else {},
        sent=request.form if refusal else {},
        most=f"{most / 1_000_000:g} MB",
    )
    return make_response(html, refusal.status if refusal else 200)
