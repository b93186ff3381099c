"""What every comparison asks of its sums first: are they usable, and is the level a level?"""

from collections.abc import Iterable
from math import isfinite

from scipy.special import ndtr, ndtri, stdtr, stdtrit

from analysis.effect import Effect, Scale, Undecided, Validity
from analysis.summary import PairSummary, Summary

BROKEN = Undecided(
    "some values are missing or infinite, so their sum says nothing",
    needs="a clean feed: leave missing values out and count them",
)
CONSTANT = Undecided(
    "every unit has the same value in both variations, so chance cannot be judged",
    needs="units whose values differ",
)
NO_BASELINE = Undecided(
    "the control's value cannot be told from zero, so a relative change means nothing yet",
    needs="more units, or the absolute difference",
)
UNBOUNDED = Undecided("the effect cannot be bounded yet", needs="more units")


def check_level(level: float) -> None:
    """Raise ValueError unless level is a confidence level in (0, 1).

    >>> check_level(95)
    Traceback (most recent call last):
    ValueError: level must lie between 0 and 1, not 95
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, not {level}")


def unusable(control: Summary, treatment: Summary, *, least: int = 2) -> Undecided | None:
    """Why two summaries cannot be compared, or None if they can.

    least: units that each variation needs.
    Raises ValueError if a number of units is negative.
    control, treatment: sums of one value per unit. Returns an Undecided that says why.

    >>> unusable(Summary(), Summary.of([1, 2])).reason
    'control has no units so far'
    >>> unusable(Summary.of([1, 2]), Summary.of([1, 2])) is None
    True
    """
    sums = (control.total, control.squares, treatment.total, treatment.squares)
    return _unusable(control.n, treatment.n, sums, least)


def unusable_pairs(
    control: PairSummary, treatment: PairSummary, *, least: int = 2
) -> Undecided | None:
    """As `unusable`, for two values per unit.

    >>> unusable_pairs(PairSummary.of([1], [2]), PairSummary()).reason
    'control has only 1 unit so far'
    """
    sums = [s for a in (control, treatment) for s in (a.x_total, a.y_total, a.xx, a.yy, a.xy)]
    return _unusable(control.n, treatment.n, sums, least)


def _unusable(control: int, treatment: int, sums: Iterable[float], least: int) -> Undecided | None:
    for name, n in (("control", control), ("treatment", treatment)):
        if n < 0:
            raise ValueError(f"{name}: n must not be negative, it is {n}")
    if not all(map(isfinite, sums)):
        return BROKEN
    for name, n in (("control", control), ("treatment", treatment)):
        if n < least:
            return too_few(name, n, least)
    return None


def too_few(name: str, n: int, least: int) -> Undecided:
    """The answer where a variation has too few units.

    name: of the variation. n: its units. least: as many as are needed. Always Undecided.

    >>> too_few("treatment", 3, 5).reason
    'treatment has only 3 units so far'
    """
    seen = "no units" if n == 0 else "only 1 unit" if n == 1 else f"only {n} units"
    return Undecided(f"{name} has {seen} so far", needs=f"at least {least} in each variation")


def z_quantile(level: float) -> float:
    """The normal quantile of a two-sided interval: 1.96 for 0.95.

    >>> round(z_quantile(0.95), 2)
    1.96
    """
    return -float(ndtri((1 - level) / 2))


def t_quantile(level: float, degrees: float) -> float:
    """Student's quantile of a two-sided interval.

    degrees: of freedom, above 0.

    >>> round(t_quantile(0.95, 10), 3)
    2.228
    """
    return -float(stdtrit(degrees, (1 - level) / 2))


def t_p_value(statistic: float, degrees: float) -> float:
    """Two-sided chance of a t statistic this far from zero.

    degrees: of freedom, above 0.

    >>> round(t_p_value(-2.228, 10), 3)
    0.05
    """
    return min(1.0, 2 * float(stdtr(degrees, -abs(statistic))))


def side_p_value(estimate: float, low: float, high: float, level: float) -> float | None:
    """Two-sided p-value read off an interval, for methods that give an interval only.

    The side of it that looks towards zero is taken for normal, so that the p-value is below
    1 - level exactly where zero lies outside. None where that side has no width.
    estimate, low, high: on a scale on which no difference is 0.

    >>> round(side_p_value(2.0, 0.0, 5.0, 0.95), 3)
    0.05
    """
    side = estimate - low if estimate > 0 else high - estimate
    if side <= 0:
        return None
    return min(1.0, 2 * float(ndtr(-abs(estimate) / side * z_quantile(level))))


def fixed_effect(
    estimate: float,
    low: float,
    high: float,
    *,
    scale: Scale,
    level: float,
    units: tuple[int, int],
    method: str,
    p_value: float | None = None,
    assumptions: tuple[str, ...] = (),
    validity: Validity = Validity.FIXED,
) -> Effect | Undecided:
    """An effect valid for one look; rounding never puts the estimate outside its interval.

    Answers Undecided where a limit does not exist (it is infinite or not a number).
    low, high: its limits. p_value, assumptions: as an `Effect` carries them.

    >>> effect = fixed_effect(
    ...     0.1, 0.0, 0.3, scale=Scale.RELATIVE, level=0.95, units=(10, 10), method="by hand"
    ... )
    >>> effect.validity
    <Validity.FIXED: 'fixed'>
    """
    if not (isfinite(estimate) and isfinite(low) and isfinite(high)):
        return UNBOUNDED
    low, high = min(low, estimate), max(high, estimate)
    return Effect(
        estimate,
        low,
        high,
        scale,
        validity,
        level,
        *units,
        method=method,
        p_value=p_value,
        assumptions=assumptions,
    )
