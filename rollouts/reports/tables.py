"""A snapshot's rows as CSV, for spreadsheets that believe any cell beginning with a sign."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any

from rollouts.reports.model import Body, without_effects

EFFECTS = tuple(
    f"{scale}_{end}" for scale in ("relative", "absolute") for end in ("estimate", "low", "high")
)
CHANCES = (
    "at_worthwhile",
    "at_trend",
    "predictive",
    "floor",
    "worthwhile",
    "by",
    "is_futile",
    "saved_days",
    "saved_units",
)
UNANSWERED = ("low", "high", "outer_low", "outer_high")
COLUMNS = (
    "snapshot",
    "plan_hash",
    "rollout",
    "variation",
    "metric",
    "name",
    "role",
    "aggregation",
    "meaning",
    "control_n",
    "control_total",
    "control_mean",
    "new_n",
    "new_total",
    "new_mean",
    "relative_estimate",
    "relative_low",
    "relative_high",
    "absolute_estimate",
    "absolute_low",
    "absolute_high",
    "level",
    "limit",
    "limit_scale",
    "finding",
    "needs",
    "budget",
    "budget_unit",
    "harm_estimate",
    "harm_low",
    "harm_high",
    "budget_state",
    "segment",
    "segment_value",
    "p_value_corrected",
    "shrunken",
    "segments_differ_p",
    "settles_customers",
    "settles_towards",
    "settles_days",
    "judged_on",
    *(
        f"{part}_{name}"
        for part in ("so_far", "matured")
        for name in ("control_n", "new_n", *EFFECTS)
    ),
    *(f"adjusted_{name}" for name in EFFECTS),
    "adjusted_gain",
    "statistic",
    "control_level",
    "new_level",
    "level_is",
    "cut_at",
    *(f"{arm}_{name}" for arm in ("control", "new") for name in ("asked", "answered")),
    *(f"unanswered_{name}" for name in UNANSWERED),
    "adjusted_by",
    *(f"adjusted_by_{name}" for name in EFFECTS),
    "adjusted_by_gain",
    "lately_days",
    *(f"lately_{name}" for name in ("control_n", "new_n", *EFFECTS)),
    "test",
    *(f"futility_{name}" for name in CHANCES),
    "evidence_grade",
    "recommendation",
)
# A segment is not judged: the plan locked no limit and no budget for it.
UNJUDGED = {"limit": None, "limit_scale": None, "finding": None, "budget": None}
DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "\n", "\0")


def safe_cell(value: Any) -> Any:
    """Numbers stay numbers; text that a spreadsheet would run gets an apostrophe."""
    if isinstance(value, str) and value.startswith(DANGEROUS):
        return "'" + value
    return value


def to_csv(body: Body) -> str:
    """One row for each metric of each variation, then one for each value of each segment.

    No effects while the split is broken.
    """
    body = body if body["srm"]["state"] != "broken" else without_effects(body)
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for row in _rows(body):
        writer.writerow([safe_cell(row.get(name)) for name in COLUMNS])
    return out.getvalue()


def _rows(body: Body) -> Iterator[dict[str, Any]]:
    for arm in body["arms"]:
        for metric in arm["metrics"]:
            yield _row(body, arm["key"], metric) | _beside(body, arm["key"], metric)
        for segment in arm.get("segments", ()):
            yield from _segment_rows(body, arm, segment)


def _segment_rows(body: Body, arm: Body, segment: Body) -> Iterator[dict[str, Any]]:
    metrics = {metric["key"]: metric for metric in arm["metrics"]}
    for held in segment["metrics"]:
        tested = held["interaction"]
        for item in held["values"]:
            yield {
                **_row(body, arm["key"], {**metrics[held["key"]], **UNJUDGED, **item}),
                "needs": (item["undecided"] or {}).get("needs"),
                "segment": segment["attribute"],
                "segment_value": item["value"],
                "p_value_corrected": item["p_value_corrected"],
                "shrunken": tested["shrunken"].get(item["value"]),
                "segments_differ_p": tested["p_value"],
            }


def _row(body: Body, arm: str, metric: Body) -> dict[str, Any]:
    relative, absolute = metric["relative"] or {}, metric["absolute"] or {}
    budget = metric["budget"] or {}
    return {
        "snapshot": body["id"],
        "plan_hash": body["plan"]["hash"],
        "rollout": body["rollout"]["key"],
        "variation": arm,
        "metric": metric["key"],
        **{name: metric[name] for name in ("name", "role", "aggregation", "meaning")},
        **_levels(metric),
        **{f"control_{name}": metric["control"][name] for name in ("n", "total", "mean")},
        **{f"new_{name}": metric["treatment"][name] for name in ("n", "total", "mean")},
        **{f"relative_{name}": relative.get(name) for name in ("estimate", "low", "high")},
        **{f"absolute_{name}": absolute.get(name) for name in ("estimate", "low", "high")},
        "level": relative.get("level", absolute.get("level")),
        "limit": metric["limit"],
        "limit_scale": metric["limit_scale"],
        "finding": metric["finding"],
        "needs": metric["needs"],
        "budget": budget.get("amount"),
        "budget_unit": budget.get("unit"),
        "harm_estimate": budget.get("estimate"),
        "harm_low": budget.get("low"),
        "harm_high": budget.get("high"),
        "budget_state": budget.get("state"),
    }


def _beside(body: Body, arm: str, metric: Body) -> dict[str, Any]:
    """What stands beside an effect; empty cells where the snapshot has none of it."""
    settles, chances = metric.get("settles") or {}, metric.get("futility") or {}
    adjusted, matured = metric.get("adjusted"), metric.get("matured")
    alike = metric.get("adjusted_by") or {}
    is_matured = bool(metric.get("matured_only"))
    said = (body.get("recommendation") or {}).get("arms", ())
    return {
        **{f"settles_{name}": settles.get(name) for name in ("customers", "towards", "days")},
        "judged_on": ("matured" if is_matured else "so far") if matured else None,
        **_part("so_far", metric.get("so_far")),
        **_part("matured", matured),
        **_effects("adjusted", adjusted),
        "adjusted_gain": (adjusted or {}).get("gain"),
        **_surveyed(metric),
        "adjusted_by": ", ".join(alike.get("attributes", ())) or None,
        **_effects("adjusted_by", alike),
        "adjusted_by_gain": alike.get("gain"),
        "lately_days": (metric.get("lately") or {}).get("days"),
        **_part("lately", metric.get("lately")),
        "test": (metric.get("test") or {}).get("used"),
        **{f"futility_{name}": chances.get(name) for name in CHANCES},
        "evidence_grade": (body.get("evidence") or {}).get("grade"),
        "recommendation": next((item["outcome"] for item in said if item["key"] == arm), None),
    }


def _part(name: str, held: Body | None) -> dict[str, Any]:
    """The effect on some of the customers, with how many of either version they are."""
    return {
        f"{name}_control_n": (held or {}).get("n_control"),
        f"{name}_new_n": (held or {}).get("n_treatment"),
        **_effects(name, held),
    }


def _effects(name: str, held: Body | None) -> dict[str, Any]:
    return {
        f"{name}_{scale}_{end}": ((held or {}).get(scale) or {}).get(end)
        for scale in ("relative", "absolute")
        for end in ("estimate", "low", "high")
    }


def _levels(metric: Body) -> dict[str, Any]:
    """A kind's own levels, where they are no means; snapshots of earlier releases have none."""
    levels = metric.get("levels") or {}
    return {
        "statistic": metric.get("statistic"),
        "control_level": levels.get("control"),
        "new_level": levels.get("treatment"),
        "level_is": levels.get("note"),
    }


def _surveyed(metric: Body) -> dict[str, Any]:
    """Who was asked and answered, what the others could change, and where values were cut."""
    survey = metric.get("survey") or {}
    bounds = survey.get("bounds") or {}
    arms = {"control": survey.get("control") or {}, "new": survey.get("treatment") or {}}
    return {
        "cut_at": (metric.get("cut") or {}).get("limit"),
        **{f"{arm}_{n}": held.get(n) for arm, held in arms.items() for n in ("asked", "answered")},
        **{f"unanswered_{name}": bounds.get(name) for name in UNANSWERED},
    }
