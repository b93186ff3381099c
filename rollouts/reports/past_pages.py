"""Pages of what rollouts did over time: one metric, and all metrics together; each also as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Response, render_template

from rollouts.accounts.model import Role
from rollouts.metrics import service as metrics
from rollouts.reports import asked, past
from rollouts.reports.blueprint import bp
from rollouts.reports.tables import safe_cell
from rollouts.results import past_words as words
from rollouts.results.over_rollouts import Wanted, effects_on, list_moved, past_effects
from rollouts.web.access import requires
from rollouts.web.context import reading

LEVEL = 0.95
EVERY = 10_000  # metrics in a file
ENDS = ("estimate", "low", "high")
EFFECTS = (
    "metric",
    "scale",
    *("rollout", "name", "environment", "variation", "state", "ended_at", "snapshot", "shipped"),
    *("role", "units", "evidence_grade"),
    *(f"{part}_{end}" for part in ("seen", "shrunken") for end in ENDS),
    "kept",
    "level",
    "left_out",
)
IMPACT = (
    *("metric", "name", "scale", "environment", "from", "to", "learnt_from", "left_out"),
    "shipped",
    *(f"{part}_{end}" for part in ("total", "claimed") for end in ENDS),
    *("corrected_by_rule", "unit", "per_customers"),
    *(f"in_units_{end}" for end in ENDS),
    *("customers_a_day", "reason", "needs"),
)


def _wanted() -> Wanted:
    return Wanted(asked.text("environment"), asked.day("from"), asked.day("to"))


@bp.get("/catalogue/<key>/past-effects", endpoint="past")
@requires(Role.READER)
def show_past(key: str) -> str:
    """Every ended rollout's effect on a metric, and what shipped ones did together."""
    search, after, wanted = asked.text("search"), asked.text("after") or None, _wanted()
    with reading() as session:
        page = past.get_past(session, key, wanted, search=search, after=after)
    return render_template(
        "reports/past.html", page=page, wanted=wanted, search=search, after=after
    )


@bp.get("/catalogue/<key>/past-effects.csv", endpoint="past_csv")
@requires(Role.READER)
def export_past(key: str) -> Response:
    """The same as rows, those left out too, with their reason."""
    with reading() as session:
        found = past_effects(session, key, _wanted())
    shown = [words.line_shown(line.moved, line, LEVEL) for line in found.lines]
    shown += [words.line_shown(item, None, LEVEL) for item in found.left_out]
    head = {"metric": found.key, "scale": found.scale.value, "level": LEVEL}
    return _csv("past-effects.csv", EFFECTS, ({**_flat(row), **head} for row in shown))


@bp.get("/impact", endpoint="impact")
@requires(Role.READER)
def show_impact() -> str:
    """What shipped changes did, metric by metric."""
    search, after, wanted = asked.text("search"), asked.text("after") or None, _wanted()
    with reading() as session:
        page = past.list_impact(session, wanted, search=search, after=after)
    return render_template(
        "reports/impact.html", page=page, wanted=wanted, search=search, after=after
    )


@bp.get("/impact.csv", endpoint="impact_csv")
@requires(Role.READER)
def export_impact() -> Response:
    """The same as rows, all metrics at once."""
    with reading() as session:
        every, wanted = list_moved(session), _wanted()
        rows = metrics.list_metrics(session, after=None, limit=EVERY, search=asked.text("search"))
        shown = [words.impact_shown(effects_on(session, row, every, wanted)) for row in rows]
    return _csv("impact.csv", IMPACT, (_impact_row(row) for row in shown))


def _impact_row(shown: Mapping[str, Any]) -> dict[str, Any]:
    units = shown.get("in_units") or {}
    return {
        **_flat({**shown, "in_units": {end: units.get(end) for end in ENDS}}),
        **(shown["undecided"] or {}),
        "unit": units.get("unit"),
        "per_customers": units.get("customers"),
        "customers_a_day": units.get("customers_a_day"),
    }


def _flat(shown: Mapping[str, Any]) -> dict[str, Any]:
    """What stands inside something as a column of its own: `seen_low`."""
    row = dict(shown)
    for part in ("seen", "shrunken", "total", "claimed", "in_units"):
        held = shown.get(part)
        if isinstance(held, Mapping):
            row |= {f"{part}_{end}": held.get(end) for end in ENDS}
            row["kept"] = held.get("kept", row.get("kept"))
    return row


def _csv(name: str, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> Response:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    held = list(columns)
    writer.writerow(held)
    for row in rows:
        writer.writerow([safe_cell(row.get(column)) for column in held])
    answer = Response(out.getvalue().encode(), content_type="text/csv; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
