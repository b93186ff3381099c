"""Sharper comparisons from what was known before exposure: post-stratification.

Units are compared within strata that were fixed before exposure, such as new and old customers, so
that what lies between the strata no longer blurs the effect.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from math import fsum, isfinite, sqrt

from analysis import mean
from analysis.cuped import Adjusted
from analysis.effect import Scale, Undecided
from analysis.inputs import (
    BROKEN,
    CONSTANT,
    check_level,
    fixed_effect,
    t_p_value,
    t_quantile,
    too_few,
)
from analysis.summary import Summary

STRATIFIED = ("units are independent of each other", "strata were fixed before exposure")


def poststratified(
    control: Mapping[str, Summary], treatment: Mapping[str, Summary], *, level: float = 0.95
) -> Adjusted | Undecided:
    """Treatment's mean minus control's, stratum by stratum, each weighted by its share of all units.

    control, treatment: a summary per stratum, strata being fixed before exposure. Strata with fewer
    than 2 units in an arm are first put together.
    Undecided if that leaves too few, with broken sums, or without spread in any stratum.
    Raises ValueError for a level that cannot be.
    Source: Miratrix, Sekhon & Yu (2013), JRSS B 75:369.

    >>> before = {"new": Summary.of([1, 2, 1, 2]), "old": Summary.of([9, 8, 9, 8])}
    >>> after = {"new": Summary.of([2, 3, 2, 3]), "old": Summary.of([10, 9, 10, 9])}
    >>> found = poststratified(before, after)
    >>> found.effect.estimate, round(found.gain, 2)
    (1.0, 0.98)
    """
    check_level(level)
    found = _weighted(control, treatment)
    if isinstance(found, Undecided):
        return found
    estimate, error = found.means[1] - found.means[0], sqrt(sum(found.variances))
    half = t_quantile(level, found.degrees) * error
    effect = fixed_effect(
        estimate,
        estimate - half,
        estimate + half,
        scale=Scale.ABSOLUTE,
        level=level,
        units=found.units,
        method="post-stratified difference in means",
        p_value=t_p_value(estimate / error, found.degrees),
        assumptions=STRATIFIED,
    )
    return effect if isinstance(effect, Undecided) else Adjusted(effect, found.gain)


def poststratified_relative(
    control: Mapping[str, Summary],
    treatment: Mapping[str, Summary],
    *,
    level: float = 0.95,
    scale: str = "log",
) -> Adjusted | Undecided:
    """Treatment's post-stratified mean over control's, minus one.

    scale: "log" or "delta", as in `analysis.mean.relative`. Other arguments, refusals and source as
    in `poststratified`; Undecided also where control's mean is not clearly above zero.

    >>> before = {"new": Summary.of([1, 2, 1, 2]), "old": Summary.of([9, 8, 9, 8])}
    >>> after = {"new": Summary.of([2, 3, 2, 3]), "old": Summary.of([10, 9, 10, 9])}
    >>> round(poststratified_relative(before, after).effect.estimate, 2)
    0.2
    """
    check_level(level)
    mean.check_scale(scale)
    found = _weighted(control, treatment)
    if isinstance(found, Undecided):
        return found
    effect = mean.relative_of(
        found.means,
        found.variances,
        found.units,
        level=level,
        scale=scale,
        method="ratio of post-stratified means",
        assumptions=STRATIFIED,
    )
    return effect if isinstance(effect, Undecided) else Adjusted(effect, found.gain)


@dataclass(frozen=True, slots=True)
class _Weighted:
    means: tuple[float, float]
    variances: tuple[float, float]
    degrees: float
    units: tuple[int, int]
    gain: float


def _weighted(
    control: Mapping[str, Summary], treatment: Mapping[str, Summary]
) -> _Weighted | Undecided:
    """Both arms' means, every stratum weighted by its share of all units."""
    strata = _strata(control, treatment)
    if isinstance(strata, Undecided):
        return strata
    units = sum(c.n for c, _ in strata), sum(t.n for _, t in strata)
    shares = [(c.n + t.n) / sum(units) for c, t in strata]
    arms = tuple(zip(*strata, strict=True))
    means = [fsum(w * s.mean for w, s in zip(shares, arm, strict=True)) for arm in arms]
    parts = [[w * w * s.variance / s.n for w, s in zip(shares, arm, strict=True)] for arm in arms]
    variance = fsum(part for arm in parts for part in arm)
    if variance == 0:
        return CONSTANT
    weight = fsum(
        (part / variance) ** 2 / (s.n - 1)
        for arm, held in zip(parts, arms, strict=True)
        for part, s in zip(arm, held, strict=True)
    )
    plain = fsum((whole := sum(arm, Summary())).variance / whole.n for arm in arms)
    return _Weighted(
        means=(means[0], means[1]),
        variances=(fsum(parts[0]), fsum(parts[1])),
        degrees=1 / weight,
        units=units,
        gain=1 - variance / plain if plain else 0.0,
    )


def _strata(
    control: Mapping[str, Summary], treatment: Mapping[str, Summary]
) -> list[tuple[Summary, Summary]] | Undecided:
    """Pairs of summaries per stratum, thin strata put together."""
    pairs = [
        (control.get(name, Summary()), treatment.get(name, Summary()))
        for name in sorted(control.keys() | treatment.keys())
    ]
    if not all(isfinite(arm.total) and isfinite(arm.squares) for pair in pairs for arm in pair):
        return BROKEN
    for name, arm in zip(("control", "treatment"), zip(*pairs, strict=True), strict=False):
        if (n := sum(stratum.n for stratum in arm)) < 2:
            return too_few(name, n, 2)
    pairs.sort(key=lambda pair: min(pair[0].n, pair[1].n))
    while len(pairs) > 1 and min(pairs[0][0].n, pairs[0][1].n) < 2:
        (c0, t0), (c1, t1), *rest = pairs
        pairs = sorted([(c0 + c1, t0 + t1), *rest], key=lambda pair: min(pair[0].n, pair[1].n))
    return pairs or too_few("control", 0, 2)
