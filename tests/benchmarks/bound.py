"""The fewest treated customers that any rule of this error rate needs, on average.

A rule that stops at the tolerance at most alpha of the time, and with this power under harm,
must have seen kl(power, alpha) of information on the nearest tolerated truth.

Source: Wald's inequality for sequential tests in its general form, as in Garivier & Kaufmann
(2016), COLT, lemma 1.
"""

from __future__ import annotations

from math import log

import numpy as np
from scipy.optimize import minimize_scalar

from analysis.populations import Population
from tests.benchmarks.situations import Situation

LEAST_POWER = 0.5  # below it, most rollouts end unstopped and the bound says little


def fewest_treated(situation: Situation, multiple: float, power: float) -> float | None:
    """The bound in treated customers, or None where it is not known or the power is poor."""
    shares = situation.treated_shares()
    is_plain = (
        situation.has_bound and np.allclose(shares, shares[0]) and (situation.drift == 1).all()
    )
    if not is_plain or power < LEAST_POWER:
        return None
    return _binary(min(power, 1 - 1e-6), situation.alpha) / _nearest(
        situation, situation.truth(multiple), float((1 - shares[0]) / shares[0])
    )


def _nearest(situation: Situation, ratio: float, controls: float) -> float:
    """Information per treated customer against the tolerated truth that is hardest to rule out."""
    control = situation.family(situation.mean)
    treatment = situation.family(situation.mean * ratio)

    def information(mean: float) -> float:
        return controls * divergence(control, situation.family(mean)) + divergence(
            treatment, situation.family(mean * situation.ratio)
        )

    ends = sorted((situation.mean, situation.mean * ratio / situation.ratio))
    found = minimize_scalar(information, bounds=ends, method="bounded", options={"xatol": 1e-9})
    return float(found.fun)


def divergence(truth: Population, other: Population) -> float:
    """Kullback-Leibler divergence of two populations, by the values they share."""
    chances = dict(zip(other.values, other.chances, strict=True))
    pairs = zip(truth.values, truth.chances, strict=True)
    return sum(p * log(p / chances[x]) for x, p in pairs if p > 0 and chances.get(x, 0.0) > 0)


def _binary(first: float, second: float) -> float:
    """Divergence of two events with these chances."""
    return first * log(first / second) + (1 - first) * log((1 - first) / (1 - second))
