"""Score intervals of two proportions: difference and ratio, after Miettinen & Nurminen (1985).

Every limit solves the score equation itself. `x0, n0` are the control's events and units, `x1, n1`
the treatment's; events are whole numbers from 0 to the units.

Source: Miettinen & Nurminen (1985), Statistics in Medicine 4:213; the restricted estimate in closed
form after Farrington & Manning (1990), Statistics in Medicine 9:1447; Koopman (1984), Biometrics
40:513, is the ratio without the factor N / (N - 1).

level: of the interval, two-sided, in (0, 1).
"""

from math import acos, copysign, cos, exp, inf, log, pi, sqrt

from scipy.special import chdtrc

from analysis.inputs import z_quantile
from analysis.roots import near_linear_root

POLISHED = 0.01


def difference_limits(
    x0: int, n0: int, x1: int, n1: int, *, level: float = 0.95
) -> tuple[float, float]:
    """Limits of p1 - p0, each in [-1, 1].

    >>> tuple(round(limit, 4) for limit in difference_limits(48, 80, 56, 70))
    (0.0528, 0.3382)
    """
    z, estimate = z_quantile(level), x1 / n1 - x0 / n0
    run = sqrt(_spread(x0, n0) + _spread(x1, n1))

    def below(delta: float) -> float:  # rising in delta, zero at the lower limit
        return z - difference_score(x0, n0, x1, n1, delta)

    def above(delta: float) -> float:
        return -z - difference_score(x0, n0, x1, n1, delta)

    low = near_linear_root(below, estimate - z * run, run, low=-1.0, high=estimate)
    high = near_linear_root(above, estimate + z * run, run, low=estimate, high=1.0)
    return low, high


def ratio_limits(x0: int, n0: int, x1: int, n1: int, *, level: float = 0.95) -> tuple[float, float]:
    """Limits of p1 / p0.

    The lower is 0 without events in treatment, the upper infinite without events in control.

    >>> tuple(round(limit, 4) for limit in ratio_limits(48, 80, 56, 70))
    (1.079, 1.6721)
    """
    z = z_quantile(level)
    centre = log(max(x1, 0.5) / n1) - log(max(x0, 0.5) / n0)
    run = sqrt(1 / max(x0, 0.5) + 1 / max(x1, 0.5))

    def below(log_ratio: float) -> float:
        return z - ratio_score(x0, n0, x1, n1, exp(log_ratio))

    def above(log_ratio: float) -> float:
        return -z - ratio_score(x0, n0, x1, n1, exp(log_ratio))

    low = exp(near_linear_root(below, centre - z * run, run)) if x1 else 0.0
    high = exp(near_linear_root(above, centre + z * run, run)) if x0 else inf
    return low, high


def p_value(x0: int, n0: int, x1: int, n1: int) -> float:
    """Two-sided p-value of no difference, the one that goes with both intervals.

    >>> round(p_value(48, 80, 56, 70), 4)
    0.0083
    """
    return float(chdtrc(1, difference_score(x0, n0, x1, n1, 0.0) ** 2))


def difference_score(x0: int, n0: int, x1: int, n1: int, delta: float) -> float:
    """Standard errors by which the observed difference exceeds delta, were delta true.

    >>> round(difference_score(48, 80, 56, 70, 0.0528), 2)
    1.96
    """
    p0 = restricted_difference(x0, n0, x1, n1, delta)
    p1 = min(max(p0 + delta, 0.0), 1.0)
    variance = p0 * (1 - p0) / n0 + p1 * (1 - p1) / n1
    return _standardised(x1 / n1 - x0 / n0 - delta, variance, n0 + n1)


def ratio_score(x0: int, n0: int, x1: int, n1: int, ratio: float) -> float:
    """Standard errors by which p1 exceeds ratio times p0, were that the true ratio.

    >>> round(ratio_score(48, 80, 56, 70, 1.079), 2)
    1.96
    """
    p0 = restricted_ratio(x0, n0, x1, n1, ratio)
    p1 = min(ratio * p0, 1.0)
    variance = p1 * (1 - p1) / n1 + ratio * ratio * p0 * (1 - p0) / n0
    return _standardised(x1 / n1 - ratio * x0 / n0, variance, n0 + n1)


def restricted_ratio(x0: int, n0: int, x1: int, n1: int, ratio: float) -> float:
    """The likeliest p0 among all pairs with p1 = ratio * p0: the smaller root of a quadratic.

    >>> restricted_ratio(40, 100, 60, 100, 1.0)
    0.5
    """
    b = n1 * ratio + x1 + n0 + x0 * ratio
    inside = b * b - 4 * (n0 + n1) * ratio * (x0 + x1)
    return min(2 * (x0 + x1) / (b + sqrt(max(inside, 0.0))), 1.0, 1 / ratio)


def restricted_difference(x0: int, n0: int, x1: int, n1: int, delta: float) -> float:
    """The likeliest p0 among all pairs with p1 = p0 + delta.

    >>> round(restricted_difference(40, 100, 60, 100, 0.2), 9)
    0.4
    """
    low, high = (0.0, 1.0 - delta) if delta > 0 else (-delta, 1.0)
    p0 = _cubic_root(x0, n0, x1, n1, delta)
    p0 = low if p0 < low else high if p0 > high else p0
    # The closed form loses digits where proportions are tiny: polish it there by Newton's steps.
    for _ in range(2 if p0 < POLISHED or p0 + delta < POLISHED else 0):
        if not low < p0 < high:
            break
        p1 = p0 + delta
        slope = x0 / p0 - (n0 - x0) / (1 - p0) + x1 / p1 - (n1 - x1) / (1 - p1)
        bend = x0 / p0**2 + (n0 - x0) / (1 - p0) ** 2 + x1 / p1**2 + (n1 - x1) / (1 - p1) ** 2
        p0 += slope / bend
    return low if p0 < low else high if p0 > high else p0


def _cubic_root(x0: int, n0: int, x1: int, n1: int, delta: float) -> float:
    """The root of the likelihood equation that lies in the parameter space, in closed form."""
    share, e0, e1 = n0 / n1, x0 / n0, x1 / n1
    a = 1 + share
    b = -(1 + share + e1 + share * e0 + delta * (share + 2))
    c = delta * delta + delta * (2 * e1 + share + 1) + e1 + share * e0
    d = -e1 * delta * (1 + delta)
    third = b / (3 * a)
    v = third**3 - b * c / (6 * a * a) + d / (2 * a)
    inside = third * third - c / (3 * a)
    u = copysign(sqrt(inside), v) if inside > 0 else 0.0
    cosine = v / u**3 if u else 0.0
    angle = (pi + acos(-1.0 if cosine < -1 else 1.0 if cosine > 1 else cosine)) / 3
    return 2 * u * cos(angle) - third - delta


def _spread(x: int, n: int) -> float:
    """A variance of the observed proportion that is never zero."""
    return (x + 0.5) * (n - x + 0.5) / n**3


def _standardised(distance: float, variance: float, units: int) -> float:
    if variance <= 0:
        return copysign(inf, distance) if distance else 0.0
    return distance / sqrt(variance * units / (units - 1))
