"""What the results room stores beside an effect, as made-up pieces for snapshots."""

from __future__ import annotations

from typing import Any

from tests.factories.snapshots import Body, make_goal, make_metric

Piece = dict[str, Any]


def make_effect(estimate: float, low: float, high: float) -> Piece:
    """An effect on one scale."""
    return {
        "estimate": estimate,
        "low": low,
        "high": high,
        "level": 0.95,
        "validity": "any time",
        "method": "share test",
    }


def make_settles(
    customers: int | None = 6000, towards: str = "harm", days: float | None = 2.1, **over: Any
) -> Piece:
    """What would settle a finding that is not yet known."""
    reason = "If what is seen so far is the truth: a forecast, right about half the time."
    piece = {
        "customers": customers,
        "towards": towards,
        "days": days,
        "text": f"about {customers:,} more customers" if customers else "more than can be foreseen",
        "reason": reason if customers else "",
    }
    return {**piece, **over}


def make_part(
    n: tuple[int, int], effect: tuple[float, float, float] | None, text: str | None = None
) -> Piece:
    """An effect on some of the customers: those matured, or all so far."""
    why = {"reason": "too few events", "needs": "more customers"}
    piece: Piece = {
        "n_control": n[0],
        "n_treatment": n[1],
        "relative": make_effect(*effect) if effect else None,
        "absolute": None,
        "undecided": None if effect else why,
    }
    return piece if text is None else {**piece, "text": text}


def make_adjusted(
    estimate: float | None, low: float = 0.0, high: float = 0.0, *, reason: str = ""
) -> Piece:
    """The effect adjusted for two weeks before, which saved three tenths of the variance."""
    effect = None if estimate is None else make_effect(estimate, low, high)
    return {
        "relative": effect,
        "absolute": None,
        "gain": 0.3 if effect else None,
        "reason": reason,
        "needs": "more customers or more days" if reason else "",
        "pre_period_seconds": 14 * 86400.0,
    }


def make_futility(**over: Any) -> Piece:
    """A goal's chances, still well above the floor."""
    piece = {
        "floor": 0.10,
        "worthwhile": 0.02,
        "by": "2026-06-02T00:00:00+00:00",
        "units_left": 41300,
        "at_worthwhile": 0.62,
        "at_trend": 0.71,
        "predictive": 0.58,
        "is_futile": False,
        "saved_days": None,
        "saved_units": None,
        "reason": "A worthwhile effect may still be shown by the deadline.",
    }
    return {**piece, **over}


def make_evidence(grade: str = "fair") -> Piece:
    """The grade: strong where all is well, fair with one warning."""
    crossed = "14 customers saw both versions" if grade == "fair" else "nobody to speak of"
    state = "warn" if grade == "fair" else "ok"
    checks = [
        ("split", "SRM", "ok", "customers arrived as the plan set it"),
        ("crossed", "crossings", state, crossed),
    ]
    return {
        "grade": grade,
        "reasons": ["randomised design", *(f"{name}: {why}" for _, name, _, why in checks)],
        "checks": [
            {"key": key, "name": name, "state": held, "reason": why, "p_value": None, "needs": ""}
            for key, name, held, why in checks
        ],
    }


def make_recommendation(
    outcome: str = "undecided",
    reason: str = "Contacts per customer was not shown to stay within its tolerance",
    *,
    complete: bool = False,
    **others: str,
) -> Piece:
    """What one rule says of shipping; others: outcomes of further versions by key."""
    held = {"new": outcome, **others}
    return {
        "outcome": outcome,
        "arm": "new",
        "reasons": [reason],
        "complete": complete,
        "arms": [{"key": key, "outcome": out, "reasons": [reason]} for key, out in held.items()],
    }


def no_chance() -> Piece:
    """Chances below the floor, with what stopping saves."""
    return make_futility(
        at_worthwhile=0.04,
        at_trend=0.004,
        predictive=0.03,
        is_futile=True,
        saved_days=19.2,
        saved_units=41300,
        reason="Going on would hardly show a worthwhile effect by the deadline.",
    )


def whole_metrics() -> list[Body]:
    """One guardrail judged on all so far, one on the matured, and a goal with its chances."""
    contacts = make_metric(
        control=(33020, 2476.0),
        treatment=(7904, 610.0),
        interval=(-0.03, 0.09),
        finding="unknown",
        limit=0.05,
        needs="about 6,000 more customers",
        settles=make_settles(),
        matured=make_part(
            (9100, 2210),
            (-0.02, -0.09, 0.07),
            "So far 2.9 % more; of those whose 7 days are complete, 2 % less "
            "(between 9 % less and 7 % more).",
        ),
        matured_only=False,
        so_far=None,
        adjusted=make_adjusted(0.024, -0.02, 0.07),
    )
    repeats = make_metric(
        "repeats",
        "Had to contact us again",
        control=(8000, 1000.0),
        treatment=(2000, 237.5),
        interval=(-0.12, 0.03),
        finding="safe",
        limit=0.15,
        matured=make_part(
            (8000, 2000),
            (-0.05, -0.12, 0.03),
            "So far 14 % less; of those whose 28 days are complete, 5 % less "
            "(between 12 % less and 3 % more).",
        ),
        matured_only=True,
        so_far=make_part((31200, 7700), (-0.14, -0.20, -0.08)),
        adjusted=make_adjusted(None, reason="too few events for an adjusted interval"),
    )
    goal = make_goal(
        needs="about 14,000 more customers",
        settles=make_settles(14000, "safe", None),
        futility=make_futility(),
    )
    return [contacts, repeats, goal]
