"""What the API takes for a tolerance."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from analysis.effect import Scale
from rollouts.tolerances.model import Action, Budget, BudgetRule, Guardrail, Method

METHOD = (
    "`share`: the stop-loss, for every kind of metric. `exact`: an always-valid e-process that holds "
    "its error rate with no approximation, for shares of customers and for counts that vary as "
    "chance alone makes them (Poisson); it needs more customers. Refused for anything else."
)


class BudgetBody(BaseModel):
    """The most harm that may be done, in the customer's own units."""

    model_config = ConfigDict(extra="forbid")

    amount: float = Field(gt=0, description="For example 200: at most 200 extra contacts.")
    hold_at: float = Field(0.6, gt=0, le=1, description="Share of it at which the ramp holds.")
    rule: BudgetRule = Field(
        BudgetRule.ESTABLISHED,
        description="`established`: harm is certain and its estimate reached the amount; "
        "`strict`: the lower limit itself reached it.",
    )

    def to_domain(self) -> Budget:
        """The budget this body describes."""
        return Budget(self.amount, self.hold_at, self.rule)


class ToleranceBody(BaseModel):
    """How much worse a metric may become."""

    model_config = ConfigDict(extra="forbid")

    margin: float = Field(gt=0, description="0.1 relative: at most 10 % worse than control.")
    scale: Scale = Scale.RELATIVE
    action: Action = Action.WITHDRAW
    weight: float = Field(1.0, gt=0, description="Its part of alpha, by importance.")
    budget: BudgetBody | None = None
    reason: str = Field("", max_length=10_000, description="Why this much.")
    matured_only: bool = Field(
        False,
        description="Judge only customers whose window is complete: for a change that may move "
        "when outcomes arrive.",
    )
    method: Method = Field(Method.SHARE, description=METHOD)
    owner: str = Field("", max_length=200)

    def to_domain(self, metric: str) -> Guardrail:
        """The guardrail this body describes for a metric."""
        return Guardrail(
            metric=metric,
            margin=self.margin,
            scale=self.scale,
            action=self.action,
            weight=self.weight,
            budget=self.budget.to_domain() if self.budget else None,
            reason=self.reason,
            matured_only=self.matured_only,
            method=self.method,
        )
