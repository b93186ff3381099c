"""Metrics whose units are compared by more than their mean: which method serves which."""

from __future__ import annotations

from analysis import dispersion, ordinal, proportion, quantile, survival
from analysis.effect import Effect, Undecided
from analysis.histogram import Histogram
from analysis.quantile import Clustered
from analysis.rows import Times
from analysis.summary import Summary
from rollouts.metrics.model import Definition, Statistic

Answer = Effect | Undecided
Counted = Histogram | Times | Clustered
Units = Counted | None

NOBODY = Undecided("one of the two versions has no customers yet", "customers in both")
NO_SHARE = Undecided("a difference of chances is no share of control's")


def compare_units(
    definition: Definition, control: Units, treatment: Units, *, level: float
) -> tuple[Answer, Answer]:
    """The (absolute, relative) effect for one look, from the units' own numbers."""
    if control is None or treatment is None:
        return NOBODY, NOBODY
    if isinstance(control, Times) and isinstance(treatment, Times):
        return (
            survival.restricted_mean_difference(control, treatment, level=level),
            survival.restricted_mean_ratio(control, treatment, level=level),
        )
    if isinstance(control, Clustered) and isinstance(treatment, Clustered):
        q = definition.quantile
        return (
            quantile.event_difference(control, treatment, q, level=level),
            quantile.event_relative(control, treatment, q, level=level),
        )
    if not (isinstance(control, Histogram) and isinstance(treatment, Histogram)):
        raise TypeError(f"two kinds of units: {type(control)} and {type(treatment)}")
    return _of_histograms(definition, control, treatment, level)


def _of_histograms(
    definition: Definition, control: Histogram, treatment: Histogram, level: float
) -> tuple[Answer, Answer]:
    match definition.statistic:
        case Statistic.QUANTILE:
            q = definition.quantile
            return (
                quantile.difference(control, treatment, q, level=level),
                quantile.relative(control, treatment, q, level=level),
            )
        case Statistic.SPREAD:
            return (
                dispersion.spread_difference(control, treatment, level=level),
                dispersion.spread(control, treatment, level=level),
            )
        case Statistic.VARIANCE:
            return (
                dispersion.variance_difference(control, treatment, level=level),
                dispersion.variance_ratio(control, treatment, level=level),
            )
        case Statistic.GRADE:
            return ordinal.mann_whitney(control, treatment, level=level), NO_SHARE
        case Statistic.NPS:
            return ordinal.nps(control, treatment, level=level), NO_SHARE
        case Statistic.TOP_BOX | Statistic.LOW_BOX:
            return _of_shares(box(definition, control), box(definition, treatment), level)
    raise ValueError(f"{definition.statistic} is compared by sums")


def box(definition: Definition, arm: Histogram) -> Summary:
    """Units with a good grade, or with a bad one, as the summary of a proportion."""
    if definition.statistic is Statistic.TOP_BOX:
        return arm.share(above=definition.top_from)
    return arm.share(below=definition.low_to)


def _of_shares(control: Summary, treatment: Summary, level: float) -> tuple[Answer, Answer]:
    return (
        proportion.difference(control, treatment, level=level),
        proportion.relative(control, treatment, level=level),
    )


def levels_of(
    definition: Definition, control: Units, treatment: Units
) -> tuple[float | None, float | None]:
    """Both variations' own levels in what is compared; None where one has none yet.

    Times are told as the mean time without the event, in seconds, up to where both are watched.
    """
    if isinstance(control, Times) and isinstance(treatment, Times):
        if not control.durations.size or not treatment.durations.size:
            return None, None
        horizon = survival.common_horizon(control, treatment)
        if horizon <= 0:
            return None, None
        first, second = (
            survival.restricted_mean(survival.kaplan_meier(arm), horizon)[0]
            for arm in (control, treatment)
        )
        return first, second
    return _level_of(definition, control), _level_of(definition, treatment)


def _level_of(definition: Definition, units: Units) -> float | None:
    if isinstance(units, Clustered):
        return units.events.quantile(definition.quantile) if units.events.n else None
    return _level_of_units(definition, units) if isinstance(units, Histogram) and units.n else None


def _level_of_units(definition: Definition, units: Histogram) -> float | None:
    match definition.statistic:
        case Statistic.QUANTILE:
            return units.quantile(definition.quantile)
        case Statistic.SPREAD:
            centre = units.quantile(0.5)
            return float(abs(units.values - centre) @ units.counts) / units.n
        case Statistic.VARIANCE:
            return units.summary.variance if units.n > 1 else None
        case Statistic.TOP_BOX | Statistic.LOW_BOX:
            return box(definition, units).mean
        case Statistic.NPS:
            return ordinal.net_promoters(units).mean
    return units.summary.mean
