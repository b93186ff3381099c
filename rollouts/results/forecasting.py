"""A plan's forecast: baselines from what earlier rollouts measured, then the simulation.

Reading the store and simulating are two steps, so that no transaction waits for the simulation.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from hashlib import sha256
from threading import Lock
from typing import Any

from sqlalchemy.orm import Session

from analysis.effect import Scale
from analysis.stoploss import Kind
from rollouts.errors import Fault, Invalid, Unavailable
from rollouts.lifecycle import service as lifecycle
from rollouts.lifecycle.course import Course, course
from rollouts.lifecycle.forecast import Baseline, RailForecast, forecast_rail
from rollouts.lifecycle.goals import GoalForecast, forecast_goal
from rollouts.lifecycle.plan import Draft, lock, plan_hash
from rollouts.metrics.codec import from_dict
from rollouts.metrics.model import Definition
from rollouts.results import forecast_words as words
from rollouts.results.baselines import Past, Traffic, baseline_in, list_past, traffic_in
from rollouts.results.pacing import form_of
from rollouts.results.past_plan import doubts, history_of

REPLICATIONS = 1000
LEAST_REPLICATIONS = 250
USUAL_STAGES = 8  # each more costs as much again
SHARED = 2000  # replications that all guardrails share, so that an answer takes seconds
MOST_RAILS = 8  # simulated in one answer
KEPT = 64  # answers in memory
PATIENCE_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Asked:
    """What a reader gives: levels and traffic they know better; guardrails to look at first."""

    baselines: Mapping[str, Baseline] = field(default_factory=dict)
    customers_per_day: float | None = None
    metrics: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Named:
    """A metric as the plan counts it."""

    key: str
    name: str
    version_id: int
    definition: Definition


@dataclass(frozen=True, slots=True)
class Prepared:
    """All that the simulation needs."""

    draft: Draft
    hash: str
    metrics: Mapping[str, Named]
    baselines: Mapping[str, Baseline]
    traffic: Traffic | None
    course: Course
    rails: tuple[str, ...]  # guardrails that are simulated
    history: tuple[dict[str, Any], ...] = ()  # what past rollouts did, by metric

    @property
    def replications(self) -> int:
        """Simulated rollouts for each truth; fewer where many guardrails share the time."""
        n_versions = len({item.share for item in self.draft.treatments})
        many_stages = max(len(self.course.stretches) / USUAL_STAGES, 1.0)
        each = int(SHARED / (max(len(self.rails), 1) * n_versions * many_stages))
        return min(max(each, LEAST_REPLICATIONS), REPLICATIONS)

    @property
    def is_possible(self) -> bool:
        """Whether any guardrail's level is known."""
        return any(key in self.baselines for key in self.rails)

    @property
    def fingerprint(self) -> str:
        """Equal for equal questions."""
        asked = {
            "hash": self.hash,
            "baselines": {key: asdict(item) for key, item in self.baselines.items()},
            "course": asdict(self.course),
            "traffic": asdict(self.traffic) if self.traffic else None,
            "rails": self.rails,
            "history": self.history,
        }
        return sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


def prepare(
    session: Session, key: str, asked: Asked, *, look_seconds: float, now: datetime
) -> Prepared:
    """Read the plan and what is known of its metrics. Raises NotFound, Invalid."""
    row = lifecycle.get_rollout(session, key)
    plans = lifecycle.list_plans(session, row.id)
    draft = lifecycle.current_draft(session, row)
    body = plans[-1].body if plans else lock(draft, lifecycle.locked_metrics(session, draft))
    metrics = {item["key"]: _named(item) for item in body["metrics"]}
    _check(asked, metrics)
    past = list(list_past(session, row, draft))
    start = (row.started_at or now).replace(minute=0, second=0, microsecond=0)
    traffic = _traffic(session, asked, past, draft, now)
    return Prepared(
        draft=draft,
        hash=plans[-1].hash if plans else plan_hash(body),
        metrics=metrics,
        baselines={**_measured(past, metrics), **asked.baselines},
        traffic=traffic,
        course=course(
            draft,
            customers_per_day=traffic.customers_per_day if traffic else None,
            look_seconds=draft.look_every_seconds or look_seconds,
            start=start,
        ),
        rails=_first(asked, draft),
        history=history_of(session, draft),
    )


def _named(item: Mapping[str, Any]) -> Named:
    definition = from_dict(item["definition"])
    return Named(item["key"], item["name"], item["metric_version_id"], definition)


def _check(asked: Asked, metrics: Mapping[str, Named]) -> None:
    unknown = sorted({*asked.baselines, *asked.metrics} - set(metrics))
    if unknown:
        raise Invalid(
            f"The plan counts no metric {unknown[0]!r}; it counts {', '.join(sorted(metrics))}.",
            faults=tuple(Fault(f"baselines.{key}", "not a metric of this plan") for key in unknown),
        )


def _first(asked: Asked, draft: Draft) -> tuple[str, ...]:
    keys = [item.metric for item in draft.guardrails]
    wanted = [key for key in keys if key in asked.metrics] if asked.metrics else keys
    return tuple(wanted[:MOST_RAILS])


def _measured(past: Sequence[Past], metrics: Mapping[str, Named]) -> dict[str, Baseline]:
    """The newest level of each metric that any earlier rollout knows."""
    found: dict[str, Baseline] = {}
    for earlier in past:
        for key, named in metrics.items():
            if key not in found:
                held = baseline_in(earlier, named.version_id, named.definition)
                if held is not None:
                    found[key] = held
    return found


def _traffic(
    session: Session, asked: Asked, past: Sequence[Past], draft: Draft, now: datetime
) -> Traffic | None:
    if asked.customers_per_day is not None:
        return Traffic(asked.customers_per_day, "given")
    held = (traffic_in(session, earlier, draft, now) for earlier in past)
    return next((item for item in held if item is not None), None)


_LOCK = Lock()  # one simulation at a time: readers must not take the service's processors
_ANSWERS: OrderedDict[str, dict[str, Any]] = OrderedDict()


def forecast(prepared: Prepared) -> dict[str, Any]:
    """What the plan will do, as the API shows it; kept in memory for equal questions.

    Raises Unavailable if other forecasts keep the service busy.
    """
    key = prepared.fingerprint
    held = _ANSWERS.get(key)
    if held is not None:
        return held
    if not _LOCK.acquire(timeout=PATIENCE_SECONDS):
        raise Unavailable("Other forecasts are being simulated. Ask again in a minute.")
    try:
        if key not in _ANSWERS:
            _ANSWERS[key] = _simulate(prepared)
            while len(_ANSWERS) > KEPT:
                _ANSWERS.popitem(last=False)
        return _ANSWERS[key]
    finally:
        _LOCK.release()


def _simulate(prepared: Prepared) -> dict[str, Any]:
    draft, known = prepared.draft, prepared.baselines
    rails = [
        found
        for rail in draft.guardrails
        if rail.metric in prepared.rails
        for found in forecast_rail(
            draft,
            rail,
            prepared.metrics[rail.metric].definition,
            known.get(rail.metric),
            prepared.course,
            replications=prepared.replications,
            kind=_kind(prepared.metrics[rail.metric].definition),
        )
    ]
    per_day = prepared.traffic.customers_per_day if prepared.traffic else None
    goals = [
        forecast_goal(
            draft,
            goal,
            prepared.metrics[goal.metric].definition,
            known.get(goal.metric),
            prepared.course,
            customers_per_day=per_day,
        )
        for goal in draft.goals
    ]
    return _shown(prepared, rails, goals)


def _kind(definition: Definition) -> Kind | None:
    """The form of the stop-loss that a look would judge it by."""
    form = form_of(definition, Scale.RELATIVE)
    return form if isinstance(form, Kind) else None


def _shown(
    prepared: Prepared, rails: Sequence[RailForecast], goals: Sequence[GoalForecast]
) -> dict[str, Any]:
    limits = {item.metric: item for item in prepared.draft.guardrails}
    shown = [words.rail(item, limits[item.metric], prepared.metrics[item.metric]) for item in rails]
    left = [item.metric for item in prepared.draft.guardrails if item.metric not in prepared.rails]
    return {
        "rollout": prepared.draft.key,
        "plan_hash": prepared.hash,
        "replications": prepared.replications,
        "traffic": asdict(prepared.traffic) if prepared.traffic else None,
        "course": {
            "ends_by": prepared.course.ends_by,
            "units": prepared.course.units,
            "days": prepared.course.days,
            "looks": prepared.course.looks,
            "stages": [asdict(item) for item in prepared.course.stretches],
        },
        "baselines": {key: asdict(item) for key, item in prepared.baselines.items()},
        "guardrails": shown,
        "not_simulated": left,
        "goals": [words.goal(item, prepared.metrics[item.metric].name) for item in goals],
        "history": list(prepared.history),
        "to_settle": [*words.to_settle(shown), *doubts(prepared.history)],
        "assumptions": words.assumptions(prepared.draft, prepared.course, prepared.traffic),
    }
