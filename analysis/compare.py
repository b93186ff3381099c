"""Two summary rows of one metric to its effects, whatever its kind and whatever is asked of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeVar

import numpy as np

from analysis import (
    cuped,
    dispersion,
    mean,
    ordinal,
    poststratify,
    proportion,
    quantile,
    ratio,
    survival,
)
from analysis.cuped import Adjusted
from analysis.effect import Effect, Undecided
from analysis.histogram import Histogram
from analysis.moments import Moments
from analysis.rows import MEANS, Events, Kind, Row, Times
from analysis.summary import PairSummary, Summary

Answer = Effect | Undecided
Pair = tuple[Answer, Answer]
AdjustedPair = tuple[Adjusted | Undecided, Adjusted | Undecided]
Sums = TypeVar("Sums")


class Form(StrEnum):
    """What is asked of grades, spreads and times, where a kind answers more than one question."""

    USUAL = "usual"
    TOP = "top"  # grades: the share at or above a grade
    BOTTOM = "bottom"  # grades: the share at or below a grade
    NPS = "nps"  # grades 0 to 10: promoters less detractors
    VARIANCE = "variance"  # spread: by the variance rather than the distance from the median
    BY = "by"  # times: the share whose event came by a time


_FORMS = {
    Kind.ORDINAL: (Form.TOP, Form.BOTTOM, Form.NPS),
    Kind.DISPERSION: (Form.VARIANCE,),
    Kind.TIME: (Form.BY,),
}
_NEED_A_PLACE = (Form.TOP, Form.BOTTOM, Form.BY)
NO_RELATIVE = "has no relative form"


@dataclass(frozen=True, slots=True)
class Ask:
    """The question put to two rows.

    q: which quantile, for that kind. form: see `Form`. at: the grade of a box, the time of a
    share, or the horizon of a time; None for the longest horizon that both arms allow.
    Raises ValueError where a kind has no such form.

    >>> Ask(Kind.ORDINAL, form=Form.TOP, at=4).at
    4
    """

    kind: Kind
    q: float = 0.5
    form: Form = Form.USUAL
    at: float | None = None

    def __post_init__(self) -> None:
        if self.form is not Form.USUAL and self.form not in _FORMS.get(self.kind, ()):
            raise ValueError(f"form: a {self.kind} has no {self.form}")
        if self.form in _NEED_A_PLACE and self.at is None:
            raise ValueError(f"at: {self.form} needs a grade or a time")


def compare(
    kind: Kind,
    control: Row,
    treatment: Row,
    *,
    level: float = 0.95,
    q: float = 0.5,
    ask: Ask | None = None,
) -> Pair:
    """The (absolute, relative) effect of treatment against control, for one look.

    kind: of both rows. level: of each interval. q: which quantile, for that kind.
    ask: a question that needs more words than a quantile; its kind and q then count.
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
    held = ask or Ask(kind, q)
    return _BY_KIND[held.kind](control, treatment, level, held)


def adjusted(
    control: Row, treatment: Row, *, before_exposure: bool, level: float = 0.95
) -> AdjustedPair:
    """The same effects of means, adjusted for the covariates whose products the rows hold.

    before_exposure: as in `cuped.difference`. Raises ValueError for rows without covariates.

    >>> pair = PairSummary.of([1, 2, 3, 5, 4, 6], [0, 1, 2, 4, 4, 5])
    >>> row = Row("a", None, "m", Kind.MEAN, pair, 6, 0, 0)
    >>> round(adjusted(row, row, before_exposure=True)[0].gain, 2)
    0.95
    """
    arms = [_with_covariates(row) for row in (control, treatment)]
    return (
        cuped.difference(arms[0], arms[1], before_exposure=before_exposure, level=level),
        cuped.relative(arms[0], arms[1], before_exposure=before_exposure, level=level),
    )


def stratified(
    control: Mapping[str, Row], treatment: Mapping[str, Row], *, level: float = 0.95
) -> AdjustedPair:
    """The same effects of means, compared within strata: a row per stratum and arm.

    control, treatment: rows of one metric, one per stratum. level: of the interval, in (0, 1).

    >>> row = Row("a", None, "m", Kind.MEAN, Summary.of([1, 2, 3]), 3, 0, 0)
    >>> stratified({"new": row}, {"new": row})[0].effect.estimate
    0.0
    """
    arms = [{k: summary_of(row) for k, row in arm.items()} for arm in (control, treatment)]
    return (
        poststratify.poststratified(arms[0], arms[1], level=level),
        poststratify.poststratified_relative(arms[0], arms[1], level=level),
    )


def level_of(row: Row, ask: Ask) -> float | None:
    """An arm's own value of what is asked: its mean, share, quantile; None where there is none.

    ask: what is wanted of a comparison.

    >>> row = Row("a", None, "m", Kind.MEAN, Summary.of([1, 2, 3]), 3, 0, 0)
    >>> level_of(row, Ask(Kind.MEAN))
    2.0
    """
    if row.n == 0:
        return None
    if ask.kind in MEANS:
        return summary_of(row).mean
    if ask.kind is Kind.RATIO:
        pair = _of(PairSummary, row)
        return pair.x_total / pair.y_total if pair.y_total else None
    if isinstance(row.sums, Events):
        return float(row.sums.values[_rank(ask.q, row.sums.values.size)])
    if isinstance(row.sums, Times):
        return _level_of_times(row.sums, ask)
    return _level_of_values(_of(Histogram, row), ask)


def further_tests(control: Row, treatment: Row, ask: Ask) -> dict[str, float | Undecided]:
    """The classical tests that belong to a kind beside its effect, as p-values by name.

    control, treatment: rows of one metric. ask: what is wanted of the comparison. A test that
    cannot be made is Undecided.

    >>> row = Row("a", None, "m", Kind.MEAN, Summary.of([1, 2, 3]), 3, 0, 0)
    >>> further_tests(row, row, Ask(Kind.MEAN))
    {}
    """
    first, second = control.sums, treatment.sums
    if isinstance(first, Times) and isinstance(second, Times):
        return {"log-rank test": survival.log_rank_p_value(first, second)}
    if not (isinstance(first, Histogram) and isinstance(second, Histogram)):
        return {}
    if ask.kind is Kind.ORDINAL:
        return {"Mann-Whitney test": ordinal.mann_whitney_p_value(first, second)}
    if ask.kind is Kind.DISPERSION:
        return {"Brown-Forsythe test": dispersion.brown_forsythe_p_value(first, second)}
    return {}


def summary_of(row: Row) -> Summary:
    """The outcome's own sums, with or without covariates beside it.

    >>> summary_of(Row("a", None, "m", Kind.MEAN, Summary.of([1, 2]), 2, 0, 0)).n
    2
    """
    if isinstance(row.sums, PairSummary):
        return row.sums.x
    return row.sums.outcome if isinstance(row.sums, Moments) else _of(Summary, row)


def covariates_of(row: Row) -> list[Summary]:
    """Each covariate's own sums, in the order asked for.

    >>> pair = PairSummary.of([1, 2], [5, 7])
    >>> covariates_of(Row("a", None, "m", Kind.MEAN, pair, 2, 0, 0))[0].mean
    6.0
    """
    if isinstance(row.sums, PairSummary):
        return [row.sums.y]
    if not isinstance(row.sums, Moments):
        return []
    totals, products = row.sums.totals, row.sums.products
    return [
        Summary(row.sums.n, float(totals[i]), float(products[i, i])) for i in range(1, totals.size)
    ]


def common_horizon(rows: list[Row]) -> float | None:
    """The longest time up to which every arm's curve is known; None without any watched time.

    >>> import numpy as np
    >>> arm = Times(np.array([1.0, 9.0]), np.array([True, False]))
    >>> common_horizon([Row("a", None, "t", Kind.TIME, arm, 2, 0, 0)])
    9.0
    """
    arms = [row.sums for row in rows if isinstance(row.sums, Times) and row.sums.durations.size]
    if not arms:
        return None
    return min(survival.common_horizon(one, other) for one in arms for other in arms) or None


def _proportions(control: Row, treatment: Row, level: float, _: Ask) -> Pair:
    a, b = summary_of(control), summary_of(treatment)
    return proportion.difference(a, b, level=level), proportion.relative(a, b, level=level)


def _means(control: Row, treatment: Row, level: float, _: Ask) -> Pair:
    a, b = summary_of(control), summary_of(treatment)
    return mean.difference(a, b, level=level), mean.relative(a, b, level=level)


def _ratios(control: Row, treatment: Row, level: float, _: Ask) -> Pair:
    a, b = _of(PairSummary, control), _of(PairSummary, treatment)
    return ratio.difference(a, b, level=level), ratio.relative(a, b, level=level)


def _quantiles(control: Row, treatment: Row, level: float, ask: Ask) -> Pair:
    if isinstance(control.sums, Events):
        a, b = control.sums, _of(Events, treatment)
        return (
            quantile.event_difference(a, b, ask.q, level=level),
            quantile.event_relative(a, b, ask.q, level=level),
        )
    x, y = _of(Histogram, control), _of(Histogram, treatment)
    return quantile.difference(x, y, ask.q, level=level), quantile.relative(
        x, y, ask.q, level=level
    )


def _times(control: Row, treatment: Row, level: float, ask: Ask) -> Pair:
    a, b = _of(Times, control), _of(Times, treatment)
    if ask.form is Form.BY and ask.at is not None:
        alone = Undecided(f"a share by a time {NO_RELATIVE} here", needs="the absolute difference")
        return survival.event_share_difference(a, b, by=ask.at, level=level), alone
    return (
        survival.restricted_mean_difference(a, b, horizon=ask.at, level=level),
        survival.restricted_mean_ratio(a, b, horizon=ask.at, level=level),
    )


def _grades(control: Row, treatment: Row, level: float, ask: Ask) -> Pair:
    a, b = _of(Histogram, control), _of(Histogram, treatment)
    if ask.form is Form.NPS:
        alone = Undecided(f"a score between -1 and 1 {NO_RELATIVE}", needs="the absolute change")
        return ordinal.nps(a, b, level=level), alone
    if ask.form is Form.USUAL or ask.at is None:
        return ordinal.mann_whitney(a, b, level=level), Undecided(
            f"a grade's chance to be higher {NO_RELATIVE}"
        )
    if ask.form is Form.TOP:
        return (
            ordinal.top_box(a, b, least=ask.at, level=level),
            ordinal.top_box(a, b, least=ask.at, relative=True, level=level),
        )
    return (
        ordinal.lower_tail(a, b, most=ask.at, level=level),
        ordinal.lower_tail(a, b, most=ask.at, relative=True, level=level),
    )


def _spreads(control: Row, treatment: Row, level: float, ask: Ask) -> Pair:
    a, b = _of(Histogram, control), _of(Histogram, treatment)
    if ask.form is Form.VARIANCE:
        alone = Undecided("a difference of variances is in squared units", needs="the ratio")
        return alone, dispersion.variance_ratio(a, b, level=level)
    return dispersion.spread_difference(a, b, level=level), dispersion.spread(a, b, level=level)


_BY_KIND: dict[Kind, Callable[[Row, Row, float, Ask], Pair]] = {
    Kind.PROPORTION: _proportions,
    Kind.MEAN: _means,
    Kind.COUNT: _means,
    Kind.SUM: _means,
    Kind.RATIO: _ratios,
    Kind.QUANTILE: _quantiles,
    Kind.TIME: _times,
    Kind.ORDINAL: _grades,
    Kind.DISPERSION: _spreads,
}


def _level_of_times(arm: Times, ask: Ask) -> float | None:
    curve = survival.kaplan_meier(arm)
    if ask.form is Form.BY and ask.at is not None:
        return 1 - curve.at(ask.at)
    horizon = ask.at or survival.common_horizon(arm, arm)
    return survival.restricted_mean(curve, horizon)[0] if horizon else None


def _level_of_values(arm: Histogram, ask: Ask) -> float | None:
    if ask.kind is Kind.QUANTILE:
        return arm.quantile(ask.q)
    if ask.form is Form.TOP:
        return arm.share(above=ask.at).mean
    if ask.form is Form.BOTTOM:
        return arm.share(below=ask.at).mean
    if ask.form is Form.NPS:
        return ordinal.net_promoters(arm).mean
    if ask.kind is Kind.DISPERSION:
        return _spread_of(arm, ask.form)
    return arm.summary.mean


def _spread_of(arm: Histogram, form: Form) -> float | None:
    """An arm's variance, or its mean distance from its median."""
    if form is Form.VARIANCE:
        return arm.summary.variance if arm.n > 1 else None
    distances = np.abs(arm.values - arm.quantile(0.5))
    return float(distances @ arm.counts) / arm.n


def _rank(q: float, n: int) -> int:
    return min(max(int(-(-q * n // 1)) - 1, 0), n - 1)


def _with_covariates(row: Row) -> Moments | PairSummary:
    if not isinstance(row.sums, Moments | PairSummary):
        raise ValueError(f"{row.metric}: these sums hold no covariate")
    return row.sums


def _of(kind: type[Sums], row: Row) -> Sums:
    if not isinstance(row.sums, kind):
        raise ValueError(f"{row.metric}: a {row.kind} holds no {kind.__name__}")
    return row.sums
