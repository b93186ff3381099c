"""The plan: what is written down before the first customer, then hashed and locked."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from analysis.effect import Scale
from rollouts.accounts.model import Role
from rollouts.errors import Fault, Invalid
from rollouts.lifecycle.model import Stage, Variation, check_ramp, check_variations
from rollouts.metrics.model import Definition, Statistic
from rollouts.tolerances.codec import (
    goal_from_dict,
    goal_to_dict,
    guardrail_from_dict,
    guardrail_to_dict,
)
from rollouts.tolerances.exact import ONLY, why_not_exact
from rollouts.tolerances.model import Goal, Guardrail, Method

METHOD = "share test with error spending; see analysis/stoploss.py"
EXACT = "exact e-process; see analysis/exact.py"
DEFAULT_PLANNED_UNITS = 20_000
NO_PERCENTAGE = (Statistic.GRADE, Statistic.NPS)  # they have no control level to be a share of


@dataclass(frozen=True, slots=True)
class Draft:
    """All that a person decides about a rollout before it starts."""

    key: str
    name: str
    hypothesis: str
    owner: str
    flag: str
    environment: str
    unit: str
    variations: tuple[Variation, ...]
    control: str
    ramp: tuple[Stage, ...]
    goals: tuple[Goal, ...]
    guardrails: tuple[Guardrail, ...]
    condition: dict[str, Any] | None = None
    alpha: float = 0.05
    look_every_seconds: float | None = None
    planned_units: int = DEFAULT_PLANNED_UNITS
    deadline: datetime | None = None
    may_override: Role = Role.ADMIN
    futility_floor: float | None = None  # chance of a worthwhile effect; None: never futile
    segments: tuple[str, ...] = ()  # attributes by which effects are also shown
    adjust_by: tuple[str, ...] = ()  # of those, the ones by which effects are also adjusted

    def __post_init__(self) -> None:
        check_variations(self.variations, self.control)
        check_ramp(self.ramp)
        faults = tuple(_faults_of(self))
        if faults:
            raise Invalid(f"The plan does not fit: {faults[0].problem}.", faults=faults)

    @property
    def treatments(self) -> tuple[Variation, ...]:
        """All variations but control."""
        return tuple(item for item in self.variations if item.key != self.control)

    @property
    def metric_keys(self) -> tuple[str, ...]:
        """Every metric the plan counts, guardrails first."""
        rails = [item.metric for item in self.guardrails]
        return (*rails, *(item.metric for item in self.goals))


def _faults_of(draft: Draft) -> list[Fault]:
    faults = []
    if not 0 < draft.alpha <= 0.2:
        faults.append(Fault("alpha", "alpha must be above 0 and at most 0.2"))
    if draft.look_every_seconds is not None and draft.look_every_seconds < 1:
        faults.append(Fault("look_every_seconds", "looks cannot be closer than a second"))
    if draft.planned_units < 100:
        faults.append(Fault("planned_units", "a plan for under 100 customers can show nothing"))
    if draft.futility_floor is not None and not 0 <= draft.futility_floor <= 0.5:
        faults.append(Fault("futility_floor", "a chance to give up at lies between 0 and 0.5"))
    keys = draft.metric_keys
    repeated = sorted({key for key in keys if keys.count(key) > 1})
    if repeated:
        faults.append(Fault("guardrails", f"{repeated[0]!r} is named twice; once is enough"))
    if len(set(draft.segments)) != len(draft.segments):
        faults.append(Fault("segments", "a segment is named twice"))
    strange = [name for name in draft.adjust_by if name not in draft.segments]
    if strange:
        faults.append(
            Fault(
                "adjust_by",
                f"{strange[0]!r} is not among the segments, whose values are kept from the first "
                "exposure: an effect is adjusted only by what the change cannot have touched",
            )
        )
    if len(set(draft.adjust_by)) != len(draft.adjust_by):
        faults.append(Fault("adjust_by", "an attribute is named twice"))
    if not draft.unit:
        faults.append(Fault("unit", "name the attribute that is randomised, such as id"))
    return faults


@dataclass(frozen=True, slots=True)
class LockedMetric:
    """A metric's name and the very version a plan counts."""

    key: str
    name: str
    version_id: int
    version: int
    definition: Definition
    definition_json: dict[str, Any]


def lock(draft: Draft, metrics: Mapping[str, LockedMetric]) -> dict[str, Any]:
    """The body of a plan: the draft, with every definition as it stands now."""
    _check_metrics(draft, metrics)
    body = draft_to_dict(draft)
    exact = [item.metric for item in draft.guardrails if item.method is Method.EXACT]
    body["method"] = f"{METHOD}. {', '.join(exact)}: {EXACT}" if exact else METHOD
    body["trust"] = "server write keys; browser keys only where a metric allows untrusted events"
    body["metrics"] = [
        {
            "key": key,
            "name": metrics[key].name,
            "metric_version_id": metrics[key].version_id,
            "version": metrics[key].version,
            "definition": metrics[key].definition_json,
        }
        for key in draft.metric_keys
    ]
    return body


def _check_metrics(draft: Draft, metrics: Mapping[str, LockedMetric]) -> None:
    for guardrail in draft.guardrails:
        definition = metrics[guardrail.metric].definition
        is_mean = definition.statistic is Statistic.MEAN
        if guardrail.scale is Scale.RELATIVE and definition.allow_negative:
            raise Invalid(
                f"{guardrail.metric!r} can be negative, so a relative margin has no meaning. "
                "Give an absolute margin."
            )
        if guardrail.scale is Scale.RELATIVE and definition.harm_sign < 0 and guardrail.margin >= 1:
            raise Invalid(
                f"{guardrail.metric!r} cannot fall by its whole level or more, so such a limit "
                "protects nobody. Give a margin below 1.",
                faults=(Fault("guardrails.margin", "must be below 1 where less is worse"),),
            )
        if guardrail.scale is Scale.RELATIVE and definition.statistic in NO_PERCENTAGE:
            raise Invalid(
                f"{guardrail.metric!r} is a difference of chances, so a relative margin has no "
                "meaning. Give an absolute margin, such as 0.02."
            )
        if guardrail.scale is Scale.ABSOLUTE and is_mean and definition.aggregation.has_denominator:
            raise Invalid(f"{guardrail.metric!r} is a ratio: give it a relative margin.")
        why = why_not_exact(definition) if guardrail.method is Method.EXACT else ""
        if why:
            raise Invalid(
                f"{guardrail.metric!r} cannot be judged by the exact test: {why}. {ONLY}.",
                faults=(Fault("guardrails.method", why),),
            )
        if guardrail.matured_only and (definition.window is None or not is_mean):
            raise Invalid(
                f"{guardrail.metric!r} cannot be judged on matured customers: that needs a window "
                "after first exposure, and a comparison of means.",
                faults=(Fault("guardrails.matured_only", "needs a metric with a window"),),
            )
        if guardrail.budget and (definition.aggregation.has_denominator or not is_mean):
            raise Invalid(
                f"{guardrail.metric!r} is no plain count or sum: it does not add up to an amount of harm. "
                "Give the budget to a count."
            )


def canonical(body: Mapping[str, Any]) -> bytes:
    """The one text of a plan: sorted keys, no blanks, UTF-8."""
    return json.dumps(body, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def plan_hash(body: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical text, in hex."""
    return hashlib.sha256(canonical(body)).hexdigest()


def draft_to_dict(draft: Draft) -> dict[str, Any]:
    """A draft as plain JSON; `draft_from_dict` gives an equal one back."""
    return {
        "key": draft.key,
        "name": draft.name,
        "hypothesis": draft.hypothesis,
        "owner": draft.owner,
        "flag": draft.flag,
        "environment": draft.environment,
        "unit": draft.unit,
        "variations": [
            {"key": v.key, "name": v.name, "value": v.value, "share": v.share}
            for v in draft.variations
        ],
        "control": draft.control,
        "ramp": [{"share": s.share, "hold_seconds": s.hold.total_seconds()} for s in draft.ramp],
        "goals": [goal_to_dict(item) for item in draft.goals],
        "guardrails": [guardrail_to_dict(item) for item in draft.guardrails],
        "condition": draft.condition,
        "alpha": draft.alpha,
        "look_every_seconds": draft.look_every_seconds,
        "planned_units": draft.planned_units,
        "deadline": draft.deadline.isoformat() if draft.deadline else None,
        "futility_floor": draft.futility_floor,
        "may_override": draft.may_override.value,
        "segments": list(draft.segments),
        "adjust_by": list(draft.adjust_by),
    }


def draft_from_dict(held: Mapping[str, Any]) -> Draft:
    """The draft that `draft_to_dict` wrote, or that a locked plan holds."""
    return Draft(
        key=held["key"],
        name=held["name"],
        hypothesis=held["hypothesis"],
        owner=held["owner"],
        flag=held["flag"],
        environment=held["environment"],
        unit=held["unit"],
        variations=tuple(
            Variation(v["key"], v["name"], v["value"], v["share"]) for v in held["variations"]
        ),
        control=held["control"],
        ramp=tuple(Stage(s["share"], timedelta(seconds=s["hold_seconds"])) for s in held["ramp"]),
        goals=tuple(goal_from_dict(item) for item in held["goals"]),
        guardrails=tuple(guardrail_from_dict(item) for item in held["guardrails"]),
        condition=held["condition"],
        alpha=held["alpha"],
        look_every_seconds=held["look_every_seconds"],
        planned_units=held["planned_units"],
        deadline=datetime.fromisoformat(held["deadline"]) if held["deadline"] else None,
        futility_floor=held.get("futility_floor"),  # plans locked before had none
        may_override=Role(held["may_override"]),
        segments=tuple(held["segments"]),
        adjust_by=tuple(held.get("adjust_by", ())),
    )
