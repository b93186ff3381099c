"""Effects, checks and tests as plain data for JSON, text and page alike."""

from __future__ import annotations

from typing import Any

from analysis.effect import Effect, Undecided
from analysis.quality import Check, Evidence


def effect_data(effect: Effect | Undecided) -> dict[str, Any] | None:
    """An effect with its interval, method and assumptions; None where there is none."""
    if isinstance(effect, Undecided):
        return None
    return {
        "estimate": effect.estimate,
        "low": effect.low,
        "high": effect.high,
        "level": effect.level,
        "p_value": effect.p_value,
        "validity": effect.validity.value,
        "method": effect.method,
        "assumptions": list(effect.assumptions),
        "n_control": effect.n_control,
        "n_treatment": effect.n_treatment,
    }


def pair_data(absolute: Effect | Undecided, relative: Effect | Undecided) -> dict[str, Any]:
    """Both scales of an effect, and why one of them is missing."""
    undecided = next((e for e in (absolute, relative) if isinstance(e, Undecided)), None)
    return {
        "absolute": effect_data(absolute),
        "relative": effect_data(relative),
        "undecided": undecided_data(undecided),
        "p_value_corrected": None,
    }


def undecided_data(why: Undecided | None) -> dict[str, str] | None:
    """Why there is no number, and what would settle it."""
    return None if why is None else {"reason": why.reason, "needs": why.needs}


def check_data(check: Check) -> dict[str, Any]:
    """One look at the quality of the data."""
    return {
        "name": check.name,
        "state": check.state.value,
        "reason": check.reason,
        "p_value": check.p_value,
        "needs": check.needs,
    }


def grade_data(evidence: Evidence) -> dict[str, Any]:
    """How far the result may be relied upon, with every reason."""
    return {"grade": evidence.grade.value, "reasons": list(evidence.reasons)}


def test_data(tests: dict[str, float | Undecided]) -> list[dict[str, Any]]:
    """Classical tests beside an effect."""
    return [
        {"name": name, "p_value": None, "undecided": undecided_data(held)}
        if isinstance(held, Undecided)
        else {"name": name, "p_value": held, "undecided": None}
        for name, held in tests.items()
    ]
