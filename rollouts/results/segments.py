"""Effects within segments: fixed intervals for this one look, corrected, never a bare ranking."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from analysis import mean, proportion, ratio
from analysis.effect import Effect, Undecided
from analysis.estimate import Estimate
from analysis.heterogeneity import Heterogeneity, by_dimension
from analysis.multiplicity import holm
from analysis.summary import PairSummary
from rollouts.ledger import service as ledger
from rollouts.ledger.service import SegmentSums
from rollouts.metrics.model import Aggregation, Definition
from rollouts.results.shown import effect_shown
from rollouts.results.work import Measuring, MetricInPlan

LEVEL = 0.95
Answer = Effect | Undecided


def by_segments(
    session: Session, rollout_id: int, work: Measuring, place: int
) -> list[dict[str, Any]]:
    """For one treatment arm: every segment the plan names, every metric within it."""
    control = [item.key for item in work.draft.variations].index(work.draft.control)
    return [
        {
            "attribute": attribute,
            "metrics": [
                _metric(
                    metric,
                    ledger.segment_sums(
                        session, rollout_id, attribute, metric.version_id, metric.definition
                    ),
                    control,
                    place,
                )
                for metric in work.metrics.values()
            ],
        }
        for attribute in work.draft.segments
    ]


def _metric(metric: MetricInPlan, sums: SegmentSums, control: int, place: int) -> dict[str, Any]:
    held: list[dict[str, Any]] = []
    estimates: dict[str, Estimate | Undecided] = {}
    for value in sums.values:
        arms = [sums.by_value.get((value, arm), PairSummary()) for arm in (control, place)]
        absolute, relative = _compare(metric.definition, *arms)
        estimates[value] = (
            Estimate.of_effect(value, absolute) if isinstance(absolute, Effect) else absolute
        )
        held.append(_shown(metric.definition, value, arms, absolute, relative))
    _correct(held)
    return {
        "key": metric.key,
        "name": metric.name,
        "values": held,
        "interaction": _interaction(estimates),
    }


def _compare(
    definition: Definition, control: PairSummary, treatment: PairSummary
) -> tuple[Answer, Answer]:
    if definition.aggregation.has_denominator:
        return (
            ratio.difference(control, treatment, level=LEVEL),
            ratio.relative(control, treatment, level=LEVEL),
        )
    a, b = control.x, treatment.x
    if definition.aggregation is Aggregation.ANY:
        return proportion.difference(a, b, level=LEVEL), proportion.relative(a, b, level=LEVEL)
    return mean.difference(a, b, level=LEVEL), mean.relative(a, b, level=LEVEL)


def _shown(
    definition: Definition,
    value: str,
    arms: list[PairSummary],
    absolute: Answer,
    relative: Answer,
) -> dict[str, Any]:
    undecided = absolute if isinstance(absolute, Undecided) else None
    return {
        "value": value,
        "control": _arm(definition, arms[0]),
        "treatment": _arm(definition, arms[1]),
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
