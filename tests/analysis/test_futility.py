"""Conditional and predictive power: simulation, published values, edges."""

from math import inf, nan, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.effect import Undecided
from analysis.futility import conditional_power, futility, predictive_power

Z = 1.959964


def test_by_the_b_value():
    """Lan & Wittes: halfway with Z = 1.5 and drift 3, the B-value needs 0.9 of what is to come."""
    # B(1/2) = 1.5 sqrt(1/2) = 1.0607; B(1) - B(1/2) ~ N(3/2, 1/2)
    by_hand = stats.norm.sf((Z - 1.5 * sqrt(0.5) - 1.5) / sqrt(0.5))
    error = 1.0
    drift_of_3 = 3 * error * sqrt(0.5)

    assert conditional_power(1.5, error, 0.5, drift_of_3, Z) == pytest.approx(by_hand)


@pytest.mark.parametrize(("truth", "fraction"), [(0.0, 0.3), (0.25, 0.5), (-0.1, 0.8)])
def test_agrees_with_simulation(truth, fraction):
    """Futures drawn unit by unit are significant as often as was computed."""
    rng = np.random.default_rng(2)
    n = 400
    seen = round(n * fraction)
    past_mean, past_error = 0.12, 1 / sqrt(seen)
    future = rng.normal(truth, 1, (20_000, n - seen)).sum(1)
    final = (seen * past_mean + future) / n * sqrt(n)

    computed = conditional_power(past_mean, past_error, fraction, truth, Z)

    assert (final > Z).mean() == pytest.approx(computed, abs=0.012)


@pytest.mark.parametrize("deviation", [None, 0.1])
def test_predictive_power_averages_conditional_power(deviation):
    """Integrating conditional power over the posterior gives the closed form."""
    estimate, error, fraction = 0.15, 0.09, 0.4
    weight = 1.0 if deviation is None else deviation**2 / (deviation**2 + error**2)
    posterior = stats.norm(weight * estimate + (1 - weight) * 0.02, sqrt(weight) * error)
    grid = posterior.ppf((np.arange(2_000) + 0.5) / 2_000)
    averaged = np.mean([conditional_power(estimate, error, fraction, t, Z) for t in grid])

    found = predictive_power(
        estimate, error, fraction, Z, prior_mean=0.02, prior_deviation=deviation
    )

    assert found == pytest.approx(averaged, abs=2e-4)


@given(st.floats(-3, 3), st.floats(0.05, 0.95), st.floats(-2, 2), st.floats(0.01, 1))
def test_power_grows_with_the_truth(estimate, fraction, truth, more):
    less = conditional_power(estimate, 1.0, fraction, truth, Z)

    assert conditional_power(estimate, 1.0, fraction, truth + more, Z) >= less


def test_at_the_deadline_it_is_decided():
    assert conditional_power(2.0, 1.0, 1.0, 0.0, Z) == 1.0
    assert predictive_power(1.9, 1.0, 1.0, Z) == 0.0


def test_a_hopeless_rollout_saves_its_rest():
    found = futility(-0.4, 0.15, fraction=0.6, worthwhile=0.2, days_left=9, units_left=12_000)

    assert found.is_futile
    assert (found.saved_days, found.saved_units) == (9, 12_000)
    assert "hardly" in found.reason


def test_a_hopeful_one_goes_on():
    found = futility(0.2, 0.15, fraction=0.4, worthwhile=0.3, days_left=9)

    assert not found.is_futile
    assert found.saved_days == 0
    assert found.at_worthwhile > 0.1


def test_without_an_error_nothing_is_known():
    assert isinstance(futility(0.0, 0.0, fraction=0.5, worthwhile=0.1), Undecided)
    assert isinstance(futility(0.1, 1.0, fraction=0.0, worthwhile=0.1), Undecided)


@pytest.mark.parametrize(
    ("given_", "name"),
    [
        ({"worthwhile": 0.0}, "worthwhile"),
        ({"floor": 1.0}, "floor"),
        ({"estimate": nan}, "estimate"),
        ({"error": -1.0}, "error"),
        ({"fraction": 1.5}, "fraction"),
        ({"critical": inf}, "critical"),
        ({"days_left": -1.0}, "days_left"),
    ],
)
def test_impossible_arguments_are_refused(given_, name):
    arguments = {"estimate": 0.1, "error": 0.1, "fraction": 0.5, "worthwhile": 0.1} | given_

    with pytest.raises(ValueError, match=name):
        futility(**arguments)
