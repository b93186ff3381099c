"""What a plan will do, before it starts: how often it stops wrongly, and what harm costs first.

The plan's own stop-loss is run on simulated customers, as it will be run on real ones: the
same statistic, burn-in, spending and reserve, at the planned looks.

Source: Monte-Carlo simulation of this project's recipe; limits by Clopper & Pearson (1934).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.effect import Undecided
from analysis.eprocess import TILTS
from analysis.planning import (
    Plan,
    Stage,
    expected_share,
    never_ready,
    planned_information,
    share_of_plan,
)
from analysis.populations import Population
from analysis.share import Arms, Floats, Share
from analysis.spending import Pace, Spending
from analysis.stoploss import LEAST_EFFECTIVE, LEAST_NON_EVENTS, LEAST_PER_ARM, Kind

__all__ = [
    "Characteristic",
    "Paths",
    "Plan",
    "Simulated",
    "Stage",
    "bounds",
    "expected_share",
    "is_ready",
    "never_ready",
    "operating_characteristics",
    "planned_information",
    "simulate",
    "simulate_exact",
    "stopping_look",
]

MULTIPLES = (1.0, 1.5, 2.0, 4.0)
GROUPS = 5  # of replications that share a boundary: those whose verdicts begin at about one look
LARGEST_RATE = 0.999


class Simulated(NamedTuple):
    """A simulated figure with its 95 % Monte-Carlo interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Characteristic:
    """What the plan does when the truth is this harm.

    harm: true relative harm, positive is worse. stopped: share of rollouts withdrawn; at the
    tolerance or below it these are false stops. exposed: customers in treatment until
    withdrawal, or to the end. spent: harm done until then, in the metric's unit. looks: taken.
    """

    harm: float
    stopped: Simulated
    exposed: Simulated
    spent: Simulated
    looks: Simulated


def operating_characteristics(
    plan: Plan,
    *,
    harms: Sequence[float] | None = None,
    replications: int = 2000,
    seed: int = 0,
) -> list[Characteristic] | Undecided:
    """How the plan behaves at each true harm, by simulation.

    harms: relative and positive where worse; by default 1, 1.5, 2 and 4 times the tolerance,
    the first of which gives the false-stop rate. Undecided if the plan could never reach a
    verdict. Raises ValueError if harms must be given because the tolerance is not above 0.
    seed: of the simulation.

    >>> from analysis.populations import proportion
    >>> plan = Plan(proportion(0.05), 1, 0.2, (Stage(20, 1000),))
    >>> found = operating_characteristics(plan, replications=200)
    >>> [round(row.harm, 2) for row in found], found[0].stopped.value < 0.1
    ([0.2, 0.3, 0.4, 0.8], True)
    """
    if harms is None:
        if plan.tolerance <= 0:
            raise ValueError("harms must be given where the tolerance is not above 0")
        harms = [multiple * plan.tolerance for multiple in MULTIPLES]
    if replications < 2:
        raise ValueError(f"replications must be at least 2, not {replications}")
    blocked = None if plan.exact else never_ready(plan)
    if blocked is not None:
        return blocked
    rng = np.random.default_rng(seed)
    return [_characteristic(plan, harm, replications, rng) for harm in harms]


def _characteristic(
    plan: Plan, harm: float, replications: int, rng: np.random.Generator
) -> Characteristic:
    treatment = _harmed(plan, harm)
    stopped_at, reached = _stopped(plan, treatment, replications, rng)
    last = plan.looks - 1
    is_stopped = stopped_at <= last
    exposed = reached[np.minimum(stopped_at, last)].astype(np.float64)
    each = plan.sign * (treatment.mean - plan.population.mean)
    return Characteristic(
        harm=harm,
        stopped=_share_of(int(is_stopped.sum()), replications),
        exposed=_mean_of(exposed),
        spent=_mean_of(exposed * each),
        looks=_mean_of(np.minimum(stopped_at, last) + 1.0),
    )


def _stopped(
    plan: Plan, treatment: Population, replications: int, rng: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The look at which each replication stops, and customers in treatment by each look."""
    if plan.exact:
        evidence, reached = simulate_exact(plan, treatment, replications, rng)
        passed = evidence >= -log(plan.alpha)
        return np.where(passed.any(0), passed.argmax(0), len(passed)), reached
    paths = simulate(plan, treatment, replications, rng)
    found = stopping_look(paths, alpha=plan.alpha, planned=planned_information(plan))
    return found, paths.exposed


def _harmed(plan: Plan, harm: float) -> Population:
    """Control's customers as this harm would make them; a rate stays below one."""
    ratio = max(1 + plan.sign * harm, 0.0)
    if plan.judged_as is Kind.PROPORTION:
        ratio = min(ratio, LARGEST_RATE / plan.population.mean)
    return plan.population.scaled(ratio)


class Paths(NamedTuple):
    """Evidence, information and readiness at each look, shape (looks, replications).

    exposed: customers in treatment by each look, shape (looks,).
    """

    r: Floats
    information: Floats
    ready: NDArray[np.bool_]
    exposed: NDArray[np.int64]


def simulate(
    plan: Plan, treatment: Population, replications: int, rng: np.random.Generator
) -> Paths:
    """The statistic's path in each of so many rollouts of the plan.

    treatment: its population. replications: how many rollouts. rng: where chance comes from.

    >>> from analysis.populations import proportion
    >>> plan = Plan(proportion(0.1), 1, 0.2, (Stage(10, 200),))
    >>> paths = simulate(plan, proportion(0.12), 3, np.random.default_rng(0))
    >>> paths.r.shape, paths.exposed[-1]
    ((10, 3), np.int64(1000))
    """
    sums = _Running(replications, len(plan.stages))
    r, information, ready, exposed = [], [], [], []
    for place, stage in enumerate(plan.stages):
        units0, units1 = _per_look(stage)
        for _ in range(stage.looks):
            sums.add(place, plan.population.draw(rng, np.full(replications, units0)), units0, 0)
            sums.add(place, treatment.draw(rng, np.full(replications, units1)), units1, 1)
            found = share_of_plan(plan, sums.arms())
            r.append(found.r)
            information.append(found.information)
            ready.append(is_ready(plan.judged_as, found))
            exposed.append(int(sums.n[1].sum()))
    return Paths(np.array(r), np.array(information), np.array(ready), np.array(exposed))


def simulate_exact(
    plan: Plan, treatment: Population, replications: int, rng: np.random.Generator
) -> tuple[Floats, NDArray[np.int64]]:
    """The e-process's logarithm at each look, (looks, replications); customers in treatment.

    rng: where chance comes from.

    >>> from analysis.populations import proportion
    >>> plan = Plan(proportion(0.1), 1, 0.2, (Stage(10, 200),), exact=True)
    >>> evidence, exposed = simulate_exact(plan, proportion(0.2), 3, np.random.default_rng(0))
    >>> evidence.shape, int(exposed[-1])
    ((10, 3), 1000)
    """
    tilts = plan.sign * np.array(TILTS)[:, None]
    gains = np.zeros((len(TILTS), replications))
    evidence, exposed, n1 = [], [], 0
    for stage in plan.stages:
        units0, units1 = _per_look(stage)
        q = plan.ratio * units1 / (units0 + plan.ratio * units1)
        for _ in range(stage.looks):
            events0 = plan.population.draw(rng, np.full(replications, units0))[0]
            events1 = treatment.draw(rng, np.full(replications, units1))[0]
            n1 += units1
            gains += events1 * tilts - (events0 + events1) * np.log1p(q * np.expm1(tilts))
            evidence.append(np.logaddexp.reduce(gains, axis=0) - log(len(TILTS)))
            exposed.append(n1)
    return np.array(evidence), np.array(exposed)


def _per_look(stage: Stage) -> tuple[int, int]:
    """Customers of control and of treatment between two looks."""
    units1 = max(round(stage.units_per_look * stage.share), 1)
    return max(stage.units_per_look - units1, 1), units1


class _Running:
    """Sums per arm, stratum and replication that grow from look to look."""

    def __init__(self, replications: int, strata: int) -> None:
        self.n = np.zeros((2, strata))
        self.s = np.zeros((2, replications, strata))
        self.q = np.zeros((2, replications, strata))

    def add(self, place: int, drawn: tuple[Floats, Floats], units: int, arm: int) -> None:
        self.n[arm, place] += units
        self.s[arm, :, place] += drawn[0]
        self.q[arm, :, place] += drawn[1]

    def arms(self) -> Arms:
        n = np.broadcast_to(self.n[:, None, :], self.s.shape)
        centred = np.maximum(self.q - np.divide(self.s**2, n, where=n > 0, out=self.s * 0), 0)
        nv = np.divide(centred * n, n - 1, where=n > 1, out=centred * 0)
        units = self.n.sum(-1)
        return Arms(n[0], self.s[0], nv[0], n[1], self.s[1], nv[1], units[0], units[1])


def is_ready(kind: Kind, found: Share) -> NDArray[np.bool_]:
    """Whether each look is past the burn-in, shape (...).

    kind: proportion, count or other. found: the statistic's parts.

    >>> from analysis.populations import proportion
    >>> plan = Plan(proportion(0.1), 1, 0.2, (Stage(10, 200),))
    >>> bool(is_ready(Kind.PROPORTION, expected_share(plan)))
    True
    """
    ready = (found.effective >= LEAST_EFFECTIVE) & (found.min_arm >= LEAST_PER_ARM[kind])
    if kind is Kind.PROPORTION:
        ready &= found.min_non_events >= LEAST_NON_EVENTS
    return ready & (found.information > 0)


def stopping_look(
    paths: Paths, *, alpha: float, planned: float | None, groups: int = GROUPS
) -> NDArray[np.int64]:
    """The look, from 0, at which each replication is stopped; the number of looks if never.

    alpha, planned: as in `spending.Spending`. groups: see `bounds`.

    >>> from analysis.populations import proportion
    >>> plan = Plan(proportion(0.1), 1, 0.2, (Stage(10, 200),))
    >>> paths = simulate(plan, proportion(0.3), 2, np.random.default_rng(0))
    >>> bool((stopping_look(paths, alpha=0.05, planned=50) < 3).all())
    True
    """
    passed = paths.r > bounds(
        paths.information, paths.ready, alpha=alpha, planned=planned, groups=groups
    )
    return np.where(passed.any(0), passed.argmax(0), len(passed))


def bounds(
    information: Floats,
    ready: NDArray[np.bool_],
    *,
    alpha: float,
    planned: float | None,
    groups: int = GROUPS,
    pace: Pace = Pace.SOONER,
) -> Floats:
    """What the evidence must exceed at each look, shape (looks, replications); infinite before
    a verdict may be taken.

    groups: how many boundaries are computed. Replications whose verdicts begin at about the
    same look share one, spent on their mean information; a test holds it against the boundary
    that each would have had by itself.
    pace: how the spending is paced.

    >>> ready = np.ones((2, 1), dtype=bool)
    >>> bounds(np.array([[10.0], [14.0]]), ready, alpha=0.05, planned=60)[0].round(4)
    array([2.6143])
    """
    looks = len(ready)
    first = np.where(ready.any(0), ready.argmax(0), looks)
    found = np.full(ready.shape, np.inf)
    for members, begin in _groups(first, looks, groups):
        path = np.maximum.accumulate(information[begin:, members].mean(1))
        found[begin:, members] = _bounds(Spending(alpha, planned, pace=pace), path)[:, None]
    return np.where(ready, found, np.inf)


def _groups(
    first: NDArray[np.int64], looks: int, groups: int
) -> list[tuple[NDArray[np.int64], int]]:
    """Replications ordered by their first usable look, cut into a few groups of alike ones.

    A group begins when the last of its members may be judged.
    """
    usable = np.flatnonzero(first < looks)
    ordered = usable[np.argsort(first[usable], kind="stable")]
    distinct = np.unique(first[ordered])
    if len(distinct) <= groups:
        parts = [ordered[first[ordered] == value] for value in distinct]
    else:
        parts = np.array_split(ordered, groups)
    return [(part, int(first[part].max())) for part in parts if len(part)]


def _bounds(spending: Spending, information: Floats) -> Floats:
    """What the evidence must exceed at each look of this path, shape (looks,)."""
    found = []
    for place, reached in enumerate(information):
        spending = spending.advance(float(reached), deadline=place + 1 == len(information))
        found.append(spending.bound)
    return np.array(found)


def _share_of(count: int, total: int) -> Simulated:
    interval = stats.binomtest(count, total).proportion_ci(method="wilson")
    return Simulated(count / total, float(interval.low), float(interval.high))


def _mean_of(values: Floats) -> Simulated:
    mean, reach = float(values.mean()), 1.96 * float(values.std(ddof=1)) / sqrt(len(values))
    return Simulated(mean, mean - reach, mean + reach)
