"""The exact option holds its level with no approximation, on simulated rollouts looked at often."""

from dataclasses import replace
from math import sqrt

import numpy as np
import pytest

from analysis.operating import operating_characteristics, simulate_exact
from analysis.planning import Plan, Stage
from analysis.populations import counts, proportion

REPLICATIONS = 2000
RAMP = (Stage(20, 60, 0.1), Stage(40, 200, 0.5))


def allowed(level: float) -> float:
    return level + 3.3 * sqrt(level * (1 - level) / REPLICATIONS)


@pytest.mark.parametrize(
    ("population", "sign"),
    [
        (proportion(0.02), 1),
        (proportion(0.6), 1),
        (proportion(0.3), -1),
        (counts(0.4, 1.0), 1),
    ],
)
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_false_stops_stay_at_or_below_alpha(population, sign, alpha):
    """Harm exactly as large as tolerated, through a ramp, looked at 60 times."""
    plan = Plan(population, sign, 0.1, RAMP, alpha=alpha, exact=True)

    found = operating_characteristics(plan, harms=[0.1], replications=REPLICATIONS, seed=3)

    assert found[0].stopped.value <= allowed(alpha)


def test_harm_is_caught_and_by_no_fewer_customers_than_the_share_test_needs():
    """What exactness costs is told: harm is caught, later."""
    plan = Plan(proportion(0.1), 1, 0.1, (Stage(40, 400),))

    ours = operating_characteristics(plan, harms=[0.4], replications=400, seed=4)[0]
    exact = operating_characteristics(
        replace(plan, exact=True), harms=[0.4], replications=400, seed=4
    )[0]

    assert exact.stopped.value > 0.9
    assert exact.exposed.value > ours.exposed.value


def test_counts_that_vary_more_would_stop_falsely():
    """Why such counts are refused: the same bet on them breaks its promise."""
    plan = Plan(counts(0.4, 3.0), 1, 0.1, RAMP, exact=True)
    rng = np.random.default_rng(5)

    evidence, _ = simulate_exact(plan, plan.population.scaled(1.1), REPLICATIONS, rng)

    assert (evidence.max(0) >= np.log(20)).mean() > 2 * allowed(0.05)
