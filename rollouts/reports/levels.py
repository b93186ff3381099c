"""How a metric's levels and effects are told: as shares, times or numbers, each kind in its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from rollouts.web import formatting as say

Body = Mapping[str, Any]
Teller = Callable[[float], str]
SCORES = ("grade", "nps")  # their effects are chances: shares of one, whatever control's level
SHARES = ("top_box", "low_box")


def teller(metric: Body, is_relative: bool) -> Teller:
    """How the metric's effects are told, in the one scale or the other."""
    if is_relative:
        return say.change
    match metric.get("form") or ("share" if metric["aggregation"] == "any" else "number"):
        case "share":
            return say.points
        case "seconds":
            return _time
    return lambda value: say.signed(say.number(value))


def _time(seconds: float) -> str:
    sign = say.MINUS if seconds < 0 else "+" if seconds > 0 else ""
    return f"{sign}{say.duration(abs(seconds))}"


def rates(metric: Body, units: tuple[str, str]) -> tuple[str, str, str]:
    """Old and new level of a metric, and what they are counted per."""
    levels = metric.get("levels")
    if levels:
        show = _level_teller(metric)
        return show(levels["control"]), show(levels["treatment"]), levels["note"]
    old, new = metric["control"]["mean"], metric["treatment"]["mean"]
    one, many = units
    leading = old if old is not None else new
    match metric["aggregation"]:
        case "any" if leading is None or leading >= 0.1:
            return say.exact_share(old), say.exact_share(new), f"of {many}"
        case "any" | "count" if leading is not None and leading < 1:
            per = (say.number(v * 1000 if v is not None else None) for v in (old, new))
            return (*per, f"per 1,000 {many}")  # type: ignore[return-value]
        case "ratio":
            return say.number(old), say.number(new), "a ratio"
    return say.number(old), say.number(new), f"per {one}"


def _level_teller(metric: Body) -> Callable[[float | None], str]:
    match metric.get("statistic"):
        case "time":
            return say.duration
        case "nps":
            return say.points
        case held if held in SHARES:
            return say.exact_share
    return say.number


def base_of(metric: Body) -> float:
    """What an absolute effect is put over to share an axis with relative ones; 0 for nothing."""
    if metric.get("statistic") in SCORES:
        return 1.0
    levels = metric.get("levels")
    level = levels["control"] if levels else metric["control"]["mean"]
    return abs(float(level or 0.0))
