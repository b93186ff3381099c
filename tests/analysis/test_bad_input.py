"""Whatever is thrown at a comparison: an answer, or a refusal; never NaN, infinity or a warning."""

import warnings
from itertools import product
from math import inf, isfinite, nan

import numpy as np
import pytest

from analysis import cuped, dispersion, mean, ordinal, proportion, quantile, ratio, survival
from analysis.effect import Effect, Undecided
from analysis.histogram import Histogram
from analysis.moments import Moments
from analysis.rows import Events, Times
from analysis.summary import PairSummary, Summary

SUMMARIES = [
    Summary(),
    Summary(1, 0.0, 0.0),
    Summary(1, 1.0, 1.0),
    Summary(2, 0.0, 0.0),
    Summary(2, 1.0, 1.0),
    Summary(2, 2.0, 2.0),
    Summary(1000, 0.0, 0.0),  # no events
    Summary(1000, 1000.0, 1000.0),  # nothing but events
    Summary(1000, 30.0, 30.0),
    Summary(10**9, 5e8, 5e8),
    Summary(10**9, 3.0, 3.0),
    Summary(5, -10.0, 20.0),  # all the same, negative
    Summary(5, -10.0, 90.0),
    Summary(5, 0.0, 10.0),  # a mean of zero
    Summary(3, nan, nan),
    Summary(3, inf, inf),
    Summary(3, -inf, inf),
    Summary(3, 3e-200, 0.0),  # squares that underflow
    Summary(3, 3e150, 3e300),
    Summary(3, 3e160, inf),
    Summary(10, 1e300, inf),
]


def pairs():
    values = [0.0, 1.0, -2.0, 5.0, 1e9, 1e-9]
    rows = [
        ([], []),
        ([1], [1]),
        ([0, 0], [0, 0]),
        ([1, 2], [0, 0]),
        ([0, 0, 0], [1, 2, 3]),
        ([1, 2, 3], [1, 2, 3]),
        ([1, 2, 3, 4], [5, 5, 5, 5]),
        ([3, 1, 4, 1, 5], [9, 2, 6, 5, 3]),
        ([3, 1, 4, 1, 5], [-9, -2, -6, -5, -3]),
        ([3, 1, 4, 1, 5], [-9, 2, 6, -5, 3]),
        (values, values[::-1]),
        ([1e12 + i for i in range(9)], [1e6 + i % 3 for i in range(9)]),
        ([nan, 1], [1, 2]),
        ([inf, 1], [1, 2]),
    ]
    return [PairSummary.of(*row) for row in rows]


HISTOGRAMS = [
    Histogram.of(values)
    for values in (
        [],
        [3],
        [3, 3],
        [0, 10],
        [5] * 100,
        range(6),
        range(100),
        [-1.0, 0.0, 1.0] * 30,
        [1e-300, 1e300] * 20,
        [0] * 99 + [1e12],
        list(range(1000)),
    )
]

TIMES = [
    Times(np.array(durations, dtype=float), np.array(happened, dtype=bool))
    for durations, happened in (
        ([], []),
        ([1], [1]),
        ([0, 0], [1, 1]),
        ([0, 0, 0], [0, 0, 0]),
        ([1, 2, 3], [0, 0, 0]),
        ([1, 2, 3], [1, 1, 1]),
        ([5, 5, 5, 5], [1, 1, 1, 1]),
        ([1, 2, 3, 4, 5, 6], [1, 0, 1, 0, 1, 0]),
        ([1e9, 2e9, 1e-9], [1, 0, 1]),
    )
]

EVENTS = [
    Events(np.array(values, dtype=float), np.array(units))
    for values, units in (
        ([], np.zeros(0, dtype=int)),
        ([1], [1]),
        ([1, 1, 1], [1, 2, 3]),
        ([1, 2, 3, 4], [1, 1, 2, 2]),
        (np.arange(200), np.arange(200) // 3),
        ([7] * 50, np.arange(50) // 2),
    )
]


def adjusted(compare):
    def unwrapped(control, treatment):
        found = compare(control, treatment, before_exposure=True)
        return found.effect if isinstance(found, cuped.Adjusted) else found

    return unwrapped


def at(q, compare):
    return lambda control, treatment: compare(control, treatment, q)


CASES = {
    "proportion.difference": (proportion.difference, SUMMARIES),
    "proportion.relative": (proportion.relative, SUMMARIES),
    "proportion.newcombe": (proportion.newcombe, SUMMARIES),
    "mean.difference": (mean.difference, SUMMARIES),
    "mean.relative": (mean.relative, SUMMARIES),
    "mean.relative delta": (lambda c, t: mean.relative(c, t, scale="delta"), SUMMARIES),
    "ratio.difference": (ratio.difference, pairs()),
    "ratio.relative": (ratio.relative, pairs()),
    "cuped.difference": (adjusted(cuped.difference), pairs()),
    "cuped.relative": (adjusted(cuped.relative), pairs()),
    "cuped moments": (adjusted(cuped.difference), [Moments.of_pair(pair) for pair in pairs()]),
    "quantile.difference": (at(0.5, quantile.difference), HISTOGRAMS),
    "quantile.relative": (at(0.9, quantile.relative), HISTOGRAMS),
    "quantile.event_difference": (at(0.5, quantile.event_difference), EVENTS),
    "quantile.event_relative": (at(0.5, quantile.event_relative), EVENTS),
    "ordinal.mann_whitney": (ordinal.mann_whitney, HISTOGRAMS),
    "ordinal.nps": (ordinal.nps, HISTOGRAMS),
    "ordinal.top_box": (lambda c, t: ordinal.top_box(c, t, least=5), HISTOGRAMS),
    "dispersion.spread": (dispersion.spread, HISTOGRAMS),
    "dispersion.spread_difference": (dispersion.spread_difference, HISTOGRAMS),
    "dispersion.variance_ratio": (dispersion.variance_ratio, HISTOGRAMS),
    "survival difference": (survival.restricted_mean_difference, TIMES),
    "survival ratio": (survival.restricted_mean_ratio, TIMES),
    "survival share": (lambda c, t: survival.event_share_difference(c, t, by=2), TIMES),
}


@pytest.mark.parametrize("name", CASES)
def test_every_pair_of_odd_arms_is_answered_or_refused(name):
    """A finite effect that encloses its estimate, or words for a product manager."""
    compare, arms = CASES[name]
    for control, treatment in product(arms, arms):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            answer = compare(control, treatment)
        if isinstance(answer, Undecided):
            assert answer.reason
            assert "nan" not in answer.reason.lower().split()
            continue
        assert isinstance(answer, Effect)
        assert all(isfinite(v) for v in (answer.estimate, answer.low, answer.high))
        assert answer.low <= answer.estimate <= answer.high
        assert answer.p_value is None or 0 <= answer.p_value <= 1
        assert answer.method


@pytest.mark.parametrize("name", CASES)
def test_arms_alike_show_no_difference(name):
    """Against itself, an arm's effect is zero and zero lies inside."""
    compare, arms = CASES[name]
    for arm in arms:
        answer = compare(arm, arm)
        if isinstance(answer, Effect):
            assert answer.estimate == pytest.approx(0, abs=1e-9)
            assert answer.low <= 1e-9
            assert answer.high >= -1e-9
