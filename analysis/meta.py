"""Effects of many rollouts, or of many segments, taken together."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy import optimize, stats

from analysis.arguments import Floats, open_share
from analysis.effect import Scale, Undecided
from analysis.estimate import Estimate, columns
from analysis.inputs import UNBOUNDED
from analysis.shrinkage import FEW, Scatter, mixture_quantile

HALVINGS = 2_200  # enough to halve any range of doubles down to its smallest number


@dataclass(frozen=True, slots=True)
class Heterogeneous:
    """Whether effects differ by more than chance. q: Cochran's; i_squared: share in [0, 1)."""

    q: float
    df: int
    p_value: float
    i_squared: float


def cochran_q(estimates: Sequence[Estimate]) -> Heterogeneous:
    """Cochran's test that all effects are one, with Higgins and Thompson's I squared.

    estimates: independent, two or more, of one scale, with errors taken as known.
    Raises ValueError otherwise. Sources: Cochran (1954), Biometrics 10:101-129; Higgins &
    Thompson (2002), Statistics in Medicine 21:1539-1558.

    >>> found = cochran_q([Estimate("a", 1, 0.5), Estimate("b", 3, 0.5)])
    >>> round(found.q, 6), round(found.p_value, 4), round(found.i_squared, 3)
    (8.0, 0.0047, 0.875)
    """
    values, errors = columns(estimates)
    weights = _weights(errors, 0.0)
    q = float(weights @ (values - _mean(values, weights)) ** 2) / _unit(errors)
    df = len(values) - 1
    return Heterogeneous(q, df, float(stats.chi2.sf(q, df)), max(0.0, 1 - df / q) if q else 0.0)


def _unit(errors: Floats) -> float:
    """The smallest variance: weights are relative to it, so that no scale overflows them."""
    return float(errors.min()) ** 2


def _weights(errors: Floats, between: float) -> Floats:
    """Inverse variances, relative to the smallest variance within."""
    smallest = errors.min()
    return np.asarray(1 / ((errors / smallest) ** 2 + between / smallest**2))


def _mean(values: Floats, weights: Floats) -> float:
    return float(weights @ values / weights.sum())


def between_variance(estimates: Sequence[Estimate]) -> float:
    """Variance of the true effects, tau squared, by Paule and Mandel; 0 or more.

    The value at which the weighted spread equals its degrees of freedom.
    Source: DerSimonian & Kacker (2007), Contemporary Clinical Trials 28:105-114.
    estimates: independent, two or more, of one scale.

    >>> round(between_variance([Estimate("a", 1, 0.5), Estimate("b", 3, 0.5)]), 6)
    1.75
    """
    values, errors = columns(estimates)
    unit, df = _unit(errors), len(values) - 1

    def excess(between: float) -> float:
        weights = _weights(errors, between)
        return float(weights @ (values - _mean(values, weights)) ** 2) / unit - df

    if excess(0.0) <= 0:
        return 0.0
    high = 2 * float(np.sum((values - values.mean()) ** 2)) / df + unit
    return float(optimize.brentq(excess, 0.0, high, xtol=1e-300, rtol=1e-14, maxiter=HALVINGS))


@dataclass(frozen=True, slots=True)
class Combined:
    """A mean effect over rollouts, and where the next one's true effect may lie.

    mean, low, high: in the estimates' scale (relative: as a ratio minus one).
    next_low, next_high: prediction interval; None below three estimates.
    between: standard deviation of the true effects (relative: of their logarithms).
    """

    mean: float
    low: float
    high: float
    next_low: float | None
    next_high: float | None
    between: float
    heterogeneity: Heterogeneous
    scale: Scale
    level: float
    method: str = "random effects, Paule-Mandel, Hartung-Knapp; the next by the scatter's posterior"


def random_effects(estimates: Sequence[Estimate], *, level: float = 0.95) -> Combined | Undecided:
    """Mean effect when the true effects differ, with an honest interval for few rollouts.

    estimates: independent, of one scale. level: of both intervals, in (0, 1).
    Hartung and Knapp's variance (never below the plain one) with t on k - 1. The next one's
    interval comes from what is known of the scatter (`shrinkage.Scatter`): with t on k - 2 about
    one scatter it held in 0.82 to 0.93 where 0.95 was asked, wherever errors outgrow the scatter;
    below five estimates the wider of both. Undecided below two estimates.
    Sources: IntHout, Ioannidis & Borm (2014), BMC Med Res Methodol 14:25; Higgins, Thompson &
    Spiegelhalter (2009), JRSS A 172:137-159.
    Raises ValueError for a level that cannot be or mixed scales.

    >>> past = [Estimate("a", 0.1, 0.1), Estimate("b", 0.3, 0.1), Estimate("c", 0.2, 0.1)]
    >>> result = random_effects(past)
    >>> round(result.mean, 3), round(result.low, 3), round(result.high, 3)
    (0.2, -0.048, 0.448)
    """
    open_share("level", level)
    if len(estimates) < 2:
        return Undecided("fewer than two rollouts to combine", needs="more finished rollouts")
    values, errors = columns(estimates)
    between = between_variance(estimates)
    weights = _weights(errors, between) / _unit(errors)
    mean, df = _mean(values, weights), len(values) - 1
    factor = max(1.0, float(weights @ (values - mean) ** 2) / df)
    error = sqrt(factor / float(weights.sum()))
    reach = error * float(stats.t.isf((1 - level) / 2, df))
    ahead = _ahead(estimates, mean, between + error * error, level)
    is_ratio = estimates[0].scale is Scale.RELATIVE
    if is_ratio and max(abs(mean) + reach, *(abs(end) for end in ahead or (0.0,))) > 700:
        return UNBOUNDED
    back = np.expm1 if is_ratio else float
    return Combined(
        mean=float(back(mean)),
        low=float(back(mean - reach)),
        high=float(back(mean + reach)),
        next_low=None if ahead is None else float(back(ahead[0])),
        next_high=None if ahead is None else float(back(ahead[1])),
        between=sqrt(between),
        heterogeneity=cochran_q(estimates),
        scale=estimates[0].scale,
        level=level,
    )


def _ahead(
    estimates: Sequence[Estimate], mean: float, variance: float, level: float
) -> tuple[float, float] | None:
    """Where the next true effect may lie; None below three estimates."""
    if len(estimates) < 3:
        return None
    scatter, tail = Scatter.of(estimates), (1 - level) / 2
    centre = scatter.mean[:, None]
    around = (scatter.mean_variance + scatter.tau**2)[:, None]
    low, high = (
        float(mixture_quantile(scatter.weight, centre, around, chance)[0])
        for chance in (tail, 1 - tail)
    )
    if len(estimates) >= FEW:
        return low, high
    reach = sqrt(variance) * float(stats.t.isf(tail, len(estimates) - 2))
    return min(low, mean - reach), max(high, mean + reach)
