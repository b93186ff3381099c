"""Who answered a survey, and what those who did not could change at most; from the snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rollouts.reports.levels import Body, teller
from rollouts.web import formatting as say


@dataclass(frozen=True, slots=True)
class Answers:
    """One survey of one version, in words."""

    name: str
    asked: str  # whom the shares are of
    old: str
    old_more: str
    new: str
    new_more: str
    difference: str
    among: str  # those who answered
    extremes: str  # whatever the others would have said
    outer: str
    turns: str  # what the silent would have to have said for no difference
    why_not: str


def surveys_of(body: Body, arm: str) -> list[Answers]:
    """Every survey among one version's metrics."""
    metrics = next(held["metrics"] for held in body["arms"] if held["key"] == arm)
    return [_answers(metric) for metric in metrics if metric.get("survey")]


def _answers(metric: Body) -> Answers:
    held = metric["survey"]
    bounds = held["bounds"]
    tell = teller(metric, is_relative=False)
    old, new = held["control"], held["treatment"]
    needs = f"; needs {held['needs']}" if held["needs"] else ""
    return Answers(
        name=metric["name"],
        asked="everybody who met a version" if held["is_everybody"] else "those who were asked",
        old=say.percent(old["rate"]),
        old_more=_more(old),
        new=say.percent(new["rate"]),
        new_more=_more(new),
        difference=_difference(held["difference"]),
        among=tell(bounds["among_answers"]) if bounds else "",
        extremes=f"{tell(bounds['low'])} to {tell(bounds['high'])}" if bounds else "",
        outer=f"{tell(bounds['outer_low'])} to {tell(bounds['outer_high'])}" if bounds else "",
        turns=_turns(metric, bounds),
        why_not="" if bounds else f"{held['reason'].rstrip('.')}{needs}",
    )


def _more(rate: Body) -> str:
    if rate["rate"] is None:
        return "nobody was asked"
    interval = f"{say.percent(rate['low'])} to {say.percent(rate['high'])}"
    return f"{interval}; {say.count(rate['answered'])} of {say.count(rate['asked'])}"


def _difference(held: Body | None) -> str:
    if held is None:
        return "too few were asked to compare"
    between = f"({say.points(held['low'])} to {say.points(held['high'])})"
    return f"{say.points(held['estimate'])} {say.together(between)}"


def _turns(metric: Body, bounds: Any) -> str:
    """Only of plain grades: of what is a share already the number says nothing to a reader."""
    is_grade = metric.get("statistic") == "mean"
    if not bounds or bounds["tipping_point"] is None or not is_grade:
        return ""
    grade = say.number(bounds["tipping_point"])
    return f"It vanishes if those silent on the new version would have given {grade} on average."
