"""Matured beside so far: customers whose window is complete, and all who were ever counted.

A change may move *when* outcomes arrive; then only customers who had their whole window say how
many there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from analysis.anytime import anytime_effect
from analysis.effect import Scale
from rollouts.metrics.model import Statistic
from rollouts.results.pacing import form_of, planned_information
from rollouts.results.shown import effects_shown
from rollouts.results.strata import Counted, make_strata
from rollouts.results.work import DAY, Measuring, MetricInPlan
from rollouts.words import percent, plural

State = dict[str, Any]


def has_matured(metric: MetricInPlan) -> bool:
    """Whether there is such a thing for a metric: it has a window and is compared by its mean."""
    return metric.definition.window is not None and metric.definition.statistic is Statistic.MEAN


def part_effect(
    work: Measuring,
    place: int,
    metric: MetricInPlan,
    counted: Counted,
    alpha: float,
    state: Mapping[str, Any],
) -> tuple[dict[str, Any], State]:
    """The effect on some of the customers, valid at every look, and its test's next state.

    alpha: of the interval, both sides together.
    """
    definition = metric.definition
    strata = [item for _, item in make_strata(counted, definition, work.control, place)]
    kind = form_of(definition, Scale.RELATIVE)
    planned = planned_information(work.draft.planned_units, state, strata, kind, 1, 0.0)
    relative, absolute, after = anytime_effect(
        strata,
        kind=kind,
        alpha=alpha,
        state=state.get("effect"),
        deadline=work.is_deadline,
        planned_information=planned,
    )
    shown = {**numbers(work, place, counted), **effects_shown(relative, absolute)}
    return shown, {"effect": after, "planned": planned}


def numbers(work: Measuring, place: int, counted: Counted) -> dict[str, int]:
    """How many customers of either version are meant."""
    return {
        "n_control": counted.total(work.control).n,
        "n_treatment": counted.total(place).n,
    }


def side_by_side(window: timedelta, so_far: Mapping[str, Any], matured: Mapping[str, Any]) -> str:
    """ "So far 14 % fewer; of those whose 28 days are complete, 5 % fewer (between …)." """
    whose = f"of those whose {_span(window)} are complete"
    first, then = so_far["relative"], matured["relative"]
    early = f"So far {_more(first['estimate'])}" if first else "So far too early to say"
    if not then:
        why = matured["undecided"]["reason"] if matured["undecided"] else "nothing is known yet"
        return f"{early}; {whose}, nothing can be said yet: {why.rstrip('.')}."
    between = f"(between {_more(then['low'])} and {_more(then['high'])})"
    return f"{early}; {whose}, {_more(then['estimate'])} {between}."


def _more(share: float) -> str:
    if abs(share) < 0.0005:
        return "no change"
    return f"{percent(abs(share))} {'more' if share > 0 else 'less'}"


def _span(window: timedelta) -> str:
    if window >= DAY:
        return plural(window / DAY, "days")
    return plural(window / timedelta(hours=1), "hours") if window.seconds >= 3600 else "minutes"
