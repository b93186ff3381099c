"""Effects within segments: fixed intervals for this one look, corrected, never a bare ranking."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.orm import Session

from analysis.effect import Effect, Undecided
from analysis.estimate import Estimate
from analysis.heterogeneity import Heterogeneity, by_dimension
from analysis.histogram import Histogram
from analysis.multiplicity import holm
from analysis.summary import PairSummary
from rollouts.ledger import service as ledger
from rollouts.ledger.service import SegmentSums
from rollouts.metrics.model import Definition, Per, Statistic
from rollouts.metrics.words import level_note
from rollouts.results.comparing import Answer, compare
from rollouts.results.consistency import Part, worst_shown
from rollouts.results.kinds import compare_units, levels_of
from rollouts.results.shown import effect_shown
from rollouts.results.work import Measuring, MetricInPlan
from rollouts.tolerances.model import Guardrail

LEVEL = 0.95
WHOLE_ONLY = Undecided(
    "times and quantiles of events are told for all customers together only",
    "a share or a sum beside it, which is told within segments too",
)


def by_segments(
    session: Session, rollout_id: int, work: Measuring, place: int
) -> list[dict[str, Any]]:
    """For one treatment arm: every segment the plan names, every metric within it."""
    control = work.control
    limits = {item.metric: item for item in work.draft.guardrails}
    return [
        {
            "attribute": attribute,
            "metrics": [
                _metric(
                    metric,
                    _read(session, rollout_id, attribute, metric),
                    control,
                    place,
                    limits.get(metric.key),
                )
                for metric in work.metrics.values()
            ],
        }
        for attribute in work.draft.segments
    ]


@dataclass(frozen=True, slots=True)
class Within:
    """A metric within each value of an attribute: its sums and, where those say too little, more."""

    sums: SegmentSums
    units: Mapping[tuple[str, int], Histogram] | None  # None: sums say all, or nothing does


def _read(session: Session, rollout_id: int, attribute: str, metric: MetricInPlan) -> Within:
    asked = (session, rollout_id, attribute, metric.version_id, metric.definition)
    units = None if _by_sums(metric.definition) else ledger.segment_histograms(*asked)
    return Within(ledger.segment_sums(*asked), units)


def _by_sums(definition: Definition) -> bool:
    return definition.statistic is Statistic.MEAN or _is_whole_only(definition)


def _is_whole_only(definition: Definition) -> bool:
    return definition.statistic is Statistic.TIME or definition.per is Per.EVENT


def _metric(
    metric: MetricInPlan, held: Within, control: int, place: int, rail: Guardrail | None
) -> dict[str, Any]:
    shown: list[dict[str, Any]] = []
    estimates: dict[str, Estimate | Undecided] = {}
    for value in held.sums.values:
        arms = [held.sums.by_value.get((value, arm), PairSummary()) for arm in (control, place)]
        absolute, relative = _effects(metric, held, value, control, place)
        levels = _levels(metric, held, value, control, place)
        estimates[value] = (
            Estimate.of_effect(value, absolute) if isinstance(absolute, Effect) else absolute
        )
        shown.append(_shown(metric.definition, value, arms, absolute, relative, levels))
    _correct(shown)
    return {
        "key": metric.key,
        "name": metric.name,
        "values": shown,
        "interaction": _interaction(estimates),
        "worst": worst_shown(metric.definition, _parts(metric, held, control, place), rail),
    }


def _effects(
    metric: MetricInPlan, held: Within, value: str, control: int, place: int, level: float = LEVEL
) -> tuple[Answer, Answer]:
    """(absolute, relative) within one segment."""
    if _is_whole_only(metric.definition):
        return WHOLE_ONLY, WHOLE_ONLY
    if held.units is None:
        arms = [held.sums.by_value.get((value, arm), PairSummary()) for arm in (control, place)]
        return compare(metric.definition, *arms, level=level)
    units = [held.units.get((value, arm)) for arm in (control, place)]
    return compare_units(metric.definition, *units, level=level)


def _levels(
    metric: MetricInPlan, held: Within, value: str, control: int, place: int
) -> dict[str, Any] | None:
    """Both versions' levels within one segment, where they are no means."""
    if metric.definition.statistic is Statistic.MEAN:
        return None
    units = held.units or {}
    first, second = levels_of(
        metric.definition, units.get((value, control)), units.get((value, place))
    )
    return {"control": first, "treatment": second, "note": level_note(metric.definition)}


def _parts(metric: MetricInPlan, held: Within, control: int, place: int) -> dict[str, Part]:
    """Each segment, ready to be held against a limit; none where it is told for all only."""
    if _is_whole_only(metric.definition):
        return {}

    def part(value: str) -> Part:
        sizes = held.units if held.units is not None else held.sums.by_value
        arms = [sizes.get((value, arm)) for arm in (control, place)]
        return Part(
            min(arm.n if arm is not None else 0 for arm in arms),
            lambda level: _effects(metric, held, value, control, place, level),
        )

    return {value: part(value) for value in held.sums.values}


def _shown(
    definition: Definition,
    value: str,
    arms: list[PairSummary],
    absolute: Answer,
    relative: Answer,
    levels: dict[str, Any] | None,
) -> dict[str, Any]:
    undecided = absolute if isinstance(absolute, Undecided) else None
    return {
        "value": value,
        "control": _arm(definition, arms[0]),
        "treatment": _arm(definition, arms[1]),
        "levels": levels,
        "absolute": effect_shown(absolute),
        "relative": effect_shown(relative),
        "p_value": absolute.p_value if isinstance(absolute, Effect) else None,
        "p_value_corrected": None,
        "undecided": {"reason": undecided.reason, "needs": undecided.needs}
        if undecided is not None
        else None,
    }


def _arm(definition: Definition, sums: PairSummary) -> dict[str, Any]:
    by = sums.y_total if definition.aggregation.has_denominator else float(sums.n)
    return {"n": sums.n, "total": sums.x_total, "mean": sums.x_total / by if by > 0 else None}


def _correct(held: list[dict[str, Any]]) -> None:
    """Looking at every segment finds something somewhere: p is corrected for all of them."""
    known = [item for item in held if item["p_value"] is not None]
    corrected = holm([item["p_value"] for item in known]) if known else []
    for item, p_value in zip(known, corrected, strict=True):
        item["p_value_corrected"] = float(p_value)


def _interaction(estimates: dict[str, Estimate | Undecided]) -> dict[str, Any]:
    """Whether segments differ at all, asked before anybody picks one."""
    found = by_dimension({"all": estimates})["all"]
    if not isinstance(found, Heterogeneity):
        return {"p_value": None, "reading": found.reason, "shrunken": {}}
    return {
        "p_value": found.p_value,
        "reading": found.reading,
        "shrunken": {item.name: item.shrunken.value for item in found.segments},
    }
