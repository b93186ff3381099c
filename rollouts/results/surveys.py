"""Surveys: who answered, tested between the versions, and what the others could change at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from analysis import ordinal, proportion
from analysis.effect import Undecided
from analysis.histogram import Histogram
from analysis.quality import Check
from analysis.sequence import always_valid
from analysis.summary import Summary
from analysis.survey import Bounds, graded_bounds, survey_bounds, survey_response
from rollouts.metrics.model import Definition, Statistic, Survey
from rollouts.results.kinds import box
from rollouts.results.shown import effect_shown
from rollouts.results.work import Measuring, MetricInPlan

LEVEL = 0.95
OUTSIDE = Undecided(
    "some answers lie outside the grades that the metric names, so nothing bounds the rest",
    "a metric with the question's own lowest and highest grade",
)
NOBODY = Undecided("nobody of a version was asked yet", "surveys sent to both versions")

# Between which values the compared number lies, where that is not the grades themselves.
SCORES = {
    Statistic.TOP_BOX: (0.0, 1.0),
    Statistic.LOW_BOX: (0.0, 1.0),
    Statistic.NPS: (-1.0, 1.0),
}


@dataclass(frozen=True, slots=True)
class Answered:
    """One version's answers and how many were asked for one."""

    asked: int
    answers: Histogram


def answered(work: Measuring, metric: MetricInPlan, place: int) -> Answered:
    """What one version's customers answered. Whoever answered was asked."""
    held = work.units(metric).get(place)
    answers = held if isinstance(held, Histogram) else Histogram.of([])
    survey = metric.definition.survey
    if survey is not None and survey.asked is not None:
        sent = work.asked(metric).get(place, 0)
    else:
        sent = work.counted[metric.key].total(place).n
    return Answered(max(sent, answers.n), answers)


def response_check(work: Measuring, key: str, alpha: float) -> Check:
    """Whether the versions differ in how many answered."""
    metric = work.metrics[key]
    arms = [answered(work, metric, place) for place in range(len(work.draft.variations))]
    found = survey_response(
        [arm.asked for arm in arms], [arm.answers.n for arm in arms], alpha=alpha
    )
    name = f"response to {metric.name}"
    return Check(name, found.state, found.reason, found.p_value, found.needs)


def survey_shown(work: Measuring, place: int, metric: MetricInPlan) -> dict[str, Any] | None:
    """Response by version with its difference, and the bounds; None where no survey is declared."""
    survey = metric.definition.survey
    if survey is None:
        return None
    control, treatment = (answered(work, metric, arm) for arm in (work.control, place))
    bounds = _bounds(metric.definition, survey, control, treatment)
    return {
        "lowest": survey.lowest,
        "highest": survey.highest,
        "is_everybody": survey.asked is None,
        "control": _rate(control),
        "treatment": _rate(treatment),
        "difference": _difference(work, control, treatment),
        "bounds": _bounds_shown(bounds) if isinstance(bounds, Bounds) else None,
        "reason": bounds.reason if isinstance(bounds, Undecided) else "",
        "needs": bounds.needs if isinstance(bounds, Undecided) else "",
    }


def _rate(arm: Answered) -> dict[str, Any]:
    n, events = arm.asked, arm.answers.n
    held = proportion.wilson(events, n, level=LEVEL) if n else None
    return {
        "asked": n,
        "answered": events,
        "rate": held.estimate if held else None,
        "low": held.low if held else None,
        "high": held.high if held else None,
    }


def _difference(work: Measuring, control: Answered, treatment: Answered) -> dict[str, Any] | None:
    """In response, treatment minus control, valid however often one looks."""
    first, second = (
        Summary(arm.asked, arm.answers.n, arm.answers.n) for arm in (control, treatment)
    )
    found = proportion.difference(first, second, level=LEVEL)
    return effect_shown(always_valid(found, planned=work.draft.planned_units))


def _bounds(
    definition: Definition, survey: Survey, control: Answered, treatment: Answered
) -> Bounds | Undecided:
    if not control.asked or not treatment.asked:
        return NOBODY
    for arm in (control, treatment):
        values = arm.answers.values
        if arm.answers.n and not survey.lowest <= values[0] <= values[-1] <= survey.highest:
            return OUTSIDE
    asked = control.asked, treatment.asked
    scale = SCORES.get(definition.statistic, (survey.lowest, survey.highest))
    if definition.statistic is Statistic.GRADE:
        return graded_bounds(
            control.answers, treatment.answers, asked=asked, scale=scale, level=LEVEL
        )
    first, second = (_scored(definition, arm.answers) for arm in (control, treatment))
    return survey_bounds(first, second, asked=asked, scale=scale, level=LEVEL)


def _scored(definition: Definition, answers: Histogram) -> Summary:
    """Answers as what is compared: a good one or not, a promoter or a detractor, the grade."""
    if definition.statistic in (Statistic.TOP_BOX, Statistic.LOW_BOX):
        return box(definition, answers)
    if definition.statistic is Statistic.NPS:
        return ordinal.net_promoters(answers)
    return answers.summary


def _bounds_shown(bounds: Bounds) -> Mapping[str, Any]:
    return {
        "among_answers": bounds.among_answers,
        "low": bounds.low,
        "high": bounds.high,
        "outer_low": bounds.outer_low,
        "outer_high": bounds.outer_high,
        "level": bounds.level,
        "tipping_point": bounds.tipping_point,
        "method": bounds.method,
    }
