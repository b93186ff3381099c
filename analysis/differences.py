"""Difference in differences: what changed where the change came, less what changed elsewhere.

For changes that could not be randomised. It stands or falls with one belief, that both sides
would have moved alike; what the time before says of that is always shown beside the effect.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import expm1

import numpy as np
from numpy.typing import ArrayLike, NDArray

from analysis.arguments import Floats, finite_array, open_share, same_length
from analysis.effect import Effect, Scale, Undecided, Validity
from analysis.inputs import UNBOUNDED
from analysis.quality import Check, State
from analysis.robust import (
    ClusteredContrast,
    ClusterSums,
    clustered,
    wild_cluster_bootstrap,
)

_ASSUMPTIONS = (
    "without the change both sides would have moved alike",
    "nothing else came at the same time to one side only",
    "nobody acted on the change before it came",
)

_LARGEST_LOG = 700  # its exponential is still finite


@dataclass(frozen=True, slots=True)
class Point:
    """The gap between both sides in one period, against the mean of the periods before."""

    period: int
    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Differences:
    """The effect, what the time before says of its one belief, and the picture.

    effect: mean over the periods since the start; its n_control and n_treatment count groups.
    trends: whether the sides drifted apart before. points: one per period, pointwise limits.
    """

    effect: Effect
    trends: Check
    points: tuple[Point, ...]


def difference_in_differences(
    outcomes: ArrayLike,
    treated: Sequence[bool],
    start: int,
    *,
    weights: ArrayLike | None = None,
    scale: Scale = Scale.ABSOLUTE,
    level: float = 0.95,
    wild: bool = False,
    seed: int = 0,
) -> Differences | Undecided:
    """Effect of a change that came to some groups at one time and not to others.

    outcomes: shape (g, t), a value per group (region, shop, customer) and period, none missing.
    treated: shape (g,). start: index of the first period with the change, 1 to t - 1.
    weights: shape (g,), above 0, e.g. customers per group; equal if None. scale: relative takes
    logarithms first, so that both sides are believed to move by the same share.
    level: of all intervals, in (0, 1). wild: the wild cluster bootstrap (seed) instead of CR2.

    Each group is reduced to its change of mean from before to since, so that correlation over
    time does no harm; errors are CR2 over groups. Undecided below two groups on a side or
    without scatter, or for a relative effect on values of 0 or less. Raises ValueError naming what
    does not fit.
    Sources: Bertrand, Duflo & Mullainathan (2004), QJE 119:249-275; Roth (2022), AER:
    Insights 4:305-322 (why no drift seen is not yet no drift).

    >>> panel = [[1, 2, 2, 3], [2, 3, 4, 4], [1, 2, 5, 6], [3, 4, 8, 8]]
    >>> found = difference_in_differences(panel, [False, False, True, True], 2)
    >>> found.effect.estimate
    3.0
    """
    open_share("level", level)
    panel = finite_array("outcomes", outcomes, 2)
    arm = _arm(treated, panel)
    if not 1 <= start < panel.shape[1]:
        raise ValueError(f"start must lie within 1 to {panel.shape[1] - 1}, not {start}")
    sizes = _sizes(weights, len(panel))
    if scale is Scale.RELATIVE and panel.min() <= 0:
        return Undecided("a value of 0 or below has no ratio", needs="an absolute effect")
    if scale is Scale.RELATIVE:
        panel = np.log(panel)
    if min(int(arm.sum()), int((~arm).sum())) < 2:
        return Undecided("fewer than two groups with, or without, the change", "more groups")
    change = panel[:, start:].mean(axis=1) - panel[:, :start].mean(axis=1)
    fit = _compare(change, arm, sizes)
    if isinstance(fit, Undecided):
        return fit
    effect = _effect(fit, arm, level, wild, seed)
    if isinstance(effect, Undecided):
        return effect
    trends = parallel_trends(panel, treated, start, weights=sizes)
    found = Differences(effect, trends, _points(panel, start, fit, level))
    return found if scale is Scale.ABSOLUTE else _as_shares(found)


def _as_shares(found: Differences) -> Differences | Undecided:
    """Differences of logarithms as ratios minus one."""
    effect = found.effect
    if effect.high > _LARGEST_LOG:
        return UNBOUNDED
    points = tuple(
        Point(p.period, expm1(p.estimate), expm1(p.low), expm1(p.high))
        for p in found.points
        if p.high <= _LARGEST_LOG
    )
    shares = replace(
        effect,
        estimate=expm1(effect.estimate),
        low=expm1(effect.low),
        high=expm1(effect.high),
        scale=Scale.RELATIVE,
        method=f"{effect.method}, log scale",
    )
    return replace(found, effect=shares, points=points)


def _arm(treated: Sequence[bool], panel: Floats) -> NDArray[np.bool_]:
    same_length(treated=treated, outcomes=panel)
    return np.asarray(treated, dtype=bool)


def _sizes(weights: ArrayLike | None, groups: int) -> Floats:
    if weights is None:
        return np.ones(groups)
    sizes = finite_array("weights", weights)
    if len(sizes) != groups or sizes.min() <= 0:
        raise ValueError("weights must be one per group, each above 0")
    return sizes


def _compare(
    values: Floats, arm: NDArray[np.bool_], sizes: Floats
) -> ClusteredContrast | Undecided:
    """Weighted difference of a value per group between the sides."""
    sides = np.column_stack([~arm, arm]).astype(np.float64)
    gram = sizes[:, None, None] * sides[:, :, None] * sides[:, None, :]
    moment = (sizes * values)[:, None] * sides
    return clustered(ClusterSums(gram, moment, len(values)), [-1.0, 1.0])


def _effect(
    fit: ClusteredContrast, arm: NDArray[np.bool_], level: float, wild: bool, seed: int
) -> Effect | Undecided:
    low, high = fit.interval(level)
    p_value, how = fit.p_value, "CR2 errors over groups"
    if wild:
        found = wild_cluster_bootstrap(fit, level=level, seed=seed)
        if isinstance(found, Undecided):
            return found
        low, high, p_value, how = found.low, found.high, found.p_value, "wild cluster bootstrap"
    return Effect(
        estimate=fit.estimate,
        low=min(low, fit.estimate),
        high=max(high, fit.estimate),
        scale=Scale.ABSOLUTE,
        validity=Validity.FIXED,
        level=level,
        n_control=int((~arm).sum()),
        n_treatment=int(arm.sum()),
        method=f"difference in differences, {how}",
        p_value=p_value,
        assumptions=_ASSUMPTIONS,
    )


def parallel_trends(
    outcomes: ArrayLike,
    treated: Sequence[bool],
    start: int,
    *,
    weights: ArrayLike | None = None,
    alpha: float = 0.05,
) -> Check:
    """Whether the sides drifted apart before the change: difference of their linear trends.

    Arguments as in `difference_in_differences`; alpha: chance of a false alarm, in (0, 1).
    Broken if they did, since the effect would carry the drift on. Unknown below three periods
    before the start, or without scatter.
    Raises ValueError as there. Source: Roth (2022), AER: Insights 4:305-322, for its weakness.

    >>> parallel_trends([[1, 2, 3, 3]] * 2 + [[1, 3, 5, 8]] * 2, [False, False, True, True], 3).state
    <State.UNKNOWN: 'unknown'>
    """
    open_share("alpha", alpha)
    panel = finite_array("outcomes", outcomes, 2)
    arm, sizes = _arm(treated, panel), _sizes(weights, len(panel))
    name = "parallel trends"
    if start < 3:
        reason = "fewer than three periods before the change: a drift could not be seen"
        return Check(name, State.UNKNOWN, reason, needs="a longer past")
    time = np.arange(start) - (start - 1) / 2
    fit = _compare(panel[:, :start] @ time / (time @ time), arm, sizes)
    if isinstance(fit, Undecided):
        return Check(name, State.UNKNOWN, fit.reason, needs=fit.needs)
    if fit.p_value < alpha:
        reason = "the sides drifted apart before the change, so the effect may be that drift"
        return Check(name, State.BROKEN, reason, fit.p_value)
    low, high = fit.interval(0.95)
    reason = (
        f"no drift seen before the change; one of {low:.3g} to {high:.3g} per period "
        "would have gone unseen"
    )
    return Check(name, State.FINE, reason, fit.p_value)


def _points(panel: Floats, start: int, fit: ClusteredContrast, level: float) -> tuple[Point, ...]:
    """The gap in each period against the mean gap of the other periods before the change."""
    sides = np.einsum("gpp->gp", fit.sums.gram)  # the group's weight, in the column of its side
    points = []
    for period in range(panel.shape[1]):
        before = [t for t in range(start) if t != period]
        if before:
            gaps = panel[:, period] - panel[:, before].mean(axis=1)
            found = fit.of_moment(sides * gaps[:, None])
            if isinstance(found, ClusteredContrast):
                points.append(Point(period, found.estimate, *found.interval(level)))
    return tuple(points)
