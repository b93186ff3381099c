"""Synthetic control: one treated group against a blend of others that tracked it before.

How much the blend may miss by chance is seen by giving every other group a pretended change:
a placebo. Both placebos, over groups and over time, are part of the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import floor, sqrt

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize

from analysis.arguments import Floats, finite_array, open_share
from analysis.effect import Effect, Scale, Undecided, Validity
from analysis.quality import Check, State

_ASSUMPTIONS = (
    "the blend would have gone on tracking the group",
    "the change did not reach the other groups",
    "the group with the change could as well have been any other",
)
_PERFECT = 1e-9  # of the series' spread: a blend this close is the group itself, copied


@dataclass(frozen=True, slots=True)
class Placebo:
    """What a pretended change did to a group that had none.

    gap: mean gap since the start. miss: root mean squared gap before it. ratio: root mean
    squared gap since over the one before, as Abadie, Diamond and Hainmueller compare them.
    gaps: the gap in each period, shape (t,), for the picture.
    """

    name: str
    gap: float
    miss: float
    ratio: float
    gaps: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class Synthetic:
    """The effect with all that is needed to doubt it.

    effect: mean gap since the start; n_control counts the groups blended from. weights: of each
    in the blend, summing to 1. expected: the blend, shape (t,). treated: the group's own gap,
    miss and ratio. placebos: the same for every other group. ratio_p_value: rank of the treated
    ratio among all. before: the same method with a start pretended at two thirds of the past;
    its gap should be near none. fit: whether the blend tracked the group.
    """

    effect: Effect
    weights: Mapping[str, float]
    expected: tuple[float, ...]
    treated: Placebo
    placebos: tuple[Placebo, ...]
    ratio_p_value: float
    before: Placebo
    fit: Check


def synthetic_control(
    treated: ArrayLike,
    others: Mapping[str, ArrayLike],
    start: int,
    *,
    name: str = "treated",
    shift: bool = True,
    level: float = 0.9,
) -> Synthetic | Undecided:
    """Effect of a change that came to one group only, with placebo tests.

    treated: shape (t,), oldest first. others: by name, shape (t,) each, of groups the change
    did not reach. start: index of the first period with it. shift: compare movements around
    each group's own mean before the start (Ferman and Pinto), rather than levels. level: in
    (0, 1), at most k / (k + 1) for k other groups: more, placebos cannot give.

    Weights are 0 or more, sum to 1 and minimise the squared gaps before the start. The p-value
    is the rank of the treated group's gap, in units of its miss before, among all groups; the
    interval holds every constant effect that this test does not reject. Undecided with fewer
    than two other groups or eight periods before, or too few groups for the level. Raises
    ValueError naming what does not fit. Sources: Abadie, Diamond & Hainmueller (2010), JASA
    105:493-505; Firpo & Possebom (2018), J. Causal Inference 6; Ferman & Pinto (2021),
    Quantitative Economics 12:1197-1221.

    >>> rng = np.random.default_rng(1)
    >>> waves = np.cumsum(rng.normal(size=(3, 40)), axis=1)
    >>> group = lambda: rng.dirichlet([1, 1, 1]) @ waves + rng.normal(0, 0.1, 40)
    >>> own, others = group() + 2 * (np.arange(40) >= 30), {f"g{i}": group() for i in range(19)}
    >>> found = synthetic_control(own, others, 30)
    >>> found.effect.low < 2 < found.effect.high, found.effect.p_value
    (True, 0.05)
    """
    open_share("level", level)
    own, names, pool = _series(treated, others)
    if not 1 <= start < max(len(own), 2):
        raise ValueError(f"start must lie within 1 to {len(own) - 1}, not {start}")
    if len(names) < 2:
        return Undecided("fewer than two groups to blend", needs="more groups without the change")
    if start < 8:
        return Undecided("fewer than 8 periods before the change", needs="a longer past")
    least = floor((1 - level) * (len(names) + 1) * (1 + 1e-12))
    if least < 1:
        return Undecided(
            f"{len(names)} other groups allow no interval at this level",
            needs="more groups, or a lower level",
        )
    return _study(own, names, pool, start, name, shift, level, least)


def _series(
    treated: ArrayLike, others: Mapping[str, ArrayLike]
) -> tuple[Floats, list[str], Floats]:
    own = finite_array("treated", treated)
    rows = [finite_array(f"others[{name!r}]", values) for name, values in others.items()]
    if any(len(row) != len(own) for row in rows):
        raise ValueError(f"others must have {len(own)} periods each, as treated has")
    return own, list(others), np.array(rows).reshape(len(rows), len(own))


def _study(
    own: Floats,
    names: list[str],
    pool: Floats,
    start: int,
    name: str,
    shift: bool,
    level: float,
    least: int,
) -> Synthetic | Undecided:
    weights, expected = _blend(own, pool, start, shift)
    real = _placebo(name, own - expected, start)
    spread = float(np.std(own[:start]))
    if real.miss <= _PERFECT * max(spread, float(np.abs(own).max())):
        return Undecided("another group is the same as the one with the change", "other groups")
    placebos = tuple(
        _placebo(other, pool[i] - _blend(pool[i], np.delete(pool, i, 0), start, shift)[1], start)
        for i, other in enumerate(names)
    )
    pretended = max(start * 2 // 3, 1)
    _, earlier = _blend(own[:start], pool[:, :start], pretended, shift)
    return Synthetic(
        effect=_effect(real, placebos, level, least),
        weights=dict(zip(names, (float(w) for w in weights), strict=True)),
        expected=tuple(float(value) for value in expected),
        treated=real,
        placebos=placebos,
        ratio_p_value=(1 + sum(p.ratio >= real.ratio for p in placebos)) / (1 + len(names)),
        before=_placebo(name, own[:start] - earlier, pretended),
        fit=_fit(real, spread),
    )


def _effect(real: Placebo, placebos: tuple[Placebo, ...], level: float, least: int) -> Effect:
    """The gap, its rank among the placebos, and every constant effect that rank allows."""
    sizes = sorted((_size(placebo) for placebo in placebos), reverse=True)
    rank = sum(size >= _size(real) for size in sizes)
    reach = sizes[least - 1] * real.miss
    return Effect(
        estimate=real.gap,
        low=real.gap - reach,
        high=real.gap + reach,
        scale=Scale.ABSOLUTE,
        validity=Validity.FIXED,
        level=level,
        n_control=len(placebos),
        n_treatment=1,
        method="synthetic control, interval and p-value from placebos in every other group",
        p_value=(1 + rank) / (1 + len(placebos)),
        assumptions=_ASSUMPTIONS,
    )


def _blend(own: Floats, pool: Floats, start: int, shift: bool) -> tuple[Floats, Floats]:
    """Weights on the simplex, and the blend over all periods."""
    base = own[:start].mean() if shift else 0.0
    bases = pool[:, :start].mean(axis=1) if shift else np.zeros(len(pool))
    moves = pool - bases[:, None]
    target = own[:start] - base
    size = max(float(np.abs(moves[:, :start]).max()), float(np.abs(target).max()), 1e-300)
    # A heavily weighted extra row makes the weights sum to 1; what rounding leaves is divided out.
    heavy = 1e3 * sqrt(start)
    rows = np.vstack([moves[:, :start].T / size, np.full(len(pool), heavy)])
    weights, _ = optimize.nnls(rows, np.append(target / size, heavy), maxiter=30 * len(pool) + 100)
    weights = weights / weights.sum()
    return weights, base + weights @ moves


def _placebo(name: str, gaps: Floats, start: int) -> Placebo:
    miss = float(np.sqrt(np.mean(gaps[:start] ** 2)))
    since = float(np.sqrt(np.mean(gaps[start:] ** 2)))
    # A perfect past would make any ratio infinite; a rounding of it stands in.
    floor_ = max(miss, _PERFECT * since, 1e-300)
    drawn = tuple(float(gap) for gap in gaps)
    return Placebo(name, float(gaps[start:].mean()), miss, since / floor_, drawn)


def _size(placebo: Placebo) -> float:
    """The gap since, in units of the miss before."""
    return abs(placebo.gap) / max(placebo.miss, _PERFECT * abs(placebo.gap), 1e-300)


def _fit(real: Placebo, spread: float) -> Check:
    """Whether the blend follows the movements of the past at all."""
    left = real.miss / spread if spread else 1.0
    reason = (
        f"the blend misses {min(left, 9.99):.0%} of the group's usual movement before the change"
    )
    if left > 0.8:
        return Check(
            "fit before the change", State.WARNING, f"{reason}: it hardly tracks the group"
        )
    return Check("fit before the change", State.FINE, reason)
