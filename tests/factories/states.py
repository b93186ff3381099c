"""The story's snapshot in every state a page must be able to show."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.factories.beside import (
    make_evidence,
    make_recommendation,
    no_chance,
    whole_metrics,
)
from tests.factories.snapshots import (
    Body,
    guardrails,
    make_budget,
    make_goal,
    make_metric,
    make_quality,
    make_snapshot,
    make_verdict,
)


def _live(state: str = "running") -> Body:
    return {**make_snapshot()["rollout"], "state": state, "ended_at": None}


def _stage(**over: Any) -> Body:
    stage = {**make_snapshot()["stage"], "next_share": 0.5, "next_at": "2026-05-14T18:00:00+00:00"}
    return {**stage, **over}


def _arm(metrics: Sequence[Body], key: str = "new", name: str = "New page") -> Body:
    return {"key": key, "name": name, "metrics": list(metrics)}


def make_early(**over: Any) -> Body:
    """Running, nothing known yet; one guardrail has too few events for an interval."""
    few = make_metric(
        "complaints",
        "Complaints",
        control=(33020, 7.0),
        treatment=(7904, 2.0),
        interval=None,
        finding="unknown",
        limit=0.20,
        undecided={
            "reason": "too few events",
            "needs": "9 of the 20 events a verdict needs",
        },
        needs="9 of the 20 events a verdict needs",
        evidence=None,
    )
    contacts = make_metric(
        control=(33020, 2476.0),
        treatment=(7904, 610.0),
        interval=(-0.03, 0.09),
        finding="unknown",
        limit=0.05,
        needs="about 6,000 more customers",
        budget=make_budget(estimate=17, low=-11, high=47, amount=150, state="within"),
        evidence={"r": 0.4, "boundary": 2.6, "reserve": 0.4, "share": 0.15},
    )
    body = make_snapshot(
        id="S-20260514-1005-07be",
        rollout=_live(),
        stage=_stage(),
        arms=[_arm([contacts, few, make_goal()])],
        decision={"action": "none", "reasons": []},
        verdict=make_verdict(
            "early",
            "unknown",
            "Too early to say",
            ": contacts changed by −3 % to +9 %, and the limit is 5 %. "
            "About 6,000 more customers would settle it, 2 days at 25 %.",
            "Nothing to do: the next step is at 18:00 if the checks hold.",
        ),
    )
    return {**body, **over}


def make_held(**over: Any) -> Body:
    """Held, since the next stage could cost more than is left."""
    body = make_early(
        id="S-20260514-0900-5d11",
        rollout=_live("held"),
        stage=_stage(index=1, share=0.10, next_share=0.25, next_at=None),
        decision={"action": "hold", "reasons": ["the next step is not affordable"]},
        verdict=make_verdict(
            "held",
            "hold",
            "Held at 10 % since 09:00",
            ": the next step could cost up to 340 contacts, and 262 are left. No harm is shown.",
            "Wait about 2 days, or accept a smaller step.",
        ),
    )
    return {**body, **over}


def make_safe(**over: Any) -> Body:
    """Shipped with every guardrail safe."""
    safe = [
        make_metric(
            control=(20790, 1623.0),
            treatment=(20860, 1483.0),
            interval=(-0.14, -0.04),
            finding="safe",
            limit=0.05,
            budget=make_budget(amount=150, estimate=-146, low=-240, high=-60, state="within"),
        ),
        make_metric(
            "orders",
            "Orders placed",
            control=(20790, 6444.0),
            treatment=(20860, 6508.0),
            interval=(-0.008, 0.021),
            finding="safe",
            limit=0.02,
            sign=-1,
        ),
    ]
    body = make_snapshot(
        id="S-20260511-1600-19e7",
        rollout={**_live("shipped"), "ended_at": "2026-05-11T16:00:00+00:00"},
        arms=[_arm(safe)],
        decision={"action": "none", "reasons": []},
        verdict=make_verdict(
            "shipped",
            "safe",
            "Shipped on 11 May at 16:00 UTC: contacts fell 9 %",
            " (between 4 % and 14 %). Both guardrails are safe.",
            "Take the flag out of the code.",
        ),
    )
    return {**body, **over}


def make_unjudged(**over: Any) -> Body:
    """More arrived in the new version than was set: no effect can be believed."""
    blind = [
        {**row, "relative": None, "finding": "unknown", "reason": "the split is broken"}
        for row in (*guardrails()[:4], make_goal())
    ]
    blind[0] = {
        **blind[0],
        "budget": make_budget(state="unknown", estimate=None, low=None, high=None),
    }
    body = make_snapshot(
        id="S-20260422-1305-f00a",
        rollout=_live("held"),
        units={
            "total": 30016,
            "by_variation": [
                {"key": "old", "name": "Old page", "is_control": True, "n": 20104, "share": 0.8},
                {"key": "new", "name": "New page", "is_control": False, "n": 9912, "share": 0.2},
            ],
            "crossed": 11,
            "refused": {},
        },
        srm={"p_value": 1e-12, "state": "broken", "text": "9,912 to 20,104, p < 0.001"},
        stage=_stage(index=2, next_at=None),
        arms=[_arm(blind)],
        quality=make_quality(split="broken"),
        decision={"action": "hold", "reasons": ["split differs from what was set"]},
        verdict=make_verdict(
            "unjudged",
            "nodata",
            "Cannot be judged: 20 % was set, 33 % arrived",
            " (9,912 of 30,016 customers, p < 0.001). The two groups are no longer alike, "
            "so no effect can be believed.",
            "Mend the exposure call, then start again with fresh customers.",
        ),
    )
    return {**body, **over}


def make_no_data(**over: Any) -> Body:
    """Running, but one guardrail's feed is silent and nobody has been counted for it."""
    silent = make_metric(
        "csat",
        "Rated 4 or 5 of 5",
        control=(0, 0.0),
        treatment=(0, 0.0),
        interval=None,
        finding="nodata",
        sign=-1,
        limit=0.04,
        reason="no answer since 13 May 08:12",
        evidence=None,
        last_event_at="2026-05-13T08:12:00+00:00",
    )
    body = make_early(
        id="S-20260514-1006-00aa",
        arms=[_arm([make_early()["arms"][0]["metrics"][0], silent])],
        quality=make_quality(feed="unknown"),
        verdict=make_verdict(
            "early",
            "nodata",
            "No data for Rated 4 or 5 of 5 since 13 May 08:12",
            ". The ramp is frozen at 25 % until the feed is back. No data never counts as safe.",
            "Check the survey feed.",
        ),
    )
    return {**body, **over}


def make_empty(**over: Any) -> Body:
    """Started a moment ago: nobody has come yet."""
    nobody = [
        make_metric(
            control=(0, 0.0),
            treatment=(0, 0.0),
            interval=None,
            finding="nodata",
            evidence=None,
            last_event_at=None,
            budget=make_budget(estimate=None, low=None, high=None, state="unknown"),
        )
    ]
    units = {
        "total": 0,
        "by_variation": [{**item, "n": 0} for item in make_snapshot()["units"]["by_variation"]],
        "crossed": 0,
        "refused": {},
    }
    look = {**make_snapshot()["look"], "number": 1, "data_at": None}
    body = make_early(
        id="S-20260511-1001-0000",
        units=units,
        look=look,
        srm={"p_value": None, "state": "unknown", "text": "nobody yet"},
        arms=[_arm(nobody)],
        verdict=make_verdict(
            "early", "nodata", "No customer has come yet", ".", "Check that the SDK is connected."
        ),
    )
    return {**body, **over}


def make_three(**over: Any) -> Body:
    """Three new versions against the old page: one safe, one not yet known, one harmful."""
    versions = (
        ("short", "Short answers", 13850, (-0.13, -0.03), -0.08, "safe"),
        ("steps", "Step by step", 13790, (-0.08, 0.04), -0.02, "unknown"),
        ("video", "Video", 4120, (0.11, 0.39), 0.24, "harm"),
    )
    arms = []
    for key, name, n, interval, effect, finding in versions:
        total = round(n * 0.073 * (1 + effect))
        contacts = make_metric(
            control=(41300, 3015.0), treatment=(n, total), interval=interval, finding=finding
        )
        orders = make_metric(
            "orders",
            "Orders placed",
            control=(41300, 12886.0),
            treatment=(n, n * 0.312),
            interval=(-0.02, 0.02),
            finding="safe",
            sign=-1,
            limit=0.03,
        )
        arms.append(_arm([contacts, orders, make_goal()], key, name))
    by_variation = [
        {"key": "old", "name": "Old page", "is_control": True, "n": 41300, "share": 0.55},
        *(
            {"key": key, "name": name, "is_control": False, "n": n, "share": 0.15}
            for key, name, n, *_ in versions
        ),
    ]
    body = make_snapshot(
        id="S-20260424-0900-2d4c",
        rollout={**make_snapshot()["rollout"], "name": "Help on the order page"},
        units={"total": 73060, "by_variation": by_variation, "crossed": 9, "refused": {}},
        arms=arms,
    )
    return {**body, **over}


def make_whole(**over: Any) -> Body:
    """Running, with all that stands beside effects: settles, matured, adjusted, chances, advice."""
    body = make_early(
        id="S-20260514-1010-beef",
        arms=[_arm(whole_metrics())],
        evidence=make_evidence(),
        recommendation=make_recommendation(),
    )
    return {**body, **over}


def make_futile(**over: Any) -> Body:
    """Running, no harm, and hardly a chance left to show what would be worth having."""
    body = make_safe(
        id="S-20260514-1011-dead",
        rollout=_live(),
        stage=_stage(),
        arms=[_arm([*make_safe()["arms"][0]["metrics"], make_goal(futility=no_chance())])],
        evidence=make_evidence("strong"),
        recommendation=make_recommendation(
            "not_shown", "no success metric was shown to be better", complete=True
        ),
        verdict=make_verdict(
            "futile",
            "unknown",
            "Not working:",
            " a 4 % chance to be shown better by 2 June if the truth is +2 % in return finished "
            "online. No harm shown. "
            "Stopping now saves 19 days.",
            "Stop it, or let it run with this in mind.",
        ),
    )
    return {**body, **over}


def make_huge(**over: Any) -> Body:
    """Forty guardrails with names of 200 characters."""
    many = [
        make_metric(
            f"g{i}",
            f"{i} " + "checkout-experience-redesign-" * 6 + "x" * 20,
            finding="safe" if i else "harm",
            interval=(-0.05, 0.02) if i else (0.18, 0.46),
            treatment=(9120, 680.0 if i else 896.0),
        )
        for i in range(40)
    ]
    rollout = {**make_snapshot()["rollout"], "name": "N" * 200, "owner": "ليلى حداد"}
    return {**make_snapshot(rollout=rollout, arms=[_arm(many)]), **over}


HOSTILE = "<script>alert(1)</script>\"'&</svg><img src=x onerror=alert(2)>"


def make_hostile(**over: Any) -> Body:
    """Every text that people choose tries to break out of the page."""
    nasty = make_metric(
        name=HOSTILE,
        harm_unit=HOSTILE,
        words=HOSTILE,
        meaning=HOSTILE,
        method=HOSTILE,
        needs=HOSTILE,
        reason=HOSTILE,
        notes=[HOSTILE],
        budget=make_budget(unit=HOSTILE),
    )
    base = make_snapshot()
    units = {
        **base["units"],
        "by_variation": [{**v, "name": HOSTILE} for v in base["units"]["by_variation"]],
    }
    body = make_snapshot(
        rollout={**base["rollout"], "name": HOSTILE, "owner": HOSTILE, "hypothesis": HOSTILE},
        plan={**base["plan"], "locked_by": HOSTILE, "reason": HOSTILE},
        units=units,
        arms=[_arm([nasty, make_goal(name='=HYPERLINK("http://evil")')], name=HOSTILE)],
        quality=[{"key": "split", "state": "ok", "label": HOSTILE, "text": HOSTILE}],
        verdict=make_verdict("withdrawn", "harm", HOSTILE, HOSTILE, HOSTILE),
    )
    return {**body, **over}


STATES = {
    "withdrawn": make_snapshot,
    "early": make_early,
    "held": make_held,
    "safe": make_safe,
    "unjudged": make_unjudged,
    "no-data": make_no_data,
    "empty": make_empty,
    "three": make_three,
    "whole": make_whole,
    "futile": make_futile,
    "huge": make_huge,
    "hostile": make_hostile,
}
