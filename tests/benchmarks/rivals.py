"""Other products' stopping rules, one-sided, on the same paths: written from their definitions.

Each takes the paths and gives, per look and replication, whether it would have stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from analysis.eprocess import TILTS, TO_START
from analysis.recursion import boundaries
from analysis.share import Floats
from analysis.stoploss import Kind
from tests.benchmarks.situations import Situation

Stops = NDArray[np.bool_]
LEAST_EVENTS = 10  # in both arms before a rival may speak: none is meant for fewer
TUNED_AT = 5000  # customers, GrowthBook's default


class Pooled(NamedTuple):
    """Treatment minus the tolerated multiple of control, positive is harm, shape (looks, R).

    excess, variance: of that difference. units: in both arms, shape (looks,). events: in both
    arms. n, s: units (looks,) and events (looks, R) of control and treatment. e_share, e_two:
    logarithms of the exact e-processes, or None where they are not exact.
    """

    excess: Floats
    variance: Floats
    units: Floats
    events: Floats
    n0: Floats
    s0: Floats
    n1: Floats
    s1: Floats
    e_share: Floats | None
    e_two: Floats | None


Rule = Callable[[Situation, Pooled], Stops]


def repeated_z(situation: Situation, seen: Pooled) -> Stops:
    """A fixed z test at every look."""
    return _speaks(seen) & (_z(seen) > stats.norm.isf(situation.alpha))


def flat_bayes(situation: Situation, seen: Pooled) -> Stops:
    """Posterior chance of intolerable harm above 1 - alpha, from a flat prior."""
    if situation.kind is Kind.PROPORTION:
        mean0, variance0 = _beta(seen.s0, seen.n0[:, None])
        mean1, variance1 = _beta(seen.s1, seen.n1[:, None])
        c = situation.ratio
        z = situation.sign * (mean1 - c * mean0) / np.sqrt(variance1 + c * c * variance0)
        return _speaks(seen) & (z > stats.norm.isf(situation.alpha))
    return repeated_z(situation, seen)


def _beta(events: Floats, units: Floats) -> tuple[Floats, Floats]:
    mean = (events + 1) / (units + 2)
    return mean, mean * (1 - mean) / (units + 3)


def confidence_sequence(situation: Situation, seen: Pooled) -> Stops:
    """GrowthBook's: Waudby-Smith et al.'s asymptotic confidence sequence, one-sided."""
    alpha, n = situation.alpha, seen.units[:, None]
    rho2 = (-2 * np.log(2 * alpha) + np.log(1 - 2 * np.log(2 * alpha))) / TUNED_AT
    width = np.log1p(np.sqrt(n * rho2 + 1) / (2 * alpha)) * 2 * (n * rho2 + 1) / (n * rho2)
    return _speaks(seen) & (_z(seen) > np.sqrt(width))


def msprt(situation: Situation, seen: Pooled) -> Stops:
    """Johari et al.'s mixture, its width the tolerance, half its error in either direction."""
    tau2 = (situation.tolerance * situation.mean) ** 2
    v = np.maximum(seen.variance, 1e-300)
    log_ratio = 0.5 * np.log(v / (v + tau2)) + seen.excess**2 * tau2 / (2 * v * (v + tau2))
    return _speaks(seen) & (seen.excess > 0) & (log_ratio > -np.log(2 * situation.alpha))


def gavi(situation: Situation, seen: Pooled) -> Stops:
    """Howard et al.'s one-sided normal mixture, tuned at a third of the plan's information."""
    alpha = situation.alpha
    x = 3 * seen.units / seen.units[-1]
    x = x * (-2 * np.log(2 * alpha) + np.log(1 - 2 * np.log(2 * alpha)))
    bound = np.sqrt(2 * (1 + 1 / x) * np.log1p(np.sqrt(x + 1) / (2 * alpha)))
    return _speaks(seen) & (_z(seen) > bound[:, None])


def obrien_fleming(situation: Situation, seen: Pooled) -> Stops:
    """Lan and DeMets' spending like O'Brien and Fleming's, on the share of planned customers."""
    reached = seen.units / seen.units[-1]
    spent = 2 * stats.norm.sf(stats.norm.isf(situation.alpha / 2) / np.sqrt(reached))
    spent = np.where(spent < 1e-10, 0.0, spent)
    bound = np.array(boundaries(list(reached), list(spent)))
    return _speaks(seen) & (_z(seen) > bound[:, None])


def event_share(situation: Situation, seen: Pooled) -> Stops:
    """The exact event-share e-process (Lindon and Malek)."""
    assert seen.e_share is not None
    return seen.e_share >= -np.log(situation.alpha)


def two_by_two(situation: Situation, seen: Pooled) -> Stops:
    """The exact two-by-two e-process (Turner, Ly and Grünwald)."""
    assert seen.e_two is not None
    return seen.e_two >= -np.log(situation.alpha)


RULES: dict[str, Rule] = {
    "repeated z": repeated_z,
    "flat-prior Bayes": flat_bayes,
    "asymptotic conf. sequence": confidence_sequence,
    "mSPRT": msprt,
    "GAVI": gavi,
    "O'Brien-Fleming": obrien_fleming,
}


def rules_for(seen: Pooled) -> dict[str, Rule]:
    """The rules that are meant for these paths; the exact ones only where they are exact."""
    found = dict(RULES)
    if seen.e_share is not None:
        found["e-process, event share"] = event_share
    if seen.e_two is not None:
        found["e-process, 2 x 2"] = two_by_two
    return found


def _z(seen: Pooled) -> Floats:
    return seen.excess / np.sqrt(np.maximum(seen.variance, 1e-300))


def _speaks(seen: Pooled) -> Stops:
    return (seen.events >= LEAST_EVENTS) & (seen.variance > 0)


def log_event_share(situation: Situation, s0: Floats, s1: Floats) -> Floats | None:
    """The event-share e-process's logarithm, shape (looks, R); None where it is not exact."""
    if not situation.is_poisson and (situation.kind is not Kind.PROPORTION):
        return None
    c, shares = situation.ratio, situation.treated_shares()
    q = (c * shares / (1 - shares + c * shares))[:, None]
    new1, new = _new(s1), _new(s0 + s1)
    gains = [
        np.cumsum(new1 * tilt - new * np.log1p(q * np.expm1(tilt)), axis=0)
        for tilt in situation.sign * np.array(TILTS)
    ]
    found: Floats = np.logaddexp.reduce(gains) - np.log(len(TILTS))
    return found


def log_two_by_two(
    situation: Situation, n0: Floats, s0: Floats, n1: Floats, s1: Floats
) -> Floats | None:
    """The two-by-two e-process's logarithm, shape (looks, R); None unless for a proportion."""
    if situation.kind is not Kind.PROPORTION:
        return None
    new0, new1 = _new(n0)[:, None], _new(n1)[:, None]
    bet0 = (s0 - _new(s0) + TO_START) / (n0[:, None] - new0 + 2 * TO_START)
    bet1 = (s1 - _new(s1) + TO_START) / (n1[:, None] - new1 + 2 * TO_START)
    c = situation.ratio
    yes = new0 * bet0 + new1 * bet1
    b = yes * (1 + c) + new0 * (1 - bet0) + c * new1 * (1 - bet1)
    null0 = 2 * yes / (b + np.sqrt(np.maximum(b * b - 4 * c * (new0 + new1) * yes, 0)))
    won = _log_ratio(new0, _new(s0), bet0, null0) + _log_ratio(new1, _new(s1), bet1, c * null0)
    worse = situation.sign * (bet1 - c * bet0) > 0
    found: Floats = np.cumsum(np.where(worse, won, 0.0), axis=0)
    return found


def _new(sums: Floats) -> Floats:
    return np.diff(sums, axis=0, prepend=np.zeros_like(sums[:1]))


def _log_ratio(units: Floats, events: Floats, bet: Floats, null: Floats) -> Floats:
    null = np.minimum(null, 1 - 1e-12)
    found: Floats = events * np.log(bet / null) + (units - events) * np.log((1 - bet) / (1 - null))
    return found
