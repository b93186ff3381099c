"""Tolerances as JSON: the form that plans hash and the store keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.effect import Scale
from rollouts.tolerances.model import Action, Budget, BudgetRule, Goal, Guardrail, Method


def guardrail_to_dict(guardrail: Guardrail) -> dict[str, Any]:
    """A guardrail as plain JSON; `guardrail_from_dict` gives an equal one back."""
    budget = guardrail.budget
    return {
        "metric": guardrail.metric,
        "margin": guardrail.margin,
        "scale": guardrail.scale.value,
        "action": guardrail.action.value,
        "weight": guardrail.weight,
        "budget": budget_to_dict(budget) if budget else None,
        "reason": guardrail.reason,
        "matured_only": guardrail.matured_only,
        "method": guardrail.method.value,
    }


def budget_to_dict(budget: Budget) -> dict[str, Any]:
    """A harm budget as plain JSON."""
    return {"amount": budget.amount, "hold_at": budget.hold_at, "rule": budget.rule.value}


def guardrail_from_dict(held: Mapping[str, Any]) -> Guardrail:
    """The guardrail that `guardrail_to_dict` wrote."""
    budget = held["budget"]
    return Guardrail(
        metric=held["metric"],
        margin=held["margin"],
        scale=Scale(held["scale"]),
        action=Action(held["action"]),
        weight=held["weight"],
        budget=Budget(budget["amount"], budget["hold_at"], BudgetRule(budget["rule"]))
        if budget
        else None,
        reason=held["reason"],
        matured_only=held.get("matured_only", False),
        method=Method(held.get("method", Method.SHARE)),
    )


def goal_to_dict(goal: Goal) -> dict[str, Any]:
    """A goal as plain JSON."""
    return {"metric": goal.metric, "smallest_worthwhile": goal.smallest_worthwhile}


def goal_from_dict(held: Mapping[str, Any]) -> Goal:
    """The goal that `goal_to_dict` wrote."""
    return Goal(held["metric"], held["smallest_worthwhile"])
