"""All charts of a report: drawn once for a snapshot, stored, and pasted in from then on."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog
from markupsafe import Markup
from sqlalchemy.exc import IntegrityError, OperationalError

from rollouts.db import Database
from rollouts.reports import charts, over_time, store
from rollouts.reports.axes import thinned
from rollouts.reports.model import Arm, Report
from rollouts.reports.svg import SIZES, render
from rollouts.web.formatting import is_brief

log = structlog.get_logger()

EDITION = 3  # raise it when a chart is drawn differently
MOST_BUDGETS = 3
TABLE_ROWS = 24
Point = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Figures:
    """The pictures of one snapshot, and the points that stand in tables beside them."""

    pictures: Mapping[str, Mapping[str, Markup]] = field(default_factory=dict)
    tables: Mapping[str, Sequence[Point]] = field(default_factory=dict)

    def find(self, name: str) -> Mapping[str, Markup] | None:
        """A picture in all its widths, if it was drawn."""
        return self.pictures.get(name)

    def is_brief(self, arm: str) -> bool:
        """Whether the looks are so close together that seconds tell them apart."""
        held = self.tables.get(arm) or [{"taken_at": None}]
        return is_brief(held[0]["taken_at"], held[-1]["taken_at"])

    def table(self, arm: str, metric: str) -> Sequence[Point]:
        """Looks of one metric, evenly chosen, the newest last."""
        return [point for point in self.tables.get(arm, ()) if point["metric"] == metric]


def figures(db: Database, report: Report, points: Callable[[], Sequence[Point]]) -> Figures:
    """The report's charts, from the store if they were drawn before.

    `points` is only called when they must be drawn. If the store cannot take them they are
    shown all the same.
    """
    snapshot_id = report.body["id"]
    with db.reading() as session:
        held = store.list_charts(session, snapshot_id, EDITION)
    if not held:
        held = draw(report, points())
        _keep(db, snapshot_id, held)
    return read(held)


def _keep(db: Database, snapshot_id: str, drawn: Mapping[str, str]) -> None:
    try:
        with db.transaction() as session:
            store.replace_charts(session, snapshot_id, EDITION, drawn)
    except (IntegrityError, OperationalError) as wrong:
        # Another process was first, or the store is busy: the page does not wait for it.
        log.info("charts_not_kept", snapshot=snapshot_id, error=type(wrong).__name__)


def draw(report: Report, points: Sequence[Point]) -> dict[str, str]:
    """Every chart as SVG text by "arm/name/size", and the points of each arm as JSON."""
    drawn: dict[str, str] = {"drawn": "[]"}
    for arm in report.arms:
        held = [point for point in points if point["arm"] == arm.key]
        if not report.is_judged:
            continue
        for size in SIZES:
            drawn |= _drawn(arm, held, size)
        drawn[f"{arm.key}/points"] = json.dumps(_thin(held))
    return drawn


def _drawn(arm: Arm, points: Sequence[Point], size: str) -> dict[str, str]:
    budgets = [row for row in arm.guardrails if row.gauge is not None][:MOST_BUDGETS]
    made = {
        f"{arm.key}/effects/{size}": charts.effects(arm.shown, size),
        f"{arm.key}/evidence/{size}": over_time.evidence(arm.guardrails, points, size),
    }
    for row in budgets:
        made[f"{arm.key}/burn:{row.key}/{size}"] = over_time.burn(row, points, size)
    return {name: render(chart) for name, chart in made.items() if chart is not None}


def _thin(points: Sequence[Point]) -> list[dict[str, Any]]:
    looks = sorted({point["look"] for point in points})
    kept = set(thinned(looks, TABLE_ROWS))
    return [dict(point) for point in points if point["look"] in kept]


def read(held: Mapping[str, str]) -> Figures:
    """Stored text as figures. The SVG is ours alone: drawn by us, with all text escaped."""
    pictures: dict[str, dict[str, Markup]] = {}
    tables: dict[str, list[Point]] = {}
    for name, content in held.items():
        if name.endswith("/points"):
            tables[name.removesuffix("/points")] = json.loads(content)
        elif name != "drawn":
            picture, size = name.rsplit("/", 1)
            pictures.setdefault(picture, {})[size] = Markup(content)  # noqa: S704
    return Figures(pictures, tables)
