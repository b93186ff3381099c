"""Snapshot bodies as the results room stores them: one made-up story in all its states."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from rollouts.web.formatting import between, count, percent

STARTED = datetime(2026, 5, 11, 10, 0, tzinfo=UTC)
TAKEN = datetime(2026, 5, 14, 9, 42, tzinfo=UTC)

Body = dict[str, Any]


def make_metric(
    key: str = "contacts",
    name: str = "Contacts per customer",
    *,
    control: tuple[int, float] = (52640, 3948.0),
    treatment: tuple[int, float] = (9120, 896.0),
    interval: tuple[float, float] | None = (0.18, 0.46),
    finding: str = "harm",
    limit: float | None = 0.10,
    sign: int = 1,
    **over: Any,
) -> Body:
    """One metric of one variation; the effect follows from the sums."""
    old = control[1] / control[0] if control[0] else None
    new = treatment[1] / treatment[0] if treatment[0] else None
    relative = None
    if interval is not None and old and new is not None:
        relative = {
            "estimate": new / old - 1,
            "low": interval[0],
            "high": interval[1],
            "level": 0.95,
        }
    body = {
        "key": key,
        "name": name,
        "role": "guardrail" if limit is not None else "goal",
        "words": "contacts",
        "harm_unit": "contacts",
        "aggregation": "count",
        "direction": "down" if sign > 0 else "up",
        "sign": sign,
        "limit": limit,
        "limit_scale": "relative",
        "action": "withdraw",
        "alpha": 0.025,
        "control": {"n": control[0], "total": control[1], "mean": old},
        "treatment": {"n": treatment[0], "total": treatment[1], "mean": new},
        "relative": relative,
        "absolute": None,
        "undecided": None,
        "finding": finding,
        "reason": "",
        "needs": "",
        "evidence": {"r": 4.1, "boundary": 2.5, "reserve": 0.5, "share": 1.63},
        "shrunken": None,
        "notes": [],
        "method": "Share test with an always-valid reserve.",
        "meaning": "contacts on any channel within 7 days of first exposure, per customer",
        "budget": None,
        "strata": [],
        "last_event_at": TAKEN.isoformat(),
    }
    return {**body, **over}


def make_budget(**over: Any) -> Body:
    """A harm budget that the story's contacts have spent."""
    body = {
        "amount": 200,
        "unit": "contacts",
        "hold_at": 0.6,
        "estimate": 212,
        "low": 123,
        "high": 315,
        "state": "spent",
        "reason": "",
    }
    return {**body, **over}


def guardrails() -> list[Body]:
    """Seven guardrails: one harmed, two safe, four not yet known."""
    return [
        make_metric(budget=make_budget()),
        make_metric(
            "repeats",
            "Had to contact us again",
            control=(52640, 626.0),
            treatment=(9120, 133.0),
            interval=(-0.04, 0.57),
            finding="unknown",
            limit=0.15,
            needs="about 6,000 more customers",
            words="customers who contacted us twice",
            aggregation="any",
        ),
        make_metric(
            "csat",
            "Rated 4 or 5 of 5",
            control=(6100, 4782.0),
            treatment=(1050, 786.0),
            interval=(-0.098, 0.009),
            finding="unknown",
            limit=0.05,
            sign=-1,
            aggregation="any",
            needs="about 900 more answers",
        ),
        make_metric(
            "complaints",
            "Complaints",
            control=(52640, 163.0),
            treatment=(9120, 30.0),
            interval=(-0.31, 0.62),
            finding="unknown",
            limit=0.20,
            needs="about 20,000 more customers",
        ),
        make_metric(
            "orders",
            "Orders placed",
            control=(52640, 16424.0),
            treatment=(9120, 2829.0),
            interval=(-0.049, 0.038),
            finding="unknown",
            limit=0.03,
            sign=-1,
            needs="about 11,000 more customers",
        ),
        make_metric(
            "refund-days",
            "Time to refund",
            control=(21000, 86100.0),
            treatment=(3700, 14867.0),
            interval=(-0.07, 0.03),
            finding="safe",
            aggregation="sum",
            limit=0.10,
        ),
        make_metric(
            "dents",
            "Dents per journey",
            control=(52640, 3264.0),
            treatment=(9120, 529.0),
            interval=(-0.14, 0.03),
            finding="safe",
            limit=0.05,
            aggregation="ratio",
        ),
    ]


def make_goal(**over: Any) -> Body:
    """The goal: it rose a little, not enough to be known."""
    fixed: Body = {
        "control": (52640, 21740.0),
        "treatment": (9120, 3849.0),
        "interval": (-0.016, 0.059),
        "finding": "unknown",
        "sign": -1,
        "aggregation": "any",
        "needs": "about 14,000 more customers",
        "evidence": None,
        "name": "Return finished online",
    }
    return make_metric("returned", limit=None, **{**fixed, **over})


def make_snapshot(**over: Any) -> Body:
    """The withdrawn rollout of the story; `over` replaces whole top-level parts."""
    body: Body = {
        "schema": 1,
        "id": "S-20260514-0942-c81f",
        "rollout": {
            "key": "guided-returns",
            "name": "Guided returns",
            "hypothesis": "Guided steps let more customers finish a return online.",
            "owner": "Priya Nair",
            "environment": "production",
            "flag": "guided-returns",
            "unit": "customer_id",
            "state": "withdrawn",
            "started_at": STARTED.isoformat(),
            "ended_at": TAKEN.isoformat(),
        },
        "plan": {
            "version": 1,
            "hash": "7f3a9c1e20d4b6e1" * 4,
            "locked_at": "2026-05-04T15:20:00+00:00",
            "locked_by": "Priya Nair",
            "reason": "",
            "alpha": 0.05,
            "deadline": "2026-06-02T00:00:00+00:00",
            "look_every_seconds": 14400,
            "may_override": "admin",
            "previous": [],
        },
        "look": {
            "number": 12,
            "taken_at": TAKEN.isoformat(),
            "kind": "scheduled",
            "data_at": TAKEN.isoformat(),
            "offset": 812345,
        },
        "stage": {
            "index": 2,
            "share": 0.25,
            "entered_at": "2026-05-12T18:00:00+00:00",
            "stages": [
                {"share": share, "hold_seconds": 86400} for share in (0.05, 0.10, 0.25, 0.50, 1.0)
            ],
            "next_share": None,
            "next_at": None,
        },
        "units": {
            "total": 61760,
            "by_variation": [
                {"key": "old", "name": "Old page", "is_control": True, "n": 52640, "share": 0.85},
                {"key": "new", "name": "New page", "is_control": False, "n": 9120, "share": 0.15},
            ],
            "crossed": 14,
            "refused": {"variation differs from our own assignment": 3},
        },
        "srm": {"p_value": 0.41, "state": "ok", "text": "9,120 to 52,640, p = 0.41"},
        "arms": [{"key": "new", "name": "New page", "metrics": [*guardrails(), make_goal()]}],
        "quality": make_quality(),
        "decision": {"action": "withdraw", "reasons": ["contacts: harm shown"]},
        "verdict": make_verdict(
            "withdrawn",
            "harm",
            f"Withdrawn on 14 May at 09:42 UTC: contacts rose {percent(0.31)}",
            f" ({between(0.18, 0.46)}), more than the {percent(0.10)} we said we would tolerate. "
            "That is 212 extra contacts, of a budget of 200.",
            "Read what people said, mend it, and plan a second attempt.",
        ),
    }
    return {**body, **over}


def make_quality(**states: str) -> list[Body]:
    """The standing checks; `states` by key with `_` for what is not a letter."""
    checks = [
        ("split", "Split as configured", "9,120 to 52,640, p = 0.41"),
        ("crossed", "Seen in both versions", "14 customers, left out"),
        ("refused", "Exposures refused", "3: variation differs from our own assignment"),
        ("feed:contacts", "Contacts feed alive", "last event 14 May 09:41"),
    ]
    return [
        {"key": key, "state": states.get(key.split(":")[0], "ok"), "label": label, "text": text}
        for key, label, text in checks
    ]


def make_verdict(kind: str, finding: str, lead: str, rest: str = "", following: str = "") -> Body:
    """A verdict in words, as the guard writes it."""
    return {
        "kind": kind,
        "finding": finding,
        "sentence": lead + rest,
        "lead": lead,
        "rest": rest,
        "next": following,
    }


def make_points(body: Body, looks: int = 12) -> list[Body]:
    """The looks that led to this snapshot, for the charts over time."""
    rows = []
    for arm in body["arms"]:
        for metric in arm["metrics"]:
            rows += _points_of(arm["key"], metric, looks)
    return sorted(rows, key=lambda row: row["look"])


def _points_of(arm: str, metric: Body, looks: int) -> list[Body]:
    share = {"harm": 1.63, "unknown": 0.45, "safe": -0.7}.get(metric["finding"])
    if metric["evidence"] is None:
        share = None
    budget = metric["budget"] or {}
    rows = []
    for look in range(1, looks + 1):
        part = (look / looks) ** 2
        low, high = budget.get("low"), budget.get("high")
        at = TAKEN - timedelta(hours=6 * (looks - look))
        rows.append(
            {
                "look": look,
                "taken_at": at.isoformat(),
                "arm": arm,
                "metric": metric["key"],
                "evidence_share": None
                if share is None
                else share * part * (1 + len(metric["key"]) / 40),
                "harm_estimate": None if low is None else budget["estimate"] * part,
                "harm_low": None if low is None else low * part - 10 * (1 - part),
                "harm_high": None if high is None else high * part + 10 * (1 - part),
                "units": round(61760 * look / looks),
            }
        )
    return rows


def make_timeline() -> list[Body]:
    """What was decided when, and by whom."""
    return [
        _row(
            "2026-05-04T15:20:00",
            "lock",
            "Priya Nair",
            "Plan locked: limits, budget, looks and who may override.",
        ),
        _row("2026-05-11T10:00:00", "run", "automatic ramp", "Started at 5 %."),
        _row("2026-05-12T10:00:00", "run", "automatic ramp", "Raised to 10 %."),
        _row("2026-05-12T18:00:00", "person", "Tom Okafor", "Raised to 25 %."),
        _row(
            "2026-05-12T21:42:00",
            "hold",
            "stop-loss",
            f"Warned: evidence at 83 % of the boundary, {count(62)} extra contacts so far.",
        ),
        _row(
            "2026-05-13T01:42:00",
            "nodata",
            "automatic ramp",
            "Contact feed late. Ramp frozen at 25 %.",
        ),
        _row(
            "2026-05-14T09:42:00",
            "harm",
            "stop-loss",
            "Withdrawn: everyone is back on the old page.",
        ),
    ]


def _row(at: str, kind: str, actor: str, sentence: str) -> Body:
    return {
        "at": datetime.fromisoformat(at).replace(tzinfo=UTC),
        "kind": kind,
        "actor": actor,
        "sentence": sentence,
    }
