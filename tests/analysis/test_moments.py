"""Sums of an outcome with covariates."""

import numpy as np
import pytest

from analysis.moments import Moments
from analysis.summary import PairSummary, Summary


def test_moments_of_disjoint_units_add_and_centre_as_numpy_does():
    """Sums of products are all that a covariance matrix needs."""
    table = np.random.default_rng(1).normal(size=(50, 3))
    merged = Moments.of(table[:20]) + Moments.of(table[20:])

    assert merged.n == 50
    assert merged.means == pytest.approx(table.mean(axis=0))
    assert merged.centred / 49 == pytest.approx(np.cov(table.T), rel=1e-12)
    assert merged.outcome.mean == pytest.approx(Summary.of(table[:, 0]).mean)


def test_a_pair_is_an_outcome_with_one_covariate():
    """The same sums under another name."""
    pair = PairSummary.of([1, 2, 4], [3, 3, 9])
    moments = Moments.of_pair(pair)

    assert moments.centred == pytest.approx(
        np.array([[pair.x.centred, pair.centred], [pair.centred, pair.y.centred]])
    )


def test_large_levels_lose_no_digit():
    """A covariate far from zero is centred exactly."""
    table = np.array([[1e6, 3e6], [1e6 + 1, 3e6 + 2], [1e6 + 2, 3e6 + 4]])
    assert Moments.of(table).centred == pytest.approx(np.array([[2, 4], [4, 8]]))


def test_shapes_that_do_not_fit_are_refused():
    """k sums go with k by k products."""
    with pytest.raises(ValueError, match="totals and products"):
        Moments(3, np.array([1.0, 2.0]), np.array([[1.0]]))
