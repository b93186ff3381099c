"""Designs in which not customers but groups of them are randomised.

Teams, shops or regions (cluster-randomised), or stretches of time (switchback): the number of
groups, not of customers, is what the evidence rests on.

Sources: the errors, as of `robust`; Hayes & Moulton (2017), Cluster Randomised Trials.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import expm1, log

import numpy as np

from analysis.arguments import Floats, is_sound, open_share
from analysis.effect import Effect, Scale, Undecided, Validity
from analysis.inputs import BROKEN, UNBOUNDED
from analysis.quality import Check, State, judged
from analysis.robust import (
    ClusteredContrast,
    ClusterSums,
    clustered,
    wild_cluster_bootstrap,
)
from analysis.summary import Summary


class Inference(StrEnum):
    """How few groups are dealt with."""

    CR2 = "CR2 errors with Satterthwaite's degrees of freedom"
    WILD = "wild cluster bootstrap with the null imposed"


_ASSUMPTIONS = {
    "groups": ("groups were assigned at random", "groups do not influence each other"),
    "periods": (
        "the order of the variations was drawn by lot",
        "a variation does not outlast its period",
    ),
}


def cluster_randomised(
    control: Sequence[Summary],
    treatment: Sequence[Summary],
    *,
    scale: Scale = Scale.ABSOLUTE,
    level: float = 0.95,
    inference: Inference = Inference.CR2,
    seed: int = 0,
) -> Effect | Undecided:
    """Difference of means per customer when whole groups were randomised.

    control, treatment: one summary per group. scale: absolute, or relative by the delta method
    on the logarithm. level: in (0, 1). seed: of the bootstrap.
    The effect's n_control and n_treatment count groups. Undecided below two groups with
    customers in an arm, without scatter, or for a relative effect without positive means.
    inference: how few groups are dealt with. Raises ValueError for a level that cannot be.

    >>> arms = [[Summary.of(v) for v in arm] for arm in ([[1, 2], [3], [2]], [[4], [6, 5], [5]])]
    >>> effect = cluster_randomised(*arms)
    >>> effect.estimate, effect.n_control, effect.p_value < 0.05
    (3.0, 3, True)
    """
    open_share("level", level)
    arms = [[group for group in arm if group.n] for arm in (control, treatment)]
    if min(len(arm) for arm in arms) < 2:
        return Undecided("fewer than two groups with customers in a variation", "more groups")
    if not all(is_sound(group.total, group.squares) for arm in arms for group in arm):
        return BROKEN
    sums = _two_arms(*arms)
    means = [sum(group.total for group in arm) / sum(group.n for group in arm) for arm in arms]
    if scale is Scale.RELATIVE and min(means) <= 0:
        return Undecided("a mean of 0 or below has no ratio", needs="an absolute effect")
    weights = [-1.0, 1.0] if scale is Scale.ABSOLUTE else [-1 / means[0], 1 / means[1]]
    fit = clustered(sums, weights)
    centre = log(means[1] / means[0]) if scale is Scale.RELATIVE else means[1] - means[0]
    counts = len(arms[0]), len(arms[1])
    return _effect(fit, centre, counts, scale, level, inference, seed, "cluster-randomised")


def _two_arms(control: Sequence[Summary], treatment: Sequence[Summary]) -> ClusterSums:
    """Sums of a regression on one indicator per arm."""
    groups = [*control, *treatment]
    arm = np.repeat([0, 1], [len(control), len(treatment)])
    sizes = np.array([group.n for group in groups], dtype=np.float64)
    gram, moment = np.zeros((len(groups), 2, 2)), np.zeros((len(groups), 2))
    gram[np.arange(len(groups)), arm, arm] = sizes
    moment[np.arange(len(groups)), arm] = [group.total for group in groups]
    return ClusterSums(gram, moment, int(sizes.sum()))


def _effect(
    fit: ClusteredContrast | Undecided,
    centre: float,
    counts: tuple[int, int],
    scale: Scale,
    level: float,
    inference: Inference,
    seed: int,
    design: str,
) -> Effect | Undecided:
    """The effect of a fitted contrast, whose own estimate may be off the centre it belongs to.

    A relative contrast is linear around the logarithm: its estimate is 0 there by construction,
    so its limits are taken as distances and moved to the centre.
    """
    if isinstance(fit, Undecided):
        return fit
    limits = _limits(fit, level, inference, seed, centre)
    if isinstance(limits, Undecided):
        return limits
    low, high, p_value = limits
    ends = (centre, low, high)
    what = "periods" if design == "switchback" else "groups"
    if scale is Scale.RELATIVE and high > 700:
        return UNBOUNDED
    if scale is Scale.RELATIVE:
        ends = (expm1(ends[0]), expm1(ends[1]), expm1(ends[2]))
    return Effect(
        estimate=ends[0],
        low=min(ends[1], ends[0]),
        high=max(ends[2], ends[0]),
        scale=scale,
        validity=Validity.FIXED,
        level=level,
        n_control=counts[0],
        n_treatment=counts[1],
        method=f"{design}, {sum(counts)} {what}, {inference}",
        p_value=p_value,
        assumptions=_ASSUMPTIONS[what],
    )


def _limits(
    fit: ClusteredContrast, level: float, inference: Inference, seed: int, centre: float
) -> tuple[float, float, float] | Undecided:
    """Limits and p-value around the centre."""
    moved = centre - fit.estimate
    if inference is Inference.WILD:
        found = wild_cluster_bootstrap(fit, level=level, seed=seed, null=-moved)
        if isinstance(found, Undecided):
            return found
        return found.low + moved, found.high + moved, found.p_value
    low, high = fit.interval(level)
    return low + moved, high + moved, fit.p_value_against(-moved)


@dataclass(frozen=True, slots=True)
class Period:
    """One stretch of time that was randomised as a whole.

    treated: which variation ran. outcome: sums over the units (orders, calls) of the stretch,
    without those of a wash-out at its start. stratum: what is compared within (city, weekday).
    """

    treated: bool
    outcome: Summary
    stratum: str = ""


def switchback(
    periods: Sequence[Period],
    *,
    level: float = 0.95,
    inference: Inference = Inference.CR2,
    seed: int = 0,
) -> Effect | Undecided:
    """Difference of means per unit when variations took turns in time.

    periods: in any order, each randomised on its own. level: in (0, 1). seed: of the bootstrap.
    Regression on treatment and strata with the period as cluster; strata that saw only one
    variation are passed over. The effect's n_control and n_treatment count periods. Undecided
    below two periods of each variation. Effects that outlast the wash-out bias it: see
    `carryover`. Source: Bojinov, Simchi-Levi & Zhao (2023), Management Science 69:3759-3777.
    inference: as there. Raises ValueError for a level that cannot be.

    >>> days = [Period(i % 2 == 1, Summary.of([i % 2 + d])) for i, d in enumerate([0, 0, 1, 1, 2, 3])]
    >>> round(switchback(days).estimate, 3)
    1.333
    """
    open_share("level", level)
    held = _comparable(periods)
    treated = sum(period.treated for period in held)
    counts = (len(held) - treated, treated)
    if not all(is_sound(period.outcome.total, period.outcome.squares) for period in held):
        return BROKEN
    if min(counts) < 2:
        return Undecided(
            "fewer than two periods of a variation that can be compared", needs="more periods"
        )
    sums = _period_sums(held, [[float(period.treated)] for period in held])
    fit = clustered(sums, _first_of(sums))
    centre = 0.0 if isinstance(fit, Undecided) else fit.estimate
    return _effect(fit, centre, counts, Scale.ABSOLUTE, level, inference, seed, "switchback")


def _comparable(periods: Sequence[Period]) -> list[Period]:
    """Periods with units, of strata that saw both variations."""
    seen: dict[str, set[bool]] = {}
    for period in periods:
        if period.outcome.n:
            seen.setdefault(period.stratum, set()).add(period.treated)
    return [p for p in periods if p.outcome.n and len(seen[p.stratum]) == 2]


def _period_sums(periods: Sequence[Period], leading: Sequence[Sequence[float]]) -> ClusterSums:
    """Sums of a regression on the leading columns and an indicator per stratum."""
    strata = {name: i for i, name in enumerate(dict.fromkeys(p.stratum for p in periods))}
    columns = np.zeros((len(periods), len(leading[0]) + len(strata)))
    columns[:, : len(leading[0])] = leading
    places = [len(leading[0]) + strata[p.stratum] for p in periods]
    columns[np.arange(len(periods)), places] = 1.0
    sizes = np.array([p.outcome.n for p in periods], dtype=np.float64)
    totals = np.array([p.outcome.total for p in periods], dtype=np.float64)
    gram = sizes[:, None, None] * columns[:, :, None] * columns[:, None, :]
    return ClusterSums(gram, totals[:, None] * columns, int(sizes.sum()))


def _first_of(sums: ClusterSums, place: int = 0) -> Floats:
    aim = np.zeros(sums.moment.shape[1])
    aim[place] = 1.0
    return aim


def carryover(periods: Sequence[Period], *, alpha: float = 0.05) -> Check:
    """Whether a period still shows which variation ran before it.

    periods: in the order of time; a stratum's earlier period is its own. alpha: in (0, 1).
    A regression on this and the former period's variation; a warning if the former matters.
    Having seen nothing is weak comfort with few periods.

    >>> carryover([Period(True, Summary.of([1]))]).state
    <State.UNKNOWN: 'unknown'>
    """
    last: dict[str, bool] = {}
    rows: list[tuple[Period, bool]] = []
    for period in periods:
        if (
            period.stratum in last
            and period.outcome.n
            and is_sound(period.outcome.total, period.outcome.squares)
        ):
            rows.append((period, last[period.stratum]))
        last[period.stratum] = period.treated
    fit: ClusteredContrast | Undecided = Undecided("too few periods", needs="more periods")
    if len(rows) >= 4:
        leading = [[float(period.treated), float(former)] for period, former in rows]
        sums = _period_sums([period for period, _ in rows], leading)
        fit = clustered(sums, _first_of(sums, 1))
    check = judged(
        "carry-over",
        fit if isinstance(fit, Undecided) else fit.p_value,
        alpha=alpha,
        broken="periods still show which variation ran before: leave out more of their start",
        fine="no sign that a variation outlasts its period",
    )
    if check.state is State.BROKEN:
        return Check(check.name, State.WARNING, check.reason, check.p_value)
    return check


def intracluster_correlation(groups: Sequence[Summary]) -> float | Undecided:
    """Likeness of customers within a group, in [0, 1], for `power.design_effect`.

    groups: one summary per group of the past. The analysis-of-variance estimator, negative
    values shown as 0. Undecided below two groups, without two customers in any, or without
    scatter. Source: Donner & Klar (2000), "Design and Analysis of Cluster Randomization Trials".

    >>> intracluster_correlation([Summary.of([1, 2]), Summary.of([5, 6])])
    0.9393939393939394
    """
    held = [group for group in groups if group.n]
    n, k = sum(group.n for group in held), len(held)
    if k < 2 or n == k:
        return Undecided("fewer than two groups with two customers", needs="a longer past")
    if not all(is_sound(group.total, group.squares) for group in held):
        return BROKEN
    mean = sum(group.total for group in held) / n
    between = sum(group.n * (group.mean - mean) ** 2 for group in held) / (k - 1)
    within = sum(group.centred for group in held) / (n - k)
    size = (n - sum(group.n**2 for group in held) / n) / (k - 1)
    if between + within == 0:
        return Undecided("all customers were alike", needs="a longer past")
    return min(max((between - within) / (between + (size - 1) * within), 0.0), 1.0)
