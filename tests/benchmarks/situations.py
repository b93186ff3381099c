"""Simulated rollouts on which stop-loss rules are compared: sums per look, stratum and arm."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from math import comb
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from analysis.operating import LARGEST_RATE
from analysis.populations import Population, counts, money, proportion
from analysis.share import Arms, Floats
from analysis.stoploss import Kind, tolerated_ratio


class Sums(NamedTuple):
    """What one look has in each replication: per stratum for us, pooled for the other rules.

    arms: shape (replications, strata). Pooled, shape (replications,): units, means and the
    variance of the mean of each arm; units are those randomised. extra: the true harm done so
    far, in events, before the sign.
    """

    arms: Arms
    units0: float
    mean0: Floats
    error0: Floats
    units1: float
    mean1: Floats
    error1: Floats
    events0: Floats
    events1: Floats
    extra: Floats


@dataclass(frozen=True)
class Situation:
    """One kind of rollout: who comes, how they are split, and when one looks.

    family: the population with this mean. mean: of control. steps: new customers per look in
    both arms, shape (looks,). shares: of them in treatment, shape (looks,); a stratum ends
    where it changes. drift: of the mean, as a factor per look. pace: planned information over
    the true one. lags: looks over which a customer keeps adding to their value.
    cluster: whether a unit brings several contacts, each with or without the event. has_bound:
    whether the family of populations is such that the information bound is known.
    """

    name: str
    kind: Kind
    family: Callable[[float], Population]
    mean: float
    tolerance: float
    steps: NDArray[np.int64]
    sign: int = 1
    alpha: float = 0.05
    shares: NDArray[np.float64] = field(default_factory=lambda: np.array([0.5]))
    drift: NDArray[np.float64] = field(default_factory=lambda: np.array([1.0]))
    pace: float = 1.0
    lags: int = 0
    cluster: bool = False
    is_poisson: bool = False
    has_bound: bool = False

    @property
    def ratio(self) -> float:
        return tolerated_ratio(self.sign, self.tolerance)

    def truth(self, multiple: float) -> float:
        """Treatment over control when the harm is so many times the tolerated one."""
        largest = LARGEST_RATE / self.mean if self.kind is Kind.PROPORTION else np.inf
        return float(min(max(1 + self.sign * multiple * self.tolerance, 0.0), largest))

    def per_look(self, values: Floats) -> Floats:
        return np.broadcast_to(values, self.steps.shape)

    def treated_shares(self) -> Floats:
        """Treatment's share of each look's new customers, shape (looks,)."""
        units0, units1 = self.arm_units()
        return units1 / (units0 + units1)

    def strata(self) -> NDArray[np.int64]:
        """The stratum of each look's new customers, shape (looks,)."""
        shares = self.per_look(self.shares)
        return np.concatenate([[0], np.cumsum(np.diff(shares) != 0)])

    def arm_units(self) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """New customers per look in control and treatment, each of shape (looks,)."""
        treated = np.maximum(np.rint(self.steps * self.per_look(self.shares)).astype(int), 1)
        return np.maximum(self.steps - treated, 1), treated


def looks(situation: Situation, ratio: float, replications: int, seed: int) -> Iterator[Sums]:
    """The rollout's sums at each look, when the treatment's mean is `ratio` times control's."""
    if situation.cluster:
        return _clustered(situation, ratio, replications, np.random.default_rng(seed))
    if situation.lags:
        return _revisiting(situation, ratio, replications, np.random.default_rng(seed))
    return _independent(situation, ratio, replications, np.random.default_rng(seed))


class _Totals:
    """Sums that grow: per arm, replication and stratum."""

    def __init__(self, replications: int, strata: int) -> None:
        self.n = np.zeros((2, strata))
        self.s = np.zeros((2, replications, strata))
        self.q = np.zeros((2, replications, strata))

    def sums(self, extra: float) -> Sums:
        n = np.broadcast_to(self.n[:, None, :], self.s.shape)
        units = self.n.sum(-1)
        arms = Arms(
            n[0], self.s[0], _scaled_variance(n[0], self.s[0], self.q[0]),
            n[1], self.s[1], _scaled_variance(n[1], self.s[1], self.q[1]),
            units[0], units[1],
        )  # fmt: skip
        s, q = self.s.sum(-1), self.q.sum(-1)
        error = [
            _scaled_variance(np.full_like(s[a], units[a]), s[a], q[a]) / units[a] ** 2
            for a in (0, 1)
        ]
        return Sums(
            arms,
            units[0], s[0] / units[0], error[0],
            units[1], s[1] / units[1], error[1],
            s[0], s[1], np.full_like(s[0], extra),
        )  # fmt: skip


def _scaled_variance(n: Floats, s: Floats, q: Floats) -> Floats:
    safe = np.maximum(n, 2)
    return np.where(n > 1, np.maximum(q - s * s / safe, 0) * safe / (safe - 1), 0.0)


def _independent(
    situation: Situation, ratio: float, replications: int, rng: np.random.Generator
) -> Iterator[Sums]:
    strata = situation.strata()
    totals = _Totals(replications, int(strata[-1]) + 1)
    units, drift = situation.arm_units(), situation.per_look(situation.drift)
    extra = np.cumsum(units[1] * situation.mean * drift * (ratio - 1))
    for look, place in enumerate(strata):
        for arm in (0, 1):
            mean = situation.mean * drift[look] * (ratio if arm else 1.0)
            new = int(units[arm][look])
            s, q = situation.family(mean).draw(rng, np.full(replications, new))
            totals.n[arm, place] += new
            totals.s[arm, :, place] += s
            totals.q[arm, :, place] += q
        yield totals.sums(extra[look])


def _revisiting(
    situation: Situation, ratio: float, replications: int, rng: np.random.Generator
) -> Iterator[Sums]:
    """Customers add to their own total at each of the next looks; the busy stay busy."""
    totals = _Totals(replications, 1)
    units = situation.arm_units()
    cohorts: list[list[tuple[Floats, Floats]]] = [[], []]
    extra = 0.0
    for look in range(len(situation.steps)):
        for arm in (0, 1):
            new = int(units[arm][look])
            totals.n[arm, 0] += new
            busy = rng.gamma(1.0, 1.0, (replications, new))
            cohorts[arm].append((busy, np.zeros((replications, new))))
            cohorts[arm] = cohorts[arm][-situation.lags :]
            rate = situation.mean / situation.lags * (ratio if arm else 1.0)
            for place, (liveliness, so_far) in enumerate(cohorts[arm]):
                added = rng.poisson(rate * liveliness)
                totals.s[arm, :, 0] += added.sum(1)
                totals.q[arm, :, 0] += (added * (added + 2 * so_far)).sum(1)
                cohorts[arm][place] = (liveliness, so_far + added)
        active = units[1][max(look - situation.lags + 1, 0) : look + 1].sum()
        extra += active * situation.mean / situation.lags * (ratio - 1)
        yield totals.sums(extra)


VISITS = np.array([1.0, 2.0, 3.0, 6.0])
VISIT_CHANCES = np.array([0.5, 0.25, 0.15, 0.1])
PRONE = np.array([0.4, 2.0])  # a unit's chance of the event per contact, over the mean
PRONE_CHANCES = np.array([0.625, 0.375])


def _clustered(
    situation: Situation, ratio: float, replications: int, rng: np.random.Generator
) -> Iterator[Sums]:
    """A ratio of events to contacts: units bring several contacts, and some are event-prone."""
    cells = [_cells(situation.mean), _cells(situation.mean * ratio)]
    units = situation.arm_units()
    held = np.zeros((2, replications, 5))  # y, x, xx, xy, yy
    m = np.zeros(2)
    for look in range(len(situation.steps)):
        for arm in (0, 1):
            features, chances = cells[arm]
            new = np.full(replications, units[arm][look])
            held[arm] += rng.multinomial(new, chances) @ features
            m[arm] += units[arm][look]
        yield _ratio_sums(held, m, situation.mean * (ratio - 1))


def _cells(rate: float) -> tuple[Floats, Floats]:
    """Kinds of unit: contacts y, events x and products, shape (K, 5); and chances, shape (K,)."""
    rows, chances = [], []
    for y, of_y in zip(VISITS, VISIT_CHANCES, strict=True):
        for prone, of_prone in zip(PRONE, PRONE_CHANCES, strict=True):
            events = np.arange(int(y) + 1)
            p = min(rate * prone, LARGEST_RATE)
            law = np.array([_binomial(int(y), int(x), p) for x in events])
            rows += [(y, x, x * x, x * y, y * y) for x in events]
            chances += list(of_y * of_prone * law)
    return np.array(rows), np.array(chances) / sum(chances)


def _binomial(n: int, k: int, p: float) -> float:
    return comb(n, k) * p**k * (1 - p) ** (n - k)


def _ratio_sums(held: Floats, m: Floats, each: float) -> Sums:
    y, x, xx, xy, yy = np.moveaxis(held, -1, 0)
    rate = x / y
    residual = xx - 2 * rate * xy + rate * rate * yy
    nv = residual * (m / (m - 1))[:, None]
    error = nv / y**2
    one = slice(None), None
    arms = Arms(y[0][one], x[0][one], nv[0][one], y[1][one], x[1][one], nv[1][one], m[0], m[1])
    return Sums(
        arms, m[0], rate[0], error[0], m[1], rate[1], error[1], x[0], x[1], y[1] * each
    )  # fmt: skip


def _even(total: int, looks: int = 100) -> NDArray[np.int64]:
    return np.full(looks, max(total // looks, 2))


def _irregular(total: int, looks: int, seed: int) -> NDArray[np.int64]:
    """Looks at uneven distances: some nearly at once, some after a long wait."""
    weights = np.random.default_rng(seed).gamma(0.3, 1.0, looks) + 1e-3
    return np.maximum(np.rint(total * weights / weights.sum()).astype(int), 2)


RAMP = np.concatenate([np.full(25, 0.05), np.full(25, 0.2), np.full(50, 0.5)])
RISING = np.concatenate([np.full(25, 1.0), np.full(25, 1.6), np.full(50, 2.5)])


def all_situations() -> list[Situation]:
    """One of each class that a rollout is likely to meet, long enough to catch twice the limit."""
    rare = Situation(
        "proportion 0.05 %", Kind.PROPORTION, proportion, 0.0005, 0.5, _even(900_000),
        has_bound=True,
    )  # fmt: skip
    few = replace(rare, name="proportion 2 %", mean=0.02, tolerance=0.25, steps=_even(70_000))
    poisson = Situation(
        "Poisson counts", Kind.COUNT, counts, 0.3, 0.25, _even(5_500, 200), is_poisson=True,
        has_bound=True,
    )  # fmt: skip
    overdispersed = Situation(
        "counts, dispersion 4", Kind.COUNT, _busy_few, 0.3, 0.25, _even(22_000, 200), has_bound=True
    )
    revenue = Situation(
        "money, 3 % pay, less is worse", Kind.OTHER, _few_pay, 2.0, 0.2, _even(250_000), sign=-1
    )
    return [
        rare,
        few,
        replace(few, name="proportion 30 %", mean=0.3, tolerance=0.1, steps=_even(17_000)),
        replace(
            few, name="proportion 90 %, less is worse", mean=0.9, tolerance=0.03, sign=-1,
            steps=_even(10_000),
        ),
        poisson,
        overdispersed,
        revenue,
        replace(revenue, name="money, 3 % pay", sign=1),
        Situation(
            "ratio, unit is cluster", Kind.OTHER, proportion, 0.08, 0.25, _even(12_000),
            cluster=True,
        ),
        Situation("revisits", Kind.COUNT, counts, 0.5, 0.25, _even(9_000), lags=4),
        replace(few, name="proportion 2 %, 90:10", shares=np.array([0.1]), steps=_even(200_000)),
        replace(overdispersed, name="counts, 90:10", shares=np.array([0.1]), steps=_even(70_000)),
        replace(
            poisson, name="counts, 10:90, few heavy only in control", family=_heavy_in_control,
            mean=0.5, shares=np.array([0.9]), steps=_even(30_000), is_poisson=False,
            has_bound=False,
        ),
        replace(few, name="2 %, ramp, drift", shares=RAMP, drift=RISING),
        replace(
            overdispersed, name="counts, ramp, drift", shares=RAMP, drift=RISING,
            steps=_even(22_000),
        ),
        replace(few, name="2 %, irregular looks", steps=_irregular(70_000, 60, 3)),
        replace(few, name="2 %, 400 looks", steps=_even(70_000, 400)),
        replace(few, name="2 %, plan 0.3 of truth", pace=0.3),
        replace(few, name="2 %, alpha 0.01", alpha=0.01, steps=_even(110_000)),
        replace(few, name="2 %, alpha 0.10", alpha=0.10),
    ]  # fmt: skip


def _busy_few(mean: float) -> Population:
    """Counts whose variance is four times a mean of 0.3, and of one shape whatever their mean."""
    return counts(mean, 1 + 10 * mean)


def _heavy_in_control(mean: float) -> Population:
    """Counts that scatter widely at control's mean of 0.5, and like a Poisson's at any other."""
    return counts(mean, 4.0 if mean == 0.5 else 1.0)


def _few_pay(mean: float) -> Population:
    return money(mean, 0.03, 1.5)
