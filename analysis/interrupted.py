"""Interrupted time series: one series before and after a change that came to everybody.

The weakest design we judge by: whatever else happened that day is in the effect as well.

Source of the errors: Newey & West (1987), Econometrica 55:703-708.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import expm1, pi, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from analysis.arguments import Floats, finite_array, open_share
from analysis.effect import Effect, Scale, Undecided, Validity

_ASSUMPTIONS = (
    "trend and season would have gone on as before",
    "nothing else changed at the same time",
)
_LAGS_ASKED = 7  # a week of days
_MOST_PERIODS = 2000  # every pair of periods is looked at
_MOST_MEMORY = 0.95  # beyond it intervals were seen to cover too seldom


@dataclass(frozen=True, slots=True)
class Interrupted:
    """What the change did to a series.

    effect: mean gap since the change between the series and what it would have been;
    n_control and n_treatment count periods before and since. step, slope: the immediate change
    of level and the change of trend per period (None if not fitted), absolute, or on the
    relative scale in logarithms. expected: what would have been since the change, shape (m,).
    memory: part of a deviation that is left in the next period, as the errors allow for.
    """

    effect: Effect
    step: float
    slope: float | None
    expected: tuple[float, ...]
    memory: float


def interrupted_time_series(
    values: ArrayLike,
    start: int,
    *,
    season: int | None = 7,
    harmonics: int | None = None,
    slope: bool = True,
    scale: Scale = Scale.ABSOLUTE,
    lags: int | None = None,
    level: float = 0.95,
) -> Interrupted | Undecided:
    """Effect of a change on a series of equal periods, with errors robust to autocorrelation.

    values: shape (t,), oldest first, none missing. start: index of the first period with the
    change. season: periods per cycle (7 for days, None for none), as an indicator each, or as
    so many harmonics (e.g. season 365, harmonics 2). slope: whether the trend may change too.
    scale: relative works on logarithms. lags: of Newey and West's error; 1.3 sqrt(t) if None.
    level: in (0, 1).

    Least squares; Newey and West's variance of the gap, with its bias and degrees of freedom
    taken from a first-order model of the deviations. In simulation nominal 0.95 covered 0.92 to
    0.98 for first-order memory from 0 to 0.9 and 56 to 180 periods, 0.86 to 0.94 for a random
    walk or a slow wave under noise. At most 2,000 periods (take hours or days, not seconds).
    Undecided with too few periods, deviations that hardly fade from one period to the next, no
    scatter, or a relative effect on values of 0 or less. Raises ValueError naming what does not
    fit. Sources: Wagner et al. (2002), J. Clin. Pharm. Ther. 27:299-309; Newey & West (1987),
    Econometrica 55:703-708; Lazarus, Lewis, Stock & Watson (2018), JBES 36:541-559.

    >>> week = [5, 3, 4, 6, 8, 2, 1]
    >>> noise = [0.1, -0.2, 0.05, 0.15, -0.1, 0.2, -0.15, 0.12, -0.05] * 7
    >>> days = [week[i % 7] + noise[i] + 2 * (i >= 42) for i in range(63)]
    >>> round(interrupted_time_series(days, 42).effect.estimate, 1)
    2.0
    """
    open_share("level", level)
    series = finite_array("values", values)
    if len(series) > _MOST_PERIODS:
        raise ValueError(f"values must be {_MOST_PERIODS} periods or fewer, not {len(series)}")
    design = _design(len(series), start, season, harmonics, slope)
    if scale is Scale.RELATIVE:
        if series.size and series.min() <= 0:
            return Undecided("a value of 0 or below has no ratio", needs="an absolute effect")
        series = np.log(series)
    refusal = _too_short(len(series), start, design.shape[1], season)
    if refusal is not None:
        return refusal
    fit = _fit(series, design, start, slope, _lags(lags, len(series)))
    if isinstance(fit, Undecided):
        return fit
    return _result(fit, series, design, start, slope, scale, level)


def _design(n: int, start: int, season: int | None, harmonics: int | None, slope: bool) -> Floats:
    """Regressors: constant, trend, season, step and, if asked, change of slope (last)."""
    if not 1 <= start < max(n, 2):
        raise ValueError(f"start must lie within 1 to {n - 1}, not {start}")
    if season is not None and season < 2:
        raise ValueError(f"season must be 2 periods or more, not {season}")
    if harmonics is not None and (season is None or not 1 <= harmonics <= season / 2):
        raise ValueError(f"harmonics must be within 1 to half the season, not {harmonics}")
    time = np.arange(n, dtype=np.float64)
    since = (time >= start).astype(np.float64)
    # The trend is centred and scaled so that the regressors are of one size.
    parts = [np.ones(n), (time - n / 2) / n, *_season(time, season, harmonics), since]
    if slope:
        parts.append(since * (time - start) / n)
    return np.column_stack(parts)


def _season(time: Floats, season: int | None, harmonics: int | None) -> list[Floats]:
    if season is None:
        return []
    if harmonics is None:
        return [(time % season == i).astype(np.float64) for i in range(1, season)]
    angles = [2 * pi * k * time / season for k in range(1, harmonics + 1)]
    waves = [wave for angle in angles for wave in (np.cos(angle), np.sin(angle))]
    return waves[:-1] if 2 * harmonics == season else waves  # the last sine is 0 throughout


def _too_short(n: int, start: int, columns: int, season: int | None) -> Undecided | None:
    by_indicator = season is not None and columns > season
    before = max(8, 2 * season) if season is not None and by_indicator else 8
    if start < before:
        return Undecided(f"fewer than {before} periods before the change", needs="a longer past")
    if n - start < 3:
        return Undecided("fewer than 3 periods since the change", needs="more time")
    if n < columns + 8:
        return Undecided("too few periods for trend and season", needs="a longer past")
    return None


def _lags(lags: int | None, n: int) -> int:
    if lags is None:
        return int(np.ceil(1.3 * sqrt(n)))
    if lags < 0:
        raise ValueError(f"lags must be 0 or more, not {lags}")
    return min(lags, n - 1)


@dataclass(frozen=True, slots=True)
class _Fit:
    coefficients: Floats
    gap: float
    error: float
    df: float
    memory: float


def _fit(series: Floats, design: Floats, start: int, slope: bool, lags: int) -> _Fit | Undecided:
    p = design.shape[1]
    if np.linalg.matrix_rank(design) < p:
        return Undecided("trend, season and change cannot be told apart", needs="a longer past")
    bread = np.asarray(np.linalg.inv(design.T @ design), dtype=np.float64)
    coefficients = bread @ design.T @ series
    residuals = series - design @ coefficients
    if not np.linalg.norm(residuals) > 1e-10 * np.linalg.norm(series - series.mean()):
        return Undecided("the series has no scatter around its trend", needs="a longer past")
    memory = _memory(residuals, design, bread)
    if memory > _MOST_MEMORY:
        return Undecided(
            "the series wanders: what it would have done without the change cannot be told",
            needs="a comparison group, or a longer past",
        )
    aim = np.zeros(p)
    aim[p - 1 - slope] = 1.0
    if slope:
        aim[p - 1] = design[start:, p - 1].mean()
    variance, df = newey_west(residuals, design, aim, lags, max(memory, 0.0))
    return _Fit(coefficients, float(aim @ coefficients), sqrt(variance), df, memory)


def newey_west(
    residuals: Floats, design: Floats, aim: Floats, lags: int, memory: float = 0.0
) -> tuple[float, float]:
    """Variance of a combination of least-squares coefficients, and its degrees of freedom.

    residuals: shape (t,). design: shape (t, p), of full rank. aim: shape (p,). lags: 0 or more.
    memory: correlation of neighbouring deviations in a working model, in [0, 1).
    Bartlett's weights; divided by the bias, and matched to the variance, that the estimate has
    in the working model. Exact there for any window, robust outside it as the window grows.

    >>> x = np.ones((4, 1))
    >>> newey_west(np.array([1.0, -1.0, 1.0, -1.0]), x, np.ones(1), 0)
    (0.3333..., 3.0...)
    """
    distance = np.abs(np.subtract.outer(np.arange(len(residuals)), np.arange(len(residuals))))
    bread = np.linalg.inv(design.T @ design)
    weights = design @ bread @ aim
    kernel = np.maximum(1 - distance / (lags + 1), 0.0) * np.outer(weights, weights)
    rest = np.eye(len(residuals)) - design @ bread @ design.T
    working = memory**distance if memory else np.eye(len(residuals))
    seen = kernel @ rest @ working @ rest
    mean, spread = float(np.trace(seen)), float(np.sum(seen * seen.T))
    raw = max(float(residuals @ kernel @ residuals), 0.0)
    return raw * float(weights @ working @ weights) / mean, mean * mean / spread


def _memory(residuals: Floats, design: Floats, bread: Floats) -> float:
    """How much of a deviation is left in the next period, judged at the lags that show it.

    A slow wave under much noise has small correlations that hardly fade: the first one alone
    would call it short. So each lag whose correlation is beyond chance has its say, as the
    memory per period that it implies, and the longest counts.
    """
    n, p = design.shape
    memories = []
    for lag in range(1, min(_LAGS_ASKED, n // 4) + 1):
        raw = float(residuals[lag:] @ residuals[:-lag] / (residuals @ residuals))
        # What fitting the regressors takes off a correlation that is none.
        bias = float(np.trace(bread @ design[lag:].T @ design[:-lag])) / (n - p)
        correlation = raw + bias
        if lag == 1:
            memories.append(correlation)
        elif correlation > 2 / sqrt(n):
            memories.append(float(correlation ** (1 / lag)))
    return float(max(memories))


def _result(
    fit: _Fit,
    series: Floats,
    design: Floats,
    start: int,
    slope: bool,
    scale: Scale,
    level: float,
) -> Interrupted:
    reach = fit.error * float(stats.t.isf((1 - level) / 2, fit.df))
    ends = (fit.gap, fit.gap - reach, fit.gap + reach)
    place = design.shape[1] - 1 - slope
    without = design[start:].copy()
    without[:, place:] = 0.0
    expected = without @ fit.coefficients
    if scale is Scale.RELATIVE:
        ends = (expm1(ends[0]), expm1(ends[1]), expm1(ends[2]))
        expected = np.exp(expected)
    effect = Effect(
        estimate=ends[0],
        low=ends[1],
        high=ends[2],
        scale=scale,
        validity=Validity.FIXED,
        level=level,
        n_control=start,
        n_treatment=len(series) - start,
        method="interrupted time series, errors robust to autocorrelation",
        p_value=float(2 * stats.t.sf(abs(fit.gap) / fit.error, fit.df)),
        assumptions=_ASSUMPTIONS,
    )
    steepening = float(fit.coefficients[-1]) / len(series) if slope else None
    return Interrupted(
        effect,
        float(fit.coefficients[place]),
        steepening,
        tuple(float(value) for value in expected),
        fit.memory,
    )
