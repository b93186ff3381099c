"""The root of a curve that is nearly a straight line, in the few steps that it deserves.

Source: Newton's step kept within a bracket, as Press et al. (2007), Numerical Recipes, 9.4.
"""

from collections.abc import Callable
from math import inf, isfinite


def near_linear_root(
    curve: Callable[[float], float],
    guess: float,
    run: float,
    *,
    low: float = -inf,
    high: float = inf,
    precision: float = 1e-6,
) -> float:
    """Where a rising curve crosses zero, by secants kept inside what is known of the root.

    curve: may be infinite towards its ends. guess: a first point. run: about how far it takes the
        curve to rise by 1, above 0. low, high: the ends of the domain; if the curve does not cross
        between them, the answer is the end where it comes nearest.
    precision: the last step is at most this share of a run, and the error far smaller.

    >>> round(near_linear_root(lambda x: x + x**3 - 2, 0.5, 0.3), 9)
    1.0
    >>> near_linear_root(lambda x: x - 2, 0.5, 1.0, high=1.0)
    1.0
    """
    at, pace = min(max(guess, low), high), run
    value = curve(at)
    ends = {low, high}  # of the domain, not yet tried
    near, stride = precision * run, 4 * run  # not further than that on the word of a slope
    while value != 0 and high - low > near:
        if at == (high if value < 0 else low):
            return at  # the curve does not cross before the end of its domain
        low, high = (at, high) if value < 0 else (low, at)
        step = value * pace
        if not -stride < step < stride:
            step = stride if step > 0 else -stride
        following = at - step
        if not low < following < high:
            end = high if value < 0 else low
            following = end if end in ends else (low + high) / 2
        ends.discard(following)
        following_value = curve(following)
        moved, rose = following - at, following_value - value
        at, value = following, following_value
        if -near <= moved <= near and isfinite(value):
            return at
        pace = moved / rose if 0 < rose * moved < inf else run
    return at
