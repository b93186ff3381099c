"""The report on a file as one HTML page: no script, nothing to load."""

from __future__ import annotations

from typing import Any

from flask import Flask, render_template

from rollouts.clock import utcnow
from rollouts.reports import one_off_text
from rollouts.reports.bars import Axis, Plot
from rollouts.reports.blueprint import bp as report_pages
from rollouts.reports.paper import styles
from rollouts.web.pages import bp as base_pages

LEAST_REACH = 0.05  # so that an axis never shows rounding as news


def to_html(report: dict[str, Any], command: str) -> str:
    """Render the report. Needs no running service."""
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(base_pages)
    app.register_blueprint(report_pages)
    with app.test_request_context():
        return render_template(
            "reports/one_off.html",
            styles=styles(),
            report=report,
            command=command,
            made_at=utcnow(),
            axis=axis,
            row=row,
            text=one_off_text,
            verdict=verdict(report),
            believed=one_off_text.believed(report),
        )


def axis(metric: dict[str, Any]) -> Axis:
    """One axis for a metric's relative effects, even about zero."""
    ends = [
        abs(effect["relative"][end])
        for effect in metric["effects"]
        if effect["relative"]
        for end in ("low", "high")
    ]
    reach = min(max([*ends, LEAST_REACH]) * 1.3, 3.0)
    return Axis(-reach, reach)


def row(item: dict[str, Any]) -> dict[str, Any]:
    """What the interval bar needs of an effect: nobody set a limit, so nothing is called harm."""
    effect = item["relative"]
    plot = Plot(effect["low"], effect["estimate"], effect["high"], None) if effect else None
    return {"state": "unknown", "plot": plot}


def verdict(report: dict[str, Any]) -> dict[str, str]:
    """What the file says of its first metric, as a sentence."""
    if report["split"]["state"] == "broken":
        return {
            "lead": "Cannot be judged: the split is not what was set.",
            "rest": f" {report['split']['text']}. Find where customers got lost or doubled first.",
        }
    metric = report["metrics"][0]
    said = [_said(metric["name"], effect) for effect in metric["effects"]]
    if not said:
        return {"lead": "Nothing to compare:", "rest": " the file has only one version."}
    return {"lead": said[0], "rest": "".join(f" {item}" for item in said[1:])}


def _said(name: str, effect: dict[str, Any]) -> str:
    held = effect["relative"] or effect["absolute"]
    of = f"with {effect['variation']}"
    if held is None:
        return f"Not known yet {of}: {effect['undecided']['reason']}."
    shown = one_off_text.interval(held, relative=effect["relative"] is not None)
    if held["low"] <= 0 <= held["high"]:
        return f"{name} changed by {shown} {of}: not enough to be known."
    return f"{name} {'rose' if held['estimate'] > 0 else 'fell'} {of}: {shown}."
