"""Three states against a margin: harm shown, safe shown, or not yet known.

Not yet known never counts as safe. A margin is a size, 0 or more, on the effect's own scale: 0.02
is two hundredths of the metric's unit, or two per cent of control.

Sources: beside each method; Schuirmann (1987), J. Pharmacokinetics 15:657, for two one-sided tests.
"""

from math import inf, isfinite, sqrt

from scipy.special import ndtr, stdtr

from analysis.effect import Effect, Finding, Undecided
from analysis.inputs import CONSTANT, unusable, z_quantile
from analysis.mean import welch_degrees
from analysis.summary import Summary


def finding(effect: Effect | Undecided, margin: float, *, higher_is_better: bool) -> Finding:
    """What an effect says about a guardrail that tolerates a worsening of `margin`.

    Harm if the whole interval is worse than the margin, safe if the whole interval is better than
    it, unknown otherwise and without an effect. Each of the two is wrong with a chance of at most
    (1 - level) / 2.
    Raises ValueError for a margin that is negative or not a number.
    Source: Piaggio et al. (2012), JAMA 308:2594 (non-inferiority by confidence interval).

    >>> from analysis.proportion import difference
    >>> effect = difference(Summary(10_000, 900, 900), Summary(10_000, 905, 905))
    >>> finding(effect, 0.02, higher_is_better=False), finding(effect, 0.001, higher_is_better=True)
    (<Finding.SAFE: 'safe'>, <Finding.UNKNOWN: 'unknown'>)
    """
    _check_margin(margin)
    if isinstance(effect, Undecided):
        return Finding.UNKNOWN
    worst, best = (effect.low, effect.high) if higher_is_better else (-effect.high, -effect.low)
    if best < -margin:
        return Finding.HARM
    return Finding.SAFE if worst > -margin else Finding.UNKNOWN


def p_values(effect: Effect, margin: float, *, higher_is_better: bool) -> tuple[float, float]:
    """One-sided p-values of harm beyond the margin and of safety within it.

    Read off the interval, taking each side of it for normal: good for ordering and correcting many
    findings, while `finding` uses the method's own limits. They agree at the effect's level.
    Raises ValueError for a margin that is negative or not a number.

    >>> from analysis.proportion import difference
    >>> effect = difference(Summary(10_000, 900, 900), Summary(10_000, 905, 905))
    >>> [round(p, 4) for p in p_values(effect, 0.01, higher_is_better=False)]
    [0.9904, 0.0096]
    """
    _check_margin(margin)
    bound = -margin if higher_is_better else margin
    below = effect.estimate < bound
    side = effect.high - effect.estimate if below else effect.estimate - effect.low
    distance = bound - effect.estimate
    if side == 0:
        steps = 0.0 if distance == 0 else inf if distance > 0 else -inf
    else:
        steps = distance / side * z_quantile(effect.level)
    under, over = float(ndtr(-steps)), float(ndtr(steps))  # of lying below, above the bound
    return (under, over) if higher_is_better else (over, under)


def equivalent(effect: Effect | Undecided, margin: float) -> bool | Undecided:
    """Whether the interval lies wholly within the margin on both sides.

    A test at alpha uses an interval of level 1 - 2 alpha.
    Raises ValueError for a margin that is negative or not a number.
    Source: Schuirmann (1987), J. Pharmacokinetics and Biopharmaceutics 15:657.
    An Undecided effect is answered as it is.

    >>> from analysis.proportion import difference
    >>> effect = difference(Summary(10_000, 900, 900), Summary(10_000, 905, 905))
    >>> equivalent(effect, 0.02), equivalent(effect, 0.005)
    (True, False)
    """
    _check_margin(margin)
    if isinstance(effect, Undecided):
        return effect
    return -margin < effect.low and effect.high < margin


def tost_p_value(
    control: Summary, treatment: Summary, *, low: float, high: float
) -> float | Undecided:
    """Two one-sided Welch tests: p-value of the means' difference lying outside (low, high).

    low, high: limits of equivalence in the metric's unit, low below high.
    Returns the larger of both one-sided p-values, or Undecided as `analysis.mean.difference` does.
    Raises ValueError unless low < high.
    Source: Schuirmann (1987); statsmodels `ttost_ind(usevar="unequal")` gives the same.

    >>> a = Summary.of([1.0, 1.2, 0.9, 1.1, 1.0])
    >>> round(tost_p_value(a, a, low=-0.3, high=0.3), 4)
    0.0016
    """
    if not low < high:
        raise ValueError(f"low must be below high, not {low} and {high}")
    if (refused := unusable(control, treatment)) is not None:
        return refused
    variances = control.variance / control.n, treatment.variance / treatment.n
    error = sqrt(sum(variances))
    if error == 0:
        return CONSTANT
    degrees = welch_degrees(variances, (control.n, treatment.n))
    estimate = treatment.mean - control.mean
    above = float(stdtr(degrees, -(estimate - low) / error))
    below = float(stdtr(degrees, (estimate - high) / error))
    return max(above, below)


def _check_margin(margin: float) -> None:
    if not (isfinite(margin) and margin >= 0):
        raise ValueError(f"margin must be 0 or more, not {margin}")
