"""Sharper comparisons from what was known before exposure: CUPED and regression adjustment.

The adjustment removes the part of the outcome that covariates predicted already. It is honest only
if the treatment could not have touched the covariate, so that is asked, and checked, first.
"""

from dataclasses import dataclass
from math import sqrt

import numpy as np
import numpy.typing as npt
from scipy.special import fdtrc

from analysis import mean
from analysis.arguments import is_sound
from analysis.effect import Effect, Scale, Undecided
from analysis.inputs import (
    BROKEN,
    CONSTANT,
    NO_BASELINE,
    check_level,
    fixed_effect,
    t_p_value,
    t_quantile,
    too_few,
)
from analysis.moments import Moments
from analysis.summary import PairSummary

Floats = npt.NDArray[np.float64]

SUSPICIOUS = 0.001  # p-value of a covariate's balance below which chance is no explanation
AFFECTED = Undecided(
    "a covariate was measured after exposure, so the treatment could have changed it",
    needs="a covariate from before the unit's first exposure",
)
UNBALANCED = Undecided(
    "a covariate differs between the variations by more than chance, so either the treatment "
    "touched it or units were not assigned at random",
    needs="a covariate from before the unit's first exposure, and a look at the assignment",
)
ASSUMPTIONS = (
    "units are independent of each other",
    "covariates were fixed before exposure",
    "their weight is estimated within the variations, one for both",
)


@dataclass(frozen=True, slots=True)
class Adjusted:
    """An adjusted effect with what the adjustment gained.

    gain: share of the estimate's variance removed, below 1; 0.4 is what two thirds more units
        would have brought. Slightly below 0 where the covariates tell nothing.
    weights: what one unit of each covariate moves the outcome by (theta); empty for strata.
    """

    effect: Effect
    gain: float
    weights: tuple[float, ...] = ()


def difference(
    control: Moments | PairSummary,
    treatment: Moments | PairSummary,
    *,
    before_exposure: bool,
    level: float = 0.95,
) -> Adjusted | Undecided:
    """Treatment's mean minus control's, adjusted for one covariate or several.

    control, treatment: sums of the outcome with its covariates (of a pair: x is the outcome, y the
        covariate), products included. before_exposure: whether all covariates were fixed before
        each unit's first exposure; if not, or if they differ between the arms with p < 0.001, the
        answer is Undecided.
    Theta is estimated within the arms, by pooling their centred products; covariates without spread
    are left out. Variances are residual, with n - 1 - covariates, and Welch's degrees of freedom.
    Undecided also with fewer than 3 units beyond the covariates, or without spread.
    Raises ValueError for different numbers of covariates or a level that cannot be.
    Source: Deng, Xu, Kohavi & Walker (2013), WSDM; Lin (2013), Annals of Applied Statistics 7:295.

    >>> first = PairSummary.of([1, 2, 3, 5, 4, 6], [0, 1, 2, 4, 4, 5])
    >>> second = PairSummary.of([2, 3, 5, 5, 7, 6], [0, 1, 3, 4, 5, 4])
    >>> found = difference(first, second, before_exposure=True)
    >>> round(found.effect.estimate, 3), round(found.gain, 2)
    (1.011, 0.95)
    """
    arms = _ready(control, treatment, before_exposure, level)
    if isinstance(arms, Undecided):
        return arms
    fit = _fit(*arms)
    estimate = fit.means[1] - fit.means[0]
    variance = sum(fit.variances)
    if variance == 0:
        return CONSTANT
    error = sqrt(variance)
    degrees = mean.welch_degrees(fit.variances, fit.degrees)
    half = t_quantile(level, degrees) * error
    effect = fixed_effect(
        estimate,
        estimate - half,
        estimate + half,
        scale=Scale.ABSOLUTE,
        level=level,
        units=(arms[0].n, arms[1].n),
        method="CUPED, Welch's t interval",
        p_value=t_p_value(estimate / error, degrees),
        assumptions=ASSUMPTIONS,
    )
    return effect if isinstance(effect, Undecided) else Adjusted(effect, fit.gain, fit.weights)


def relative(
    control: Moments | PairSummary,
    treatment: Moments | PairSummary,
    *,
    before_exposure: bool,
    level: float = 0.95,
    scale: str = "log",
) -> Adjusted | Undecided:
    """Treatment's adjusted mean over control's, minus one.

    Both means are taken at the covariates' average over all units. scale: "log" or "delta", as in
    `analysis.mean.relative`. Other arguments, refusals and sources as in `difference`; Undecided
    also where the control's adjusted mean is not clearly above zero.

    >>> first = PairSummary.of([11, 12, 13, 15, 14, 16], [0, 1, 2, 4, 4, 5])
    >>> second = PairSummary.of([12, 13, 15, 15, 17, 16], [0, 1, 3, 4, 5, 4])
    >>> round(relative(first, second, before_exposure=True).effect.estimate, 3)
    0.074
    """
    mean.check_scale(scale)
    arms = _ready(control, treatment, before_exposure, level)
    if isinstance(arms, Undecided):
        return arms
    fit = _fit(*arms)
    if sum(fit.variances) == 0:
        return CONSTANT
    if fit.means[0] <= 0:
        return NO_BASELINE
    # Both means move together with the covariates' average, which a ratio other than 1 feels.
    shared = (fit.means[1] / fit.means[0] - 1) ** 2 * fit.common
    effect = mean.relative_of(
        fit.means,
        (fit.variances[0], fit.variances[1] + shared),
        (arms[0].n, arms[1].n),
        level=level,
        scale=scale,
        method="CUPED, ratio of adjusted means",
        assumptions=ASSUMPTIONS,
    )
    return effect if isinstance(effect, Undecided) else Adjusted(effect, fit.gain, fit.weights)


def balance_p_value(control: Moments | PairSummary, treatment: Moments | PairSummary) -> float:
    """Chance of covariates differing this much between the arms if assignment was random.

    Hotelling's test of all covariates at once, 1.0 where none has any spread. Needs more units than
    covariates plus two.
    Source: Hotelling (1931), Annals of Mathematical Statistics 2:360.
    control, treatment: sums as in `difference`. Raises ValueError for sums that no values have, or
    for fewer units.

    >>> pair = PairSummary.of([1, 2, 3, 5], [0, 1, 2, 4])
    >>> balance_p_value(pair, pair)
    1.0
    """
    first, second = _moments(control), _moments(treatment)
    for name, arm in (("control", first), ("treatment", second)):
        if not _is_clean(arm) or arm.n < 1:
            raise ValueError(f"{name}: no values have such sums")
    if first.n + second.n < first.totals.size + 2:
        raise ValueError("control, treatment: fewer units than covariates plus three")
    pooled, kept = _pooled(first, second)
    k = len(kept)
    if k == 0:
        return 1.0
    gap = (second.means - first.means)[kept]
    n = first.n + second.n
    within = pooled[np.ix_(kept, kept)] / (n - 2)
    squared = float(gap @ np.linalg.solve(within, gap)) / (1 / first.n + 1 / second.n)
    return float(fdtrc(k, n - k - 1, squared * (n - k - 1) / (k * (n - 2))))


@dataclass(frozen=True, slots=True)
class _Fit:
    means: tuple[float, float]  # adjusted to the covariates' average over all units
    variances: tuple[float, float]
    degrees: tuple[int, int]  # residual, plus one
    common: float  # variance that both means share, through the covariates' average
    weights: tuple[float, ...]
    gain: float


def _fit(control: Moments, treatment: Moments) -> _Fit:
    """One theta for both arms, and what is left of each."""
    pooled, kept = _pooled(control, treatment)
    theta = np.zeros(pooled.shape[0] - 1)
    if kept:
        square, product = pooled[np.ix_(kept, kept)], pooled[kept, 0]
        theta[[i - 1 for i in kept]] = np.linalg.solve(square, product)
    both = control + treatment
    average = both.means[1:]
    direction = np.concatenate([[1.0], -theta])
    arms = control, treatment
    means = [float(arm.means[0] - theta @ (arm.means[1:] - average)) for arm in arms]
    residual = [max(float(direction @ arm.centred @ direction), 0.0) for arm in arms]
    plain = [arm.outcome.centred for arm in arms]
    residual = [r if r > 1e-12 * p else 0.0 for r, p in zip(residual, plain, strict=True)]
    degrees = control.n - len(kept), treatment.n - len(kept)
    variances = [r / (d - 1) / a.n for r, d, a in zip(residual, degrees, arms, strict=True)]
    before = sum(p / (a.n - 1) / a.n for p, a in zip(plain, arms, strict=True))
    n = control.n + treatment.n
    return _Fit(
        means=(means[0], means[1]),
        variances=(variances[0], variances[1]),
        degrees=degrees,
        common=float(theta @ pooled[1:, 1:] @ theta) / (n - 2) / n,
        weights=tuple(map(float, theta)),
        gain=1 - sum(variances) / before if before > 0 else 0.0,
    )


def _pooled(control: Moments, treatment: Moments) -> tuple[Floats, list[int]]:
    """Centred products of both arms, and the covariates that add anything to those before them."""
    pooled = control.centred + treatment.centred
    raw = control.products + treatment.products
    kept: list[int] = []
    for i in range(1, pooled.shape[0]):
        left = pooled[i, i]
        if kept:
            square, product = pooled[np.ix_(kept, kept)], pooled[kept, i]
            left = left - product @ np.linalg.solve(square, product)
        if left > 1e-9 * pooled[i, i] and left > 1e-14 * raw[i, i]:
            kept.append(i)
    return pooled, kept


def _ready(
    control: Moments | PairSummary,
    treatment: Moments | PairSummary,
    before_exposure: bool,
    level: float,
) -> tuple[Moments, Moments] | Undecided:
    check_level(level)
    first, second = _moments(control), _moments(treatment)
    if first.totals.shape != second.totals.shape:
        raise ValueError("control and treatment: different numbers of covariates")
    if not before_exposure:
        return AFFECTED
    if not (_is_clean(first) and _is_clean(second)):
        return BROKEN
    least = first.totals.size + 2
    for name, arm in (("control", first), ("treatment", second)):
        if arm.n < least:
            return too_few(name, arm.n, least)
    if balance_p_value(first, second) < SUSPICIOUS:
        return UNBALANCED
    return first, second


def _is_clean(arm: Moments) -> bool:
    """Whether values could have these sums: none missing, none endless, no square below zero."""
    sums = np.concatenate([arm.totals, arm.products.ravel()])
    return bool(is_sound(*sums.tolist()) and (np.diag(arm.products) >= 0).all())


def _moments(arm: Moments | PairSummary) -> Moments:
    return arm if isinstance(arm, Moments) else Moments.of_pair(arm)
