"""From an interval for one look to one that holds at every look: asymptotic confidence sequences.

For effects of many units whose estimate is near normal. It is wider than the interval for one look
by about half where it is tightest, and is *not* for rare events or for money with long tails: there
the stop-loss has its own interval.

Source: Waudby-Smith, Arbour, Sinha, Kennedy & Ramdas (2021), "Time-uniform central limit theory and
asymptotic confidence sequences", arXiv:2103.06476, theorem 2.2.
"""

from dataclasses import replace
from math import exp, log, log1p, sqrt

from analysis.effect import Effect, Scale, Undecided, Validity
from analysis.inputs import UNBOUNDED, too_few, z_quantile

LEAST_UNITS = 100
ASSUMPTION = "many units, near normal: asymptotic; not for rare events or money with a long tail"


def always_valid(effect: Effect | Undecided, *, planned: int) -> Effect | Undecided:
    """The same estimate with an interval and a p-value valid however often one looks.

    effect: of any kind, valid for one look; its interval's sides are widened, on the logarithm where
        it is relative. planned: units of both arms together at which the sequence is to be
        tightest; fixed before the first look.
    Undecided stays so, and is the answer below 100 units in an arm, or for limits without end.
    Raises ValueError if planned is below 1 or the effect is valid at every look already.

    >>> from analysis.mean import difference
    >>> from analysis.summary import Summary
    >>> once = difference(Summary(1000, 2000.0, 5000.0), Summary(1000, 2100.0, 5410.0))
    >>> always = always_valid(once, planned=2000)
    >>> round(once.high - once.estimate, 4), round(always.high - always.estimate, 4)
    (0.0877, 0.1359)
    """
    if planned < 1:
        raise ValueError(f"planned must be at least 1, not {planned}")
    if isinstance(effect, Undecided):
        return effect
    if effect.validity is Validity.ANYTIME:
        raise ValueError("effect: valid at every look already")
    for name, n in (("control", effect.n_control), ("treatment", effect.n_treatment)):
        if n < LEAST_UNITS:
            return too_few(name, n, LEAST_UNITS)
    alpha = 1 - effect.level
    mixed = (effect.n_control + effect.n_treatment) / planned * tightest(alpha)
    wider = half_width(alpha, mixed) / z_quantile(effect.level)
    try:
        low, high = _widened(effect, wider)
    except OverflowError:  # a ratio that no float holds
        return UNBOUNDED
    return replace(
        effect,
        low=min(low, effect.estimate),
        high=max(high, effect.estimate),
        validity=Validity.ANYTIME,
        method=f"{effect.method}, asymptotic confidence sequence",
        p_value=_p_value(effect, mixed),
        assumptions=(*effect.assumptions, ASSUMPTION),
    )


def error_behind(effect: Effect, *, planned: int) -> float:
    """The standard error from which `always_valid` made this interval, 0 or more.

    effect: as `always_valid` gave it; relative ones answer on the logarithm. planned: the same.
    Raises ValueError if planned is below 1, the effect is valid for one look only or counted
    nobody, or a relative interval reaches -100 %: nothing of its width is left there.

    >>> from analysis.mean import difference
    >>> from analysis.summary import Summary
    >>> once = difference(Summary(1000, 2000.0, 5000.0), Summary(1000, 2100.0, 5410.0))
    >>> round(error_behind(always_valid(once, planned=2000), planned=2000), 4)
    0.0448
    """
    if planned < 1:
        raise ValueError(f"planned must be at least 1, not {planned}")
    if effect.validity is not Validity.ANYTIME:
        raise ValueError("effect: valid for one look only")
    low, high = effect.low, effect.high
    if effect.scale is Scale.RELATIVE:
        if low <= -1:
            raise ValueError("effect: a relative interval that reaches -100 % has no error")
        low, high = log1p(low), log1p(high)
    if effect.n_control + effect.n_treatment < 1:
        raise ValueError("effect: nobody was counted")
    alpha = 1 - effect.level
    mixed = (effect.n_control + effect.n_treatment) / planned * tightest(alpha)
    return (high - low) / (2 * half_width(alpha, mixed))


def half_width(alpha: float, mixed: float) -> float:
    """Standard errors on either side of the estimate: two-sided error alpha over all looks.

    mixed: the information so far over that of the mixing prior, above 0.

    >>> round(half_width(0.05, tightest(0.05)), 3)
    3.035
    """
    return sqrt((1 + 1 / mixed) * (log1p(mixed) - 2 * log(alpha)))


def tightest(alpha: float) -> float:
    """The `mixed` at which the sequence is narrowest beside the interval for one look.

    >>> round(tightest(0.05), 2)
    7.94
    """
    twice = -2 * log(alpha)
    return twice + log1p(twice)


def _widened(effect: Effect, wider: float) -> tuple[float, float]:
    base = 1 + effect.estimate
    if effect.scale is Scale.RELATIVE and base > 0 and effect.low > -1:
        ratios = ((1 + limit) / base for limit in (effect.low, effect.high))
        low, high = (base * exp(wider * log(ratio)) - 1 for ratio in ratios)
        return low, high
    below, above = effect.estimate - effect.low, effect.high - effect.estimate
    low, high = effect.estimate - wider * below, effect.estimate + wider * above
    if effect.scale is Scale.RELATIVE and effect.low == -1:  # no event in treatment
        low = -1.0
    return low, high


def _p_value(effect: Effect, mixed: float) -> float:
    """One over the evidence of a normal mixture, at most 1."""
    z = _steps_from_zero(effect)
    return min(1.0, exp(min(log1p(mixed) / 2 - z * z * mixed / (2 * (1 + mixed)), 0.0)))


def _steps_from_zero(effect: Effect) -> float:
    """The estimate in standard errors, by the side of the interval that looks towards zero."""
    estimate, limit = effect.estimate, effect.low if effect.estimate > 0 else effect.high
    if effect.scale is Scale.RELATIVE and min(estimate, effect.low) > -1:
        estimate, limit = log1p(estimate), log1p(limit)
    side = abs(estimate - limit)
    return abs(estimate) / side * z_quantile(effect.level) if side > 0 else 0.0
