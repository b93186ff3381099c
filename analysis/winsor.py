"""Cut long tails: values beyond a limit are moved to it, the same limit in every variation."""

from collections.abc import Sequence
from functools import reduce
from operator import add

from analysis.histogram import Histogram


def limits(arms: Sequence[Histogram], quantile: float) -> tuple[float, float]:
    """Lower and upper limit from all variations together, so that neither is favoured.

    arms: one histogram per variation, at least one with units. quantile: upper, in (0.5, 1).
    The upper limit is that quantile; the lower its mirror where some values are negative, and the
    least value otherwise.
    Raises ValueError for another quantile or without units.
    Source: Dixon (1960), Annals of Mathematical Statistics 31:385.

    >>> limits([Histogram.of(range(100)), Histogram.of([1000])], 0.99)
    (0.0, 99.0)
    """
    if not 0.5 < quantile < 1:
        raise ValueError(f"quantile must lie between 0.5 and 1, not {quantile}")
    whole = reduce(add, arms, Histogram.of([]))
    if whole.n == 0:
        raise ValueError("arms: no units")
    least = float(whole.values[0])
    low = whole.quantile(1 - quantile) if least < 0 else least
    return low, whole.quantile(quantile)


def winsorised(arms: Sequence[Histogram], quantile: float) -> list[Histogram]:
    """Every variation's units with values beyond the common limits moved to them.

    arms, quantile: as in `limits`.

    >>> [float(arm.values.max()) for arm in winsorised([Histogram.of(range(100))] * 2, 0.9)]
    [89.5, 89.5]
    """
    low, high = limits(arms, quantile)
    return [arm.clipped(low, high) for arm in arms]
