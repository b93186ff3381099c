"""What is tolerated: a margin for every guardrail, and a budget of harm in customers' units."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import isfinite

from analysis.effect import Scale
from rollouts.errors import Fault, Invalid


class Action(StrEnum):
    """What a finding of harm may do, from least to most."""

    OBSERVE = "observe"
    WARN = "warn"
    HOLD = "hold"
    WITHDRAW = "withdraw"

    @property
    def rank(self) -> int:
        """Place on the ladder, 0 for the least."""
        return list(Action).index(self)


class BudgetRule(StrEnum):
    """When a budget counts as spent."""

    ESTABLISHED = "established"  # harm is certain (lower limit above 0), the estimate at the budget
    STRICT = "strict"  # the lower limit itself is at the budget


class Method(StrEnum):
    """By which test a guardrail is judged."""

    SHARE = "share"  # the stop-loss: for every kind of metric, calibrated by simulation
    EXACT = "exact"  # an e-process: shares of customers and Poisson counts only, slower


@dataclass(frozen=True, slots=True)
class Budget:
    """The most harm that may be done, counted in the customer's own units."""

    amount: float
    hold_at: float = 0.6  # share of the amount at which the ramp holds
    rule: BudgetRule = BudgetRule.ESTABLISHED

    def __post_init__(self) -> None:
        faults = []
        if not (isfinite(self.amount) and self.amount > 0):
            faults.append(Fault("budget.amount", "a harm budget must be above 0"))
        if not 0 < self.hold_at <= 1:
            faults.append(Fault("budget.hold_at", "must be above 0 and at most 1"))
        if faults:
            raise Invalid(
                f"The harm budget does not fit: {faults[0].problem}.", faults=tuple(faults)
            )


@dataclass(frozen=True, slots=True)
class Guardrail:
    """One metric, and how much worse it may become."""

    metric: str
    margin: float  # above 0: a share of control (relative) or the metric's own units (absolute)
    scale: Scale = Scale.RELATIVE
    action: Action = Action.WITHDRAW
    weight: float = 1.0  # its part of alpha, by importance
    budget: Budget | None = None
    reason: str = ""  # why this much
    matured_only: bool = False  # judge only customers whose window is complete
    method: Method = Method.SHARE

    def __post_init__(self) -> None:
        faults = []
        if not (isfinite(self.margin) and self.margin > 0):
            faults.append(Fault("margin", "a margin must be above 0: how much worse is tolerated"))
        if not (isfinite(self.weight) and self.weight > 0):
            faults.append(Fault("weight", "a weight must be above 0"))
        if self.method is Method.EXACT and self.scale is not Scale.RELATIVE:
            faults.append(Fault("method", "the exact test needs a relative margin"))
        if faults:
            raise Invalid(
                f"The tolerance for {self.metric!r} does not fit: {faults[0].problem}.",
                faults=tuple(faults),
            )


@dataclass(frozen=True, slots=True)
class Goal:
    """What the change is for, and the least that would be worth it."""

    metric: str
    smallest_worthwhile: float | None = None  # as a share of control


def split_alpha(alpha: float, guardrails: tuple[Guardrail, ...], n_arms: int) -> dict[str, float]:
    """Each guardrail's part of alpha for one treatment arm; the parts sum to alpha.

    >>> split_alpha(0.05, (Guardrail("a", 0.1), Guardrail("b", 0.1, weight=4.0)), 1)["b"]
    0.04
    """
    total = sum(item.weight for item in guardrails)
    return {item.metric: alpha * item.weight / total / n_arms for item in guardrails}
