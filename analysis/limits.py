"""The share test inverted: every ratio that the looks so far have not ruled out.

Picture and verdict come from one test, so a tolerance lies outside the interval exactly when
the test has ruled it out.

Source: Jennison & Turnbull (1989), JRSS B 51:305, for repeated confidence intervals; the test
inverted is `stoploss`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import exp, inf, isfinite, log

from scipy.optimize import brentq

from analysis.effect import Effect, Scale, Undecided, Validity
from analysis.share import Arms, Kind, share
from analysis.stoploss import observed_ratio

REACH = 20.0  # of ln ratio beyond which a limit is not looked for
METHOD = "share test inverted, valid at every look"
ASSUMPTIONS = ("calibrated by simulation, not exact",)


@dataclass(frozen=True, slots=True)
class RatioLimits:
    """Treatment over control: estimate and the ratios not ruled out. high may be infinite."""

    estimate: float
    low: float
    high: float


def ratio_limits(
    arms: Arms, kind: Kind, *, low_bound: float, high_bound: float, pinned: float = 1.0
) -> RatioLimits:
    """The ratios at which neither one-sided test has passed its bound.

    low_bound: what the evidence for a larger ratio must exceed to rule a ratio out; high_bound
    likewise for a smaller one. pinned: the tolerated ratio; whether it is inside agrees with
    the test itself. Raises ValueError without events.
    kind: proportion, count or other.

    >>> from analysis.stoploss import Stratum, to_arms
    >>> arms = to_arms([Stratum(1000, 50, 50, 1000, 90, 90)], Kind.PROPORTION)
    >>> found = ratio_limits(arms, Kind.PROPORTION, low_bound=1.96, high_bound=1.96)
    >>> round(found.estimate, 2), round(found.low, 2), round(found.high, 2)
    (1.8, 1.28, 2.55)
    """
    estimate = observed_ratio(arms)
    start = log(_start(arms))
    low = edge(_evidence(arms, kind, 1, low_bound), start, log(pinned), -1)
    high = edge(_evidence(arms, kind, -1, high_bound), start, log(pinned), 1)
    return RatioLimits(
        estimate,
        0.0 if estimate == 0 or low is None else min(exp(low), estimate),
        inf if not isfinite(estimate) or high is None else max(exp(high), estimate),
    )


def relative_effect(
    limits: RatioLimits, *, level: float, n0: float, n1: float
) -> Effect | Undecided:
    """The limits as a relative effect, or why there is none.

    Undecided while control has no events, or too few for an upper limit.

    >>> effect = relative_effect(RatioLimits(1.2, 1.1, 1.3), level=0.9, n0=500, n1=500)
    >>> round(effect.low, 6), round(effect.high, 6)
    (0.1, 0.3)
    """
    if not isfinite(limits.estimate):
        return Undecided(
            "control has had no events, so there is nothing to take a percentage of"
            + (f"; at least {limits.low:.1f} times control" if limits.low > 0 else ""),
            needs="a first event in control",
        )
    if not isfinite(limits.high):
        return Undecided("control has too few events for a percentage", needs="more events")
    return Effect(
        estimate=limits.estimate - 1,
        low=limits.low - 1,
        high=limits.high - 1,
        scale=Scale.RELATIVE,
        validity=Validity.ANYTIME,
        level=level,
        n_control=round(n0),
        n_treatment=round(n1),
        method=METHOD,
        assumptions=ASSUMPTIONS,
    )


def _start(arms: Arms) -> float:
    """Where the search begins: the estimate, or half an event's worth when an arm has none."""
    ratio = observed_ratio(arms)
    if ratio > 0 and isfinite(ratio):
        return ratio
    exposure = float(arms.n0.sum() / arms.n1.sum())
    half = 0.5 / float(arms.events.sum())
    return exposure * (half if ratio == 0 else 1 / half)


def _evidence(arms: Arms, kind: Kind, sign: int, bound: float) -> Callable[[float], float]:
    """By how much the evidence that the ratio differs from exp(x), in one direction, passes."""

    def passes(x: float) -> float:
        found = share(arms, kind=kind, sign=sign, ratio=exp(x), safe=False)
        return float(found.r) - bound

    return passes


def edge(passes: Callable[[float], float], start: float, pinned: float, way: int) -> float | None:
    """The first point from `start` in direction `way` (-1 or 1) at which the evidence passes.

    The pinned point is on the way if it lies in that direction, so that it falls on the side
    on which the test itself puts it. None where no point within reach is ruled out.

    >>> round(edge(lambda x: x - 3, 1.0, 1.0, 1), 6)
    3.0
    """
    near = start
    if (pinned - start) * way > 0:
        if passes(pinned) > 0:
            return _crossing(passes, start, pinned)
        near = pinned
    step = 0.125
    while abs(near - start) < REACH:
        far = near + way * step
        if passes(far) > 0:
            return _crossing(passes, near, far)
        near, step = far, step * 2
    return None


def _crossing(passes: Callable[[float], float], near: float, far: float) -> float:
    if passes(near) >= 0:  # corrections may reject the estimate itself when events are very few
        return near
    return float(brentq(passes, near, far, xtol=1e-11, rtol=1e-12))
