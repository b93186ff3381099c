"""Metrics whose units are compared by more than their mean: which method serves which."""

from __future__ import annotations

from analysis import dispersion, ordinal, quantile, survival
from analysis.effect import Effect, Undecided
from analysis.histogram import Histogram
from analysis.rows import Times
from rollouts.metrics.model import Definition, Statistic

Answer = Effect | Undecided
Units = Histogram | Times | None

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
        case Statistic.GRADE:
            return ordinal.mann_whitney(control, treatment, level=level), NO_SHARE
        case Statistic.NPS:
            return ordinal.nps(control, treatment, level=level), NO_SHARE
        case Statistic.TOP_BOX:
            least = definition.top_from if definition.top_from is not None else 0.0
            absolute, relative = (
                ordinal.top_box(control, treatment, least=least, relative=is_relative, level=level)
                for is_relative in (False, True)
            )
            return absolute, relative
    raise ValueError(f"{definition.statistic} is compared by sums")
