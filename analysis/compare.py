"""Two summary rows of one metric to its effects, whatever its kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from analysis import dispersion, mean, ordinal, proportion, quantile, ratio, survival
from analysis.effect import Effect, Undecided
from analysis.histogram import Histogram
from analysis.rows import Events, Kind, Row, Times
from analysis.summary import PairSummary, Summary

Answer = Effect | Undecided
Pair = tuple[Answer, Answer]
Sums = TypeVar("Sums")


def compare(
    kind: Kind, control: Row, treatment: Row, *, level: float = 0.95, q: float = 0.5
) -> Pair:
    """The (absolute, relative) effect of treatment against control, for one look.

    kind: of both rows. level: of each interval. q: which quantile, for that kind.
    Raises ValueError where the rows hold another metric or other sums than the kind has.

    >>> from analysis.summary import Summary
    >>> def row(name, won, n):
    ...     return Row(name, None, "won", Kind.PROPORTION, Summary(n, won, won), n, 0, 0)
    >>> absolute, relative = compare(Kind.PROPORTION, row("a", 48, 80), row("b", 56, 70))
    >>> round(absolute.estimate, 3), round(relative.estimate, 3)
    (0.2, 0.333)
    """
    if control.metric != treatment.metric:
        raise ValueError(f"control is of {control.metric!r}, treatment of {treatment.metric!r}")
    if kind is Kind.QUANTILE:
        return _quantiles(control, treatment, level, q)
    return _BY_KIND[kind](control, treatment, level)


def _proportions(control: Row, treatment: Row, level: float) -> Pair:
    a, b = _summary(control), _summary(treatment)
    return proportion.difference(a, b, level=level), proportion.relative(a, b, level=level)


def _means(control: Row, treatment: Row, level: float) -> Pair:
    a, b = _summary(control), _summary(treatment)
    return mean.difference(a, b, level=level), mean.relative(a, b, level=level)


def _ratios(control: Row, treatment: Row, level: float) -> Pair:
    a, b = _of(PairSummary, control), _of(PairSummary, treatment)
    return ratio.difference(a, b, level=level), ratio.relative(a, b, level=level)


def _quantiles(control: Row, treatment: Row, level: float, q: float) -> Pair:
    if isinstance(control.sums, Events):
        a, b = control.sums, _of(Events, treatment)
        return (
            quantile.event_difference(a, b, q, level=level),
            quantile.event_relative(a, b, q, level=level),
        )
    x, y = _of(Histogram, control), _of(Histogram, treatment)
    return quantile.difference(x, y, q, level=level), quantile.relative(x, y, q, level=level)


def _times(control: Row, treatment: Row, level: float) -> Pair:
    a, b = _of(Times, control), _of(Times, treatment)
    return (
        survival.restricted_mean_difference(a, b, level=level),
        survival.restricted_mean_ratio(a, b, level=level),
    )


def _grades(control: Row, treatment: Row, level: float) -> Pair:
    a, b = _of(Histogram, control), _of(Histogram, treatment)
    alone = Undecided("a grade's chance to be higher has no relative form")
    return ordinal.mann_whitney(a, b, level=level), alone


def _spreads(control: Row, treatment: Row, level: float) -> Pair:
    a, b = _of(Histogram, control), _of(Histogram, treatment)
    return dispersion.spread_difference(a, b, level=level), dispersion.spread(a, b, level=level)


_BY_KIND: dict[Kind, Callable[[Row, Row, float], Pair]] = {
    Kind.PROPORTION: _proportions,
    Kind.MEAN: _means,
    Kind.COUNT: _means,
    Kind.SUM: _means,
    Kind.RATIO: _ratios,
    Kind.TIME: _times,
    Kind.ORDINAL: _grades,
    Kind.DISPERSION: _spreads,
}


def _summary(row: Row) -> Summary:
    return row.sums.x if isinstance(row.sums, PairSummary) else _of(Summary, row)


def _of(kind: type[Sums], row: Row) -> Sums:
    if not isinstance(row.sums, kind):
        raise ValueError(f"{row.metric}: a {row.kind} holds no {kind.__name__}")
    return row.sums
