"""What the API takes for a rollout, and how it shows one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, JsonValue

from analysis.effect import Scale
from rollouts.accounts.model import Role
from rollouts.lifecycle.model import Stage, Variation
from rollouts.lifecycle.plan import DEFAULT_PLANNED_UNITS, Draft
from rollouts.lifecycle.store import PlanRow, RolloutRow, TimelineRow
from rollouts.tolerances.bodies import METHOD, BudgetBody
from rollouts.tolerances.model import Action, Goal, Guardrail, Method

KEY = r"^[a-zA-Z0-9_.:|-]+$"


class Body(BaseModel):
    """Fields are named; a misspelt one is refused, not ignored."""

    model_config = ConfigDict(extra="forbid")


class VariationBody(Body):
    """One version of the experience."""

    key: str = Field(pattern=KEY, max_length=200)
    name: str = Field("", max_length=200)
    value: JsonValue = Field(description="What the flag serves: JSON of the flag's kind.")
    share: float = Field(gt=0, le=1, description="Of the covered traffic; all sum to 1.")


class StageBody(Body):
    """One step of the ramp."""

    share: float = Field(gt=0, le=1, description="Of eligible units.")
    hold_seconds: float = Field(0, ge=0, le=366 * 86_400, description="Held at least so long.")


class GuardrailBody(Body):
    """One metric and how much worse it may become. Left out, the organisation's tolerance holds."""

    metric: str = Field(max_length=200)
    margin: float | None = Field(
        None, gt=0, description="0.1 relative: at most 10 % worse. Empty: the organisation's."
    )
    scale: Scale = Scale.RELATIVE
    action: Action = Action.WITHDRAW
    weight: float = Field(1.0, gt=0)
    budget: BudgetBody | None = None
    matured_only: bool = Field(
        False,
        description="Judge only customers whose window is complete: for a change that may move "
        "when outcomes arrive.",
    )
    method: Method = Field(Method.SHARE, description=METHOD)
    reason: str = Field("", max_length=10_000)

    def to_domain(self, policy: Guardrail | None) -> Guardrail | None:
        """The guardrail this body describes; None if nobody gave a margin."""
        if self.margin is None:
            return policy
        return Guardrail(
            metric=self.metric,
            margin=self.margin,
            scale=self.scale,
            action=self.action,
            weight=self.weight,
            budget=self.budget.to_domain() if self.budget else None,
            reason=self.reason,
            matured_only=self.matured_only,
            method=self.method,
        )


class GoalBody(Body):
    """What the change is for."""

    metric: str = Field(max_length=200)
    smallest_worthwhile: float | None = Field(
        None, gt=0, description="The least that would be worth it, as a share of control."
    )


class PlanBody(Body):
    """All that is decided before the first customer."""

    name: str = Field(min_length=1, max_length=200)
    hypothesis: str = Field("", max_length=10_000)
    owner: str = Field("", max_length=200, description="Empty: whoever sends it.")
    flag: str = Field(max_length=200)
    environment: str = Field("production", max_length=200)
    unit: str = Field("id", min_length=1, max_length=200, description="The attribute randomised.")
    variations: list[VariationBody] = Field(min_length=2, max_length=20)
    control: str = Field("control", max_length=200)
    ramp: list[StageBody] = Field(
        default_factory=lambda: [StageBody(share=1.0, hold_seconds=0)], min_length=1, max_length=50
    )
    goals: list[GoalBody] = Field(default_factory=list, max_length=200)
    guardrails: list[GuardrailBody] = Field(default_factory=list, max_length=200)
    condition: dict[str, Any] | None = Field(
        None, description="Whom it concerns, in GrowthBook's condition language."
    )
    alpha: float = Field(0.05, gt=0, le=0.2, description="Chance of a false stop, all told.")
    look_every_seconds: float | None = Field(None, ge=1, le=30 * 86_400)
    planned_units: int = Field(
        DEFAULT_PLANNED_UNITS, ge=100, description="Customers expected by the end; paces alpha."
    )
    deadline: datetime | None = None
    futility_floor: float | None = Field(
        None,
        ge=0,
        le=0.5,
        description="Chance to still show the smallest worthwhile effect below which going on "
        "is called futile. Empty: never.",
    )
    may_override: Role = Role.ADMIN
    segments: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default_factory=list,
        max_length=10,
        description="Attributes, sent with the exposure, by which effects are also shown.",
    )
    adjust_by: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(
        default_factory=list,
        max_length=3,
        description="Of the segments, those by which effects are also adjusted: customers are "
        "compared with their like. They must be known before the change is met, so they must be "
        "kept since the start. For information; verdicts rest on the unadjusted sums.",
    )

    def to_domain(self, key: str, owner: str, guardrails: tuple[Guardrail, ...]) -> Draft:
        """The draft this body describes."""
        return Draft(
            key=key,
            name=self.name,
            hypothesis=self.hypothesis,
            owner=self.owner or owner,
            flag=self.flag,
            environment=self.environment,
            unit=self.unit,
            variations=tuple(
                Variation(v.key, v.name or v.key, v.value, v.share) for v in self.variations
            ),
            control=self.control,
            ramp=tuple(Stage(s.share, timedelta(seconds=s.hold_seconds)) for s in self.ramp),
            goals=tuple(Goal(g.metric, g.smallest_worthwhile) for g in self.goals),
            guardrails=guardrails,
            condition=self.condition,
            alpha=self.alpha,
            look_every_seconds=self.look_every_seconds,
            planned_units=self.planned_units,
            deadline=_aware(self.deadline),
            futility_floor=self.futility_floor,
            may_override=self.may_override,
            segments=tuple(self.segments),
            adjust_by=tuple(self.adjust_by),
        )


class NewRolloutBody(PlanBody):
    """A plan with the key it gets."""

    key: str = Field(pattern=KEY, max_length=200)


class NewPlanBody(PlanBody):
    """A changed plan for a rollout that runs, and why."""

    reason: str = Field(min_length=1, max_length=10_000)


class ReasonBody(Body):
    """Why."""

    reason: str = Field("", max_length=10_000)


class KeyPath(BaseModel):
    """Which rollout."""

    key: str = Field(max_length=200)


def shown(row: RolloutRow, plans: list[PlanRow]) -> dict[str, Any]:
    """A rollout as the API shows it: what holds now, and under which hash."""
    plan = plans[-1] if plans else None
    return {
        **(plan.body if plan else row.draft),
        "key": row.key,
        "state": row.state.value,
        "revision": row.revision,
        "stage": row.stage,
        "stage_entered_at": _iso(row.stage_entered_at),
        "hold_reason": row.hold_reason,
        "created_at": _iso(row.created_at),
        "started_at": _iso(row.started_at),
        "ended_at": _iso(row.ended_at),
        "next_look_at": _iso(row.next_look_at),
        "plan": plan_shown(plan) if plan else None,
    }


def plan_shown(plan: PlanRow) -> dict[str, Any]:
    """A locked plan's particulars."""
    return {
        "version": plan.version,
        "hash": plan.hash,
        "locked_at": _iso(plan.locked_at),
        "locked_by": plan.locked_by,
        "reason": plan.reason,
    }


def event_shown(row: TimelineRow) -> dict[str, Any]:
    """One line of the timeline."""
    return {"at": _iso(row.at), "kind": row.kind, "actor": row.actor, "sentence": row.sentence}


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None


def _aware(at: datetime | None) -> datetime | None:
    return at.replace(tzinfo=UTC) if at is not None and at.tzinfo is None else at
