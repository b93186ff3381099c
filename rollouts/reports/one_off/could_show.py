"""What a file of this size could have shown: so that "not known" is not read as "no effect"."""

from __future__ import annotations

from typing import Any

import numpy as np

from analysis import ordinal
from analysis.compare import Form, summary_of
from analysis.effect import Scale, Undecided
from analysis.histogram import Histogram
from analysis.history import (
    History,
    MeanHistory,
    OrdinalHistory,
    ProportionHistory,
    QuantileHistory,
    RatioHistory,
    SurvivalHistory,
)
from analysis.power import Plan, minimum_detectable_effect, smallest_margin
from analysis.rows import MEANS, Kind, Row, Times
from analysis.summary import PairSummary
from rollouts.reports.one_off.question import Asked, Limit, Question
from rollouts.reports.one_off.shown import undecided_data

ODDS = "of the odds of a higher grade"
HAZARD = "of the event's rate among those still without it"


def could_show(
    question: Question, asked: Asked, control: Row, treatment: Row, gain: float
) -> dict[str, Any]:
    """The smallest change, and the smallest limit, that so many units show with the power asked.

    gain: share of the variance that covariates took away.
    """
    past, scale, of = _past(asked, control)
    if isinstance(past, Undecided):
        return _data(past, scale, of, question)
    units, share = control.n + treatment.n, treatment.n / max(control.n + treatment.n, 1)
    if not 0 < share < 1:
        return _data(Undecided("one of the two versions has no customers"), scale, of, question)
    explained = min(max(gain, 0.0), 0.999)
    plan = Plan(1 - question.level, question.power, 2, share, explained)
    good = question.higher_is_better(asked.name)
    sign = -1 if good is False else 1
    found = minimum_detectable_effect(past, units, plan, sign=sign, scale=scale)
    limit = question.limits.get(asked.name)
    held = _data(found, scale, of, question)
    if limit is not None:
        one_sided = Plan((1 - question.level) / 2, question.power, 1, share, explained)
        held["smallest_limit_scale"] = limit.scale.value
        held["smallest_limit"] = _margin(past, units, one_sided, limit, asked.ask.kind)
    return held


def _margin(past: History, units: int, plan: Plan, limit: Limit, kind: Kind) -> float | None:
    """The smallest limit that a harmless change would have been shown to keep."""
    if kind in (Kind.TIME, Kind.ORDINAL) and limit.scale is not Scale.RELATIVE:
        return None
    worse = -1 if limit.higher_is_better else 1
    found = smallest_margin(past, units, plan, sign=worse, scale=limit.scale)
    return None if isinstance(found, Undecided) else abs(found)


def _data(found: float | Undecided, scale: Scale, of: str, question: Question) -> dict[str, Any]:
    held: dict[str, Any] = {
        "change": None,
        "scale": scale.value,
        "of": of,
        "power": question.power,
        "smallest_limit": None,
        "smallest_limit_scale": None,
        "undecided": None,
    }
    if isinstance(found, Undecided):
        return {**held, "undecided": undecided_data(found)}
    return {**held, "change": abs(found)}


def _past(asked: Asked, row: Row) -> tuple[History | Undecided, Scale, str]:
    """Control's own spread as the past, the scale of the answer, and what it is a change of."""
    kind, sums = asked.ask.kind, row.sums
    if kind is Kind.PROPORTION:
        return ProportionHistory.of(summary_of(row)), Scale.RELATIVE, ""
    if kind in MEANS:
        whole = summary_of(row)
        scale = Scale.RELATIVE if whole.n and whole.mean > 0 else Scale.ABSOLUTE
        return MeanHistory.of(whole), scale, ""
    if isinstance(sums, PairSummary):
        return RatioHistory.of(sums), Scale.RELATIVE, ""
    if isinstance(sums, Times):
        return _times(asked, sums)
    if isinstance(sums, Histogram):
        return _values(asked, sums)
    return _none("events of one customer hang together"), Scale.RELATIVE, ""


def _times(asked: Asked, arm: Times) -> tuple[History | Undecided, Scale, str]:
    n, events = arm.happened.size, int(arm.happened.sum())
    if not 0 < events < n:
        return _none("nobody in control, or everybody, had the event"), Scale.RELATIVE, HAZARD
    return SurvivalHistory(events / n), Scale.RELATIVE, HAZARD


def _values(asked: Asked, arm: Histogram) -> tuple[History | Undecided, Scale, str]:
    ask = asked.ask
    if ask.kind is Kind.QUANTILE:
        values = np.repeat(arm.values, arm.counts)
        scale = Scale.RELATIVE if values.size and arm.quantile(ask.q) > 0 else Scale.ABSOLUTE
        return QuantileHistory.of(values, ask.q), scale, ""
    if ask.form is Form.TOP:
        return ProportionHistory.of(arm.share(above=ask.at)), Scale.RELATIVE, ""
    if ask.form is Form.BOTTOM:
        return ProportionHistory.of(arm.share(below=ask.at)), Scale.RELATIVE, ""
    if ask.form is Form.NPS:
        return MeanHistory.of(ordinal.net_promoters(arm)), Scale.ABSOLUTE, ""
    if ask.kind is Kind.ORDINAL and arm.counts.size > 1:
        return OrdinalHistory.of([int(n) for n in arm.counts]), Scale.RELATIVE, ODDS
    return _none("no formula is trusted for this kind"), Scale.RELATIVE, ""


def _none(reason: str) -> Undecided:
    return Undecided(reason, needs="a simulation from your own past data")
