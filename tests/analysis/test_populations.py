"""Simulated customers: moments as asked, sums as those of single customers."""

import numpy as np
import pytest

from analysis.populations import Population, counts, money, pool, proportion


@pytest.mark.parametrize(
    ("population", "mean", "variance"),
    [
        (proportion(0.3), 0.3, 0.21),
        (counts(0.7), 0.7, 0.7),
        (counts(0.7, 3.0), 0.7, 2.1),
        (money(10.0, 0.2, 1.0), 10.0, 0.2 * 2500 * 2 - 100),
        (pool([1, 1, 4]), 2.0, 2.0),
    ],
)
def test_moments_are_those_asked_for(population, mean, variance):
    assert population.mean == pytest.approx(mean, rel=1e-6)
    assert population.variance == pytest.approx(variance, rel=1e-3)


@pytest.mark.parametrize("population", [proportion(0.2), counts(1.5, 2.0), money(5, 0.1, 1.5)])
@pytest.mark.parametrize("ratio", [0.0, 0.5, 1.0, 1.7])
def test_scaling_scales_the_mean(population, ratio):
    assert population.scaled(ratio).mean == pytest.approx(population.mean * ratio)


def test_scaling_a_common_count_raises_its_values():
    """Where nearly all have a value already, their number cannot grow as much as the mean."""
    everyone = pool([1, 2, 3])

    assert everyone.scaled(2).mean == pytest.approx(4)


def test_sums_are_those_of_single_customers():
    """Mean and variance of drawn sums and squares agree with the population's."""
    population = counts(0.8, 2.0)
    s, q = population.draw(np.random.default_rng(1), np.full(20_000, 50))

    assert s.mean() == pytest.approx(50 * population.mean, rel=0.01)
    assert s.var() == pytest.approx(50 * population.variance, rel=0.04)
    assert q.mean() == pytest.approx(50 * (population.variance + population.mean**2), rel=0.02)


@pytest.mark.parametrize(
    ("call", "name"),
    [
        (lambda: proportion(1.0), "rate"),
        (lambda: counts(0.0), "mean"),
        (lambda: counts(1.0, 0.5), "dispersion"),
        (lambda: money(1.0, 0.0, 1.0), "paying"),
        (lambda: pool([]), "values"),
        (lambda: Population((0.0,), (0.5,)), "chances"),
        (lambda: Population((np.inf,), (1.0,)), "values"),
        (lambda: Population((0.0, 1.0), (1.0,)), "values"),
        (lambda: proportion(0.6).scaled(2), "ratio"),
        (lambda: proportion(0.6).scaled(-1), "ratio"),
    ],
)
def test_impossible_populations_are_refused(call, name):
    with pytest.raises(ValueError, match=name):
        call()
