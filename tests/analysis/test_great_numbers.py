"""A billion units lose no digit: every kind that takes sums, against exact rational arithmetic.

Values lie around a million with a spread of a few, so that a plain difference of sums of squares
would keep none of its digits. Sums are whole numbers, and the reference never rounds.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from fractions import Fraction
from math import log, sqrt

import numpy as np
import pytest

from analysis import cuped, mean, ordinal, poststratify, proportion, ratio
from analysis.effect import Effect
from analysis.estimate import Estimate
from analysis.gaussian import gaussian_statistic
from analysis.histogram import Histogram
from analysis.inputs import t_quantile, z_quantile
from analysis.moments import Moments
from analysis.stoploss import Stratum, share_statistic
from analysis.summary import PairSummary, Summary

N = 10**9
Z = z_quantile(0.95)
DIGITS = 1e-9  # relative


def around(middle: int, spread: int, n: int = N) -> Summary:
    """Half of the units `spread` above the middle, half as much below it."""
    return Summary(n, n * middle, n * (middle**2 + spread**2))


def exact_variance(arm: Summary) -> Fraction:
    """Of the mean: sample variance over n, never rounded."""
    centred = Fraction(arm.squares) - Fraction(arm.total) ** 2 / arm.n
    return centred / (arm.n - 1) / arm.n


CONTROL, TREATMENT = around(10**6, 7), around(10**6 + 1, 9)


def test_a_difference_of_means():
    """Estimate and error, to the last digits."""
    effect = mean.difference(CONTROL, TREATMENT)
    v0, v1 = exact_variance(CONTROL), exact_variance(TREATMENT)

    assert isinstance(effect, Effect)
    assert effect.estimate == 1.0
    half = t_quantile(0.95, 2 * N) * sqrt(v0 + v1)
    assert effect.high - effect.estimate == pytest.approx(half, rel=1e-7)
    estimate = Estimate.of_means("all", CONTROL, TREATMENT)
    assert estimate.error == pytest.approx(sqrt(v0 + v1), rel=DIGITS)


@pytest.mark.parametrize("scale", ["log", "delta"])
def test_a_ratio_of_means(scale):
    """One part in a million, with an interval a hundred times narrower."""
    effect = mean.relative(CONTROL, TREATMENT, scale=scale)
    m0, m1 = Fraction(CONTROL.total, N), Fraction(TREATMENT.total, N)
    error = sqrt(exact_variance(CONTROL) / m0**2 + exact_variance(TREATMENT) / m1**2)

    assert isinstance(effect, Effect)
    assert effect.estimate == pytest.approx(float(m1 / m0 - 1), rel=1e-8)
    assert effect.high - effect.estimate == pytest.approx(Z * error, rel=1e-5)


def score(x0: int, x1: int, delta: Decimal) -> Decimal:
    """Miettinen and Nurminen's statistic at a difference, its likelihood solved by halving."""
    n = Decimal(N)

    def slope(p0: Decimal) -> Decimal:
        p1 = p0 + delta
        return (x0 - n * p0) / (p0 * (1 - p0)) + (x1 - n * p1) / (p1 * (1 - p1))

    low, high = max(Decimal(0), -delta), min(Decimal(1), 1 - delta)
    for _ in range(170):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) > 0 else (low, middle)
    p1 = low + delta
    variance = (low * (1 - low) / n + p1 * (1 - p1) / n) * (2 * n) / (2 * n - 1)
    return ((Decimal(x1) - x0) / n - delta) / variance.sqrt()


@pytest.mark.parametrize(("x0", "x1"), [(3 * 10**8, 3 * 10**8 + 40_000), (5000, 5300)])
def test_a_difference_of_proportions(x0, x1):
    """Both limits lie where the score is the normal quantile, in fifty digits."""
    effect = proportion.difference(Summary(N, x0, x0), Summary(N, x1, x1))

    assert isinstance(effect, Effect)
    assert effect.estimate == pytest.approx((x1 - x0) / N, rel=1e-7)
    with localcontext() as context:
        context.prec = 50
        assert float(score(x0, x1, Decimal(effect.low))) == pytest.approx(Z, abs=1e-5)
        assert float(score(x0, x1, Decimal(effect.high))) == pytest.approx(-Z, abs=1e-5)


def test_a_ratio_of_proportions():
    """The log ratio's error, at a rate where the score and the delta method agree."""
    x0, x1 = 10**8, 10**8 + 60_000
    effect = proportion.relative(Summary(N, x0, x0), Summary(N, x1, x1))
    error = sqrt(Fraction(1, x0) + Fraction(1, x1) - Fraction(2, N))

    assert isinstance(effect, Effect)
    assert effect.estimate == pytest.approx(x1 / x0 - 1, rel=1e-7)
    assert log(1 + effect.high) - log(1 + effect.low) == pytest.approx(2 * Z * error, rel=1e-6)


def pair(shift: int, n: int = N) -> PairSummary:
    """Four kinds of units in equal number: y = 10^6 + {1, 2, 3, 4}, x = y + {0, 1, 0, 2} + shift."""
    quarter, ys = n // 4, [10**6 + i for i in (1, 2, 3, 4)]
    xs = [y + d + shift for y, d in zip(ys, (0, 1, 0, 2), strict=True)]
    both = list(zip(xs, ys, strict=True))
    return PairSummary(
        n,
        quarter * sum(xs),
        quarter * sum(ys),
        quarter * sum(x * x for x in xs),
        quarter * sum(y * y for y in ys),
        quarter * sum(x * y for x, y in both),
    )


def exact_ratio_variance(arm: PairSummary) -> Fraction:
    """By the delta method, never rounded."""
    r = Fraction(arm.x_total) / Fraction(arm.y_total)
    residual = Fraction(arm.xx) - 2 * r * Fraction(arm.xy) + r * r * Fraction(arm.yy)
    return residual * arm.n / (arm.n - 1) / Fraction(arm.y_total) ** 2


def test_a_ratio_with_the_unit_as_cluster():
    """The residuals are of size one, their sums of squares of size 10^21."""
    control, treatment = pair(0), pair(1)
    effect = ratio.difference(control, treatment)
    variances = [exact_ratio_variance(arm) for arm in (control, treatment)]

    assert isinstance(effect, Effect)
    assert ratio.ratio_variance(control) == pytest.approx(float(variances[0]), rel=DIGITS)
    assert effect.high - effect.low == pytest.approx(2 * Z * sqrt(sum(variances)), rel=1e-5)


def exact_adjusted(control: PairSummary, treatment: PairSummary) -> tuple[Fraction, Fraction]:
    """CUPED's difference and its variance, theta pooled within arms, never rounded."""
    arms = [
        [Fraction(v) for v in (a.x_total, a.y_total, a.xx, a.yy, a.xy)]
        for a in (control, treatment)
    ]
    centred = [(xx - x * x / N, yy - y * y / N, xy - x * y / N) for x, y, xx, yy, xy in arms]
    theta = sum(c[2] for c in centred) / sum(c[1] for c in centred)
    gap = (arms[1][0] - arms[0][0]) / N - theta * (arms[1][1] - arms[0][1]) / N
    left = [sx - 2 * theta * sxy + theta * theta * sy for sx, sy, sxy in centred]
    return gap, sum(r / (N - 2) / N for r in left)


@pytest.mark.parametrize("form", [lambda arm: arm, Moments.of_pair], ids=["pair", "moments"])
def test_a_difference_adjusted_for_the_time_before(form):
    """As a pair of sums, and as a matrix of them."""
    control, treatment = pair(0), pair(1)
    found = cuped.difference(form(control), form(treatment), before_exposure=True)
    gap, variance = exact_adjusted(control, treatment)

    assert isinstance(found, cuped.Adjusted)
    assert found.effect.estimate == pytest.approx(float(gap), rel=1e-6)
    half = found.effect.high - found.effect.estimate
    assert half == pytest.approx(Z * sqrt(variance), rel=1e-4)


def test_strata_fixed_beforehand():
    """Two strata that lie a million apart, each with a spread of a few."""
    control = {"new": around(10**6, 5), "old": around(2 * 10**6, 3)}
    treatment = {"new": around(10**6 + 1, 5), "old": around(2 * 10**6 + 1, 3)}
    found = poststratify.poststratified(control, treatment)
    variance = (
        sum(exact_variance(arm) for arms in (control, treatment) for arm in arms.values()) / 4
    )

    assert isinstance(found, cuped.Adjusted)
    assert found.effect.estimate == pytest.approx(1.0, rel=1e-9)
    half = found.effect.high - found.effect.estimate
    assert half == pytest.approx(Z * sqrt(variance), rel=1e-6)


def test_grades_of_a_billion():
    """Promoters and the chance to be graded higher, from counts of grades."""
    counts = {9: 4 * 10**8, 7: 3 * 10**8, 3: 3 * 10**8}
    more = {9: 4 * 10**8 + 10**5, 7: 3 * 10**8, 3: 3 * 10**8 - 10**5}
    control, treatment = (Histogram.counted(held.items()) for held in (counts, more))
    nps, higher = ordinal.nps(control, treatment), ordinal.mann_whitney(control, treatment)
    wins = Fraction(
        sum((a > b) * x * y - (a < b) * x * y for a, x in more.items() for b, y in counts.items()),
        N * N,
    )

    assert isinstance(nps, Effect)
    assert isinstance(higher, Effect)
    assert nps.estimate == pytest.approx(float(Fraction(2 * 10**5, N)), rel=1e-7)
    assert higher.estimate == pytest.approx(float(wins), rel=1e-6)


def test_the_stop_loss_at_a_billion():
    """Splitting every unit's stratum in two like halves changes no digit of the evidence."""
    x0, x1 = 3 * 10**8, 3 * 10**8 + 200_000
    whole = [Stratum(N, x0, x0, N, x1, x1)]
    half = [Stratum(N // 2, x0 // 2, x0 // 2, N // 2, x1 // 2, x1 // 2)] * 2
    for held in (whole, half):
        seen = share_statistic(held, kind="proportion", sign=1, tolerance=1e-4)
        gap = (Fraction(x1) - Fraction(10_001, 10_000) * x0) / N
        p = Fraction(x0 + x1, 2 * N)
        assert seen.r == pytest.approx(float(gap) / sqrt(2 * p * (1 - p) / N), rel=1e-3)
    first = share_statistic(whole, kind="proportion", sign=1, tolerance=1e-4).r
    assert share_statistic(half, kind="proportion", sign=1, tolerance=1e-4).r == pytest.approx(
        first, rel=1e-6
    )


def test_the_gaussian_form_at_a_billion():
    """Values around a million with a spread of a few, against a limit of half a unit."""
    held = Stratum(N, CONTROL.total, CONTROL.squares, N, TREATMENT.total, TREATMENT.squares)
    seen = gaussian_statistic([held], sign=1, tolerance=0.5)
    # The joint variance is every arm's floor; it has half the gap to the limit in it.
    floor = Fraction(7**2 + 9**2, 2) + Fraction(1, 4) ** 2
    error = sqrt(floor / N + exact_variance(TREATMENT))

    assert seen.r == pytest.approx(0.5 / error, rel=1e-5)  # t as normal takes the rest


def test_the_reference_itself_would_fail_in_floats():
    """What these tests guard against: the plain formula keeps no digit of the spread."""
    plain = float(CONTROL.squares) - float(CONTROL.total) ** 2 / N

    assert not np.isclose(plain, 49 * N, rtol=1e-7)
