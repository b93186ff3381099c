"""A forecast as the API and the pages show it, and what it says should be settled first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from analysis.duration import Duration
from analysis.effect import Undecided
from analysis.operating import Simulated
from analysis.power import SampleSize
from rollouts.lifecycle.course import A_DAY, Course
from rollouts.lifecycle.forecast import RailForecast, Truth
from rollouts.lifecycle.goals import POWER, GoalForecast
from rollouts.lifecycle.plan import Draft
from rollouts.metrics.model import Definition
from rollouts.tolerances.model import Guardrail, Method
from rollouts.words import count, percent

CAUGHT = 0.8  # of rollouts with twice the tolerated harm; below it the plan says so
Shown = Mapping[str, Any]

ALIKE = (
    "Customers differ from one another as much as they did where the level was measured, and "
    "harm hits all alike."
)
AT_ONCE = (
    "Outcomes are counted as soon as customers come; where they take days, a stop comes as many "
    "days later."
)
LOOKS = (
    "Looked at {looks} times in the simulation; looking more often stops a little sooner and no "
    "more often wrongly."
)
EXACT = (
    "{names}: simulated with the exact test that the plan asks for, on customers who keep to what "
    "it takes for granted; the figures are its own, not the share test's."
)
LEFT_OUT = "Budgets, holds and people are left out: they can only stop it sooner."


class Counted(Protocol):
    """A metric's name and what it counts."""

    @property
    def name(self) -> str:
        """As people call it."""

    @property
    def definition(self) -> Definition:
        """What it counts."""


class Given(Protocol):
    """Traffic, and where it is known from."""

    @property
    def source(self) -> str:
        """In words."""


def rail(found: RailForecast, limit: Guardrail, metric: Counted) -> dict[str, Any]:
    """One guardrail's forecast as plain JSON."""
    budget = limit.budget.amount if limit.budget else None
    return {
        "metric": found.metric,
        "name": metric.name,
        "arms": list(found.arms),
        "alpha": found.alpha,
        "limit": limit.margin,
        "limit_scale": limit.scale.value,
        "action": limit.action.value,
        "method": limit.method.value,
        "harm_unit": metric.definition.harm_unit,
        "sign": metric.definition.harm_sign,
        "budget": budget,
        "undecided": undecided(found.undecided),
        "truths": [_truth(item, budget) for item in found.truths],
    }


def _truth(item: Truth, budget: float | None) -> dict[str, Any]:
    return {
        "multiple": item.multiple,
        "harm": item.harm,
        "stopped": simulated(item.stopped),
        "exposed": simulated(item.exposed),
        "spent": simulated(item.spent),
        "is_over_budget": budget is not None and item.spent.value > budget,
    }


def simulated(held: Simulated) -> dict[str, float]:
    """A figure with its 95 % Monte-Carlo interval."""
    return {"value": held.value, "low": held.low, "high": held.high}


def goal(found: GoalForecast, name: str) -> dict[str, Any]:
    """One goal's forecast as plain JSON."""
    is_known = not isinstance(found.detectable, Undecided)
    return {
        "metric": found.metric,
        "name": name,
        "method": found.method,
        "power": POWER,
        "detectable": found.detectable if is_known else None,
        "worthwhile": found.worthwhile,
        "size": _size(found.size),
        "days": found.lasts.total / A_DAY if isinstance(found.lasts, Duration) else None,
        "dearer": found.dearer,
        "undecided": _first_undecided(found),
    }


def _first_undecided(found: GoalForecast) -> dict[str, str] | None:
    for item in (found.detectable, found.size, found.lasts):
        if isinstance(item, Undecided):
            return undecided(item)
    return None


def _size(size: SampleSize | Undecided | None) -> dict[str, int] | None:
    if not isinstance(size, SampleSize):
        return None
    return {"control": size.n_control, "treatment": size.n_treatment, "total": size.total}


def undecided(held: Undecided | None) -> dict[str, str] | None:
    """Why there is no number, and what would give one."""
    return None if held is None else {"reason": held.reason, "needs": held.needs}


def to_settle(rails: Sequence[Shown]) -> list[str]:
    """What a careful owner settles before locking, as sentences."""
    return [said for item in rails for said in _of_rail(item)]


def _of_rail(item: Shown) -> list[str]:
    if item["undecided"]:
        needs = item["undecided"]["needs"]
        more = f" What would help: {needs}." if needs else ""
        return [f"{item['name']}: {item['undecided']['reason']}.{more}"]
    found = []
    double = next((t for t in item["truths"] if t["multiple"] == 2), None)
    if double is not None and double["stopped"]["value"] < CAUGHT:
        found.append(
            f"{item['name']}: a change twice as harmful as tolerated is caught in only "
            f"{percent(double['stopped']['value'])} of rollouts. More customers, a longer plan or "
            "a wider limit would catch it more often."
        )
    dear = next((t for t in item["truths"] if t["is_over_budget"]), None)
    if dear is not None:
        found.append(
            f"{item['name']}: if it truly gets {percent(dear['harm'])} worse, about "
            f"{count(dear['spent']['value'])} {item['harm_unit']} are expected before harm is "
            f"shown, more than the budget of {count(item['budget'])}: the budget would hold or "
            "withdraw it first."
        )
    return found


def assumptions(draft: Draft, course: Course, traffic: Given | None) -> list[str]:
    """What the figures rest on, in plain words."""
    held = [ALIKE, AT_ONCE, LOOKS.format(looks=course.looks), LEFT_OUT]
    if traffic is None:
        held.append(
            f"Nobody knows how many customers come on a day, so all {count(course.units)} of the "
            "plan come in one stage, and days are not told."
        )
    else:
        held.append(
            "Every day as many new customers come as on the first, and each stage of the ramp is "
            f"held as long as planned ({len(draft.ramp)} in all)."
        )
    exact = [item.metric for item in draft.guardrails if item.method is Method.EXACT]
    if exact:
        held.append(EXACT.format(names=", ".join(exact)))
    if len(draft.guardrails) > 1:
        held.append("Each guardrail is looked at by itself, with its own part of the error rate.")
    return held
