"""The boundary's recursion: published constants, multivariate normals, looks close together."""

from math import sqrt

import numpy as np
import pytest
from scipy import stats

from analysis.recursion import Grid, boundaries, step


@pytest.mark.parametrize(("looks", "constant"), [(2, 2.178), (3, 2.289), (5, 2.413), (10, 2.555)])
def test_pocock_constants(looks, constant):
    """Jennison & Turnbull's constants for two-sided 0.05: equal boundaries spend 0.05 in all.

    One-sided, each constant crosses with half that chance, up to the chance of crossing both ways.
    """
    grid, spent = None, 0.0
    for k in range(1, looks + 1):
        low, high = 0.0, 0.025
        for _ in range(60):  # the spending at this look whose boundary is the constant
            middle = (low + high) / 2
            boundary, candidate = step(grid, float(k), middle)
            low, high = (middle, high) if boundary > constant else (low, middle)
        grid, spent = candidate, spent + middle

    assert 2 * spent == pytest.approx(0.05, abs=2e-4)


def test_agrees_with_multivariate_normal_probabilities():
    """The chance of not crossing by the third look is that of a normal vector, by scipy."""
    information, spent = [10.0, 14.0, 30.0], [0.01, 0.02, 0.035]
    found = boundaries(information, spent)
    w = np.minimum.outer(information, information)

    limits = np.array(found) * np.sqrt(information)
    inside = stats.multivariate_normal.cdf(
        limits, np.zeros(3), w, maxpts=4_000_000, abseps=1e-8, releps=1e-8
    )

    assert 1 - inside == pytest.approx(0.035, abs=2e-6)


def test_probability_is_kept():
    """After every step the grid holds what has not crossed, also with looks close together."""
    grid, left = None, 1.0
    for k in range(40):
        _, grid = step(grid, 10 * 1.0008**k, 2e-4)
        left -= 2e-4
        assert grid.probability() == pytest.approx(left, abs=5e-5)


@pytest.mark.parametrize("growth", [1.0002, 1.001, 1.005])
def test_looks_close_together_keep_the_level(growth):
    """Simulated paths cross as often as was spent, however little happened between two looks."""
    looks = 60
    information = 10 * growth ** np.arange(looks)
    spent = np.linspace(0.02, 0.05, looks)
    found = np.array(boundaries(list(information), list(spent)))
    rng = np.random.default_rng(8)

    increments = np.sqrt(np.diff(information, prepend=0))
    crossed = 0
    for _ in range(10):
        paths = np.cumsum(rng.standard_normal((20_000, looks)) * increments, axis=1)
        crossed += int((paths > found * np.sqrt(information)).any(1).sum())

    assert crossed / 200_000 == pytest.approx(0.05, abs=4 * sqrt(0.05 / 200_000))


def test_nothing_spent_is_no_boundary():
    assert boundaries([1, 2, 3], [0.01, 0.01, 0.02])[1] == np.inf


def test_shapes_must_agree():
    with pytest.raises(ValueError, match="2 looks"):
        boundaries([1, 2], [0.01])


def test_a_grid_says_where_its_points_are():
    points = Grid(4.0, 2.0, (0.0,) * 301).points()

    assert points[0] == -14
    assert points[-1] == 4
