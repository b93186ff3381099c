"""Metrics that sums cannot judge: quantiles, spread, grades and times, valid at every look."""

from __future__ import annotations

from typing import Any

from analysis.effect import Effect, Finding, Scale, Undecided
from analysis.noninferiority import finding
from analysis.sequence import always_valid
from rollouts.metrics.model import Direction
from rollouts.metrics.words import level_note
from rollouts.results.kinds import compare_units, levels_of
from rollouts.results.shown import Answer, effects_shown
from rollouts.results.work import Measuring, MetricInPlan
from rollouts.tolerances.model import Guardrail

OTHER_METHOD = (
    "{method}; the interval is widened so that it holds however often one looks, over all stages "
    "together, since the versions' shares never change."
)


def distributed(
    work: Measuring, place: int, metric: MetricInPlan, level: float
) -> tuple[Answer, Answer]:
    """The (relative, absolute) effect from the units' own numbers, valid at every look."""
    held = work.units(metric)
    absolute, relative = compare_units(
        metric.definition, held.get(work.control), held.get(place), level=level
    )
    planned = work.draft.planned_units
    return always_valid(relative, planned=planned), always_valid(absolute, planned=planned)


def levels_shown(work: Measuring, place: int, metric: MetricInPlan) -> dict[str, Any]:
    """Both versions' own levels in what is compared: the quantile, the share, the mean time."""
    held = work.units(metric)
    control, treatment = levels_of(metric.definition, held.get(work.control), held.get(place))
    note = level_note(metric.definition)
    return {"control": control, "treatment": treatment, "note": note}


def judged(
    metric: MetricInPlan, rail: Guardrail, relative: Answer, absolute: Answer
) -> dict[str, Any]:
    """What such an effect says of its guardrail."""
    effect = relative if rail.scale is Scale.RELATIVE else absolute
    found = finding(
        effect, rail.margin, higher_is_better=metric.definition.direction is Direction.UP
    )
    return {
        **effects_shown(relative, absolute),
        "method": OTHER_METHOD.format(method=method_of(effect)),
        **_reasons(effect, found),
    }


def _reasons(effect: Answer, found: Finding) -> dict[str, Any]:
    if isinstance(effect, Undecided):
        return {"finding": "unknown", "reason": effect.reason, "needs": effect.needs}
    said = {
        Finding.HARM: "Worse than the limit, whatever the data still allow.",
        Finding.SAFE: "Within the limit, whatever the data still allow.",
        Finding.UNKNOWN: "The data still allow both sides of the limit.",
    }[found]
    needs = "more customers" if found is Finding.UNKNOWN else ""
    return {"finding": found.value, "reason": said, "needs": needs}


def method_of(effect: Answer) -> str:
    """How it was computed, in words."""
    return effect.method if isinstance(effect, Effect) else "not computed yet"
