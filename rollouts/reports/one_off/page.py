"""The report on a file as one HTML page: no script, nothing to load."""

from __future__ import annotations

from typing import Any

from flask import Flask, has_request_context, render_template

from rollouts.clock import utcnow
from rollouts.reports.bars import Axis, Plot
from rollouts.reports.blueprint import bp as report_pages
from rollouts.reports.one_off import words
from rollouts.reports.one_off.pictures import pictures
from rollouts.reports.paper import styles
from rollouts.web.pages import bp as base_pages

LEAST_REACH = 0.05  # so that an axis never shows rounding as news
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"


def to_html(report: dict[str, Any]) -> str:
    """Render the report. Needs no running service."""
    if has_request_context():
        return _rendered(report)
    app = Flask(__name__, static_folder=None)
    app.register_blueprint(base_pages)
    app.register_blueprint(report_pages)
    with app.test_request_context():
        return _rendered(report)


def _rendered(report: dict[str, Any]) -> str:
    return render_template(
        "reports/one_off.html",
        styles=styles(),
        report=report,
        command=report["command"],
        made_at=utcnow(),
        axis=axis,
        row=row,
        text=words,
        pictures=pictures,
        verdict=verdict(report),
        believed=[line for line in words.believed(report) if report["design"]["says"] not in line]
        if report["design"]["says"]
        else words.believed(report),
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


def row(item: dict[str, Any], metric: dict[str, Any]) -> dict[str, Any]:
    """What the interval bar needs of an effect: without a limit nothing is called harm."""
    effect, found = item["relative"], item.get("finding")
    limit = metric["limit"]
    is_drawn = limit and limit["scale"] == "relative" and metric["good"] == "down"
    place = limit["margin"] if is_drawn else None
    plot = Plot(effect["low"], effect["estimate"], effect["high"], place) if effect else None
    return {"state": found["state"] if found else "unknown", "plot": plot}


def verdict(report: dict[str, Any]) -> dict[str, str]:
    """What the file says: the decision if limits or goals were given, else its first metric."""
    states = [
        e["finding"]["state"] for m in report["metrics"] for e in m["effects"] if e["finding"]
    ]
    state = "unknown"
    if states:
        state = "harm" if "harm" in states else "safe" if set(states) == {"safe"} else "unknown"
    kind = "No limits were set"
    if states or report["decisions"]:
        kind = "Limits came with the question" if states else "Goals came with the question"
    if report["split"] and report["split"]["state"] == "broken":
        return {
            "state": "unknown",
            "kind": kind,
            "lead": "Cannot be judged: the split is not what was set.",
            "rest": f" {report['split']['text']}. Find where customers got lost or doubled first.",
        }
    said = [words.decision(held) for held in report["decisions"]] or _first(report)
    if not said:
        rest = " the file has only one version."
        return {"state": state, "kind": kind, "lead": "Nothing to compare:", "rest": rest}
    rest = "".join(f" {item}" for item in said[1:])
    return {"state": state, "kind": kind, "lead": said[0], "rest": rest}


def _first(report: dict[str, Any]) -> list[str]:
    metric = report["metrics"][0]
    return [_said(metric["name"], effect) for effect in metric["effects"]]


def _said(name: str, effect: dict[str, Any]) -> str:
    adjusted = effect["adjusted"] or {}
    relative = adjusted.get("relative") or effect["relative"]
    held = relative or adjusted.get("absolute") or effect["absolute"]
    of = (
        f"with {effect['variation']}"
        if effect["variation"] not in words.PHRASES
        else effect["variation"]
    )
    if held is None:
        return f"Not known yet {of}: {effect['undecided']['reason']}."
    shown = words.interval(held, relative=relative is not None)
    if held["low"] <= 0 <= held["high"]:
        return f"{name} changed by {shown} {of}: not enough to be known."
    return f"{name} {'rose' if held['estimate'] > 0 else 'fell'} {of}: {shown}."
