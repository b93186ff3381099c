"""Join two arms' own intervals into one of their difference or ratio (MOVER).

Source: Zou & Donner (2008), Statistics in Medicine 27:1693; Donner & Zou (2012), Statistical
Methods in Medical Research 21:347. With Wilson limits the difference is Newcombe's method 10;
with symmetric limits the ratio is Fieller's.
"""

from math import hypot, inf, sqrt
from typing import NamedTuple


class Limits(NamedTuple):
    """One arm's estimate between its limits."""

    low: float
    estimate: float
    high: float


def difference_limits(control: Limits, treatment: Limits) -> tuple[float, float]:
    """Limits of treatment minus control, from each arm's limits at the same level.

    >>> difference_limits(Limits(1, 2, 3), Limits(4, 8, 12))
    (1.876..., 10.123...)
    """
    difference = treatment.estimate - control.estimate
    below = hypot(treatment.estimate - treatment.low, control.high - control.estimate)
    above = hypot(treatment.high - treatment.estimate, control.estimate - control.low)
    return difference - below, difference + above


def ratio_limits(control: Limits, treatment: Limits) -> tuple[float, float] | None:
    """Limits of treatment over control; None unless control lies clearly above zero.

    >>> ratio_limits(Limits(9, 10, 11), Limits(18, 20, 22))
    (1.735..., 2.305...)
    >>> ratio_limits(Limits(-1, 10, 21), Limits(18, 20, 22)) is None
    True
    """
    if control.low <= 0:
        return None
    product = control.estimate * treatment.estimate
    return _lower(product, control, treatment), _upper(product, control, treatment)


def _lower(product: float, control: Limits, treatment: Limits) -> float:
    """The smaller root of Donner & Zou's quadratic; minus infinite where it has none."""
    lead = control.high * (2 * control.estimate - control.high)
    rest = treatment.low * (2 * treatment.estimate - treatment.low)
    root = sqrt(max(product * product - rest * lead, 0.0))
    if product > 0:  # the form that stands a control whose upper limit is twice its estimate
        return rest / (product + root)
    return (product - root) / lead if lead > 0 else -inf


def _upper(product: float, control: Limits, treatment: Limits) -> float:
    """The larger root, which a control above zero always has."""
    lead = control.low * (2 * control.estimate - control.low)
    rest = treatment.high * (2 * treatment.estimate - treatment.high)
    if lead <= 0:  # so near zero that its square is none
        return inf
    return (product + sqrt(max(product * product - rest * lead, 0.0))) / lead
