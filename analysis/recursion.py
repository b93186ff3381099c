"""Boundaries of a Wiener process looked at now and then, by numerical integration.

W(t) has mean 0 and variance t. A boundary is set so that a given chance of crossing is added
at each look; the density of the paths that have not crossed is carried from look to look.

Source: Armitage, McPherson & Rowe (1969), Journal of the Royal Statistical Society A 132.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, inf, pi, sqrt

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import brentq
from scipy.special import ndtr

Floats = NDArray[np.float64]

POINTS = 301
TAIL = 7.0  # standard deviations below 0 at which the grid starts
FAR = 8.5  # kernel deviations beyond which a normal density is lost in rounding
RESOLVED = 3.0  # points per kernel deviation below which the density is interpolated


@dataclass(frozen=True)
class Grid:
    """The density of W on the paths that have not crossed by some information, at a look there.

    boundary: of that look, in standard deviations; density: at `POINTS` even steps up to it.
    """

    information: float
    boundary: float
    density: tuple[float, ...]

    def points(self) -> Floats:
        """Where the density is known, shape (POINTS,)."""
        return _points(self.information, self.boundary)

    def probability(self) -> float:
        """The chance of not having crossed.

        >>> round(step(None, 10.0, 0.02)[1].probability(), 4)
        0.98
        """
        points = self.points()
        return float(_weights(points, np.asarray(self.density)).sum())


def step(grid: Grid | None, information: float, spend: float) -> tuple[float, Grid]:
    """The boundary at which exactly `spend` more of all paths cross, and what is left.

    grid: of the look before, None at the first. information: above the grid's own.

    >>> round(step(None, 10.0, 0.025)[0], 6)
    1.959964
    """
    scale = sqrt(information)
    if grid is None:
        boundary = _solve(lambda b: float(ndtr(-b)), spend)
        points = _points(information, boundary)
        density = np.exp(-((points / scale) ** 2) / 2) / (sqrt(2 * pi) * scale)
        return boundary, Grid(information, boundary, tuple(density.tolist()))
    kernel = sqrt(information - grid.information)
    old, mass = _resolved(grid, kernel)
    boundary = _solve(lambda b: float(mass @ ndtr((old - b * scale) / kernel)), spend)
    points = _points(information, boundary)
    density = _spread(old, mass, points, kernel)
    return boundary, Grid(information, boundary, tuple(density.tolist()))


def boundaries(information: Sequence[float], spent: Sequence[float]) -> list[float]:
    """One boundary per look, for alpha spent in all by each; infinite where nothing was added.

    information, spent: shape (k,), growing; spent may stand still.
    Raises ValueError if the shapes differ.

    >>> [round(b, 3) for b in boundaries([1, 2], [0.01, 0.025])]
    [2.326, 2.076]
    """
    if len(information) != len(spent):
        raise ValueError(f"{len(information)} looks but alpha spent at {len(spent)}")
    grid: Grid | None = None
    before, found = 0.0, []
    for reached, total in zip(information, spent, strict=True):
        boundary = inf
        if total > before:
            boundary, grid = step(grid, reached, total - before)
        found.append(boundary)
        before = max(before, total)
    return found


def _solve(crossing: Callable[[float], float], spend: float) -> float:
    return float(brentq(lambda b: crossing(b) - spend, -8.0, 40.0, xtol=1e-12, rtol=1e-14))


def _points(information: float, boundary: float) -> Floats:
    scale = sqrt(information)
    return np.linspace(-TAIL * scale, boundary * scale, POINTS)


def _weights(points: Floats, density: Floats) -> Floats:
    """Probabilities by the trapezoid rule."""
    mass: Floats = density * (points[1] - points[0])
    mass[0] /= 2
    mass[-1] /= 2
    return mass


def _spread(old: Floats, mass: Floats, points: Floats, kernel: float) -> Floats:
    """The density at the points after a normal step of this deviation, shape (POINTS,).

    Only what lies within `FAR` deviations of a point is summed; the rest is below rounding.
    """
    spacing = float(old[1] - old[0])
    near = min(ceil(2 * FAR * kernel / spacing) + 2, len(old))
    start = np.searchsorted(old, points - FAR * kernel)
    start = np.minimum(start, len(old) - near)
    places = start[:, None] + np.arange(near)
    heights = np.exp(-(((points[:, None] - old[places]) / kernel) ** 2) / 2)
    density: Floats = np.einsum("ij,ij->i", heights, mass[places]) / (sqrt(2 * pi) * kernel)
    return density


def _resolved(grid: Grid, kernel: float) -> tuple[Floats, Floats]:
    """The last grid with its probabilities, finer where the kernel is narrower than its steps.

    Without this, looks that follow each other within a few tenths of a per cent of information
    would gain or lose probability at every step.
    """
    points, density = grid.points(), np.asarray(grid.density)
    finer = ceil(RESOLVED * float(points[1] - points[0]) / kernel)
    if finer > 1:
        curve = CubicSpline(points, density)
        points = np.linspace(points[0], points[-1], (POINTS - 1) * finer + 1)
        density = np.maximum(curve(points), 0.0)
    return points, _weights(points, density)
