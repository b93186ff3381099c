"""The stop-loss boundary: alpha spent on the information reached, and a reserve without end.

Nine tenths of alpha are spent by the locked deadline, at whatever looks are taken; one tenth
pays for a bound that holds at every look for ever. No number of looks is planned, and nothing
is simulated.

Source: error spending, Lan & DeMets (1983), Biometrika 70, with the project's own spending
functions; the recursion is that of Armitage, McPherson & Rowe (1969); the reserve is a normal
mixture bound, Robbins (1970), Howard et al. (2021), one-sided.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from dataclasses import dataclass, replace
from enum import StrEnum
from math import exp, inf, isfinite, log, log1p, sqrt
from typing import Any, Self

import numpy as np

from analysis.recursion import Grid, step

PRIMARY = 0.9  # of alpha, spent by the deadline; the rest is the reserve's
SMALLEST = 1e-300  # of information beside what is planned
GROWTH = 1e-4  # information must grow by this share before a look counts


class Pace(StrEnum):
    """How the alpha of a plan is laid out over the information up to its deadline.

    All of it is spent either way, so the level is the same; what differs is when. Sooner spends
    more of it on the looks at which harm is usually found, and keeps less for the deadline:
    `tests.benchmarks.operating_characteristics` has both on the same paths.
    """

    RECIPE = "recipe"  # the stop-loss recipe's, to the letter
    SOONER = "sooner"


@dataclass(frozen=True)
class Spending:
    """What one one-sided test has spent, and what its evidence must now exceed. Immutable.

    alpha: false-stop rate of the whole test, in (0, 0.5).
    planned: information at the deadline; only paces the spending, so 0.3 to 3 times the truth
    is harmless. None: no deadline is known, and the reserve has all of alpha.
    boundary: what the evidence must exceed at this look by the plan; infinite before the first
    look, between spendings, and after the deadline. Looks may come at any time, and the deadline
    may move before it is reached, but only for reasons blind to how events split.
    pace: how the alpha is laid out over information.
    reserve: what it must exceed at any look. looks: looks that counted. spent: alpha spent.

    >>> spending = Spending(0.05, planned=60)
    >>> for information in (10, 14, 20):
    ...     spending = spending.advance(information)
    ...     print(round(spending.boundary, 4), round(spending.reserve, 4))
    2.6309 3.6139
    2.49 3.5829
    2.4247 3.5725
    >>> spending.advance(60, deadline=True).spent
    0.045...
    """

    alpha: float
    planned: float | None = None
    boundary: float = inf
    reserve: float = inf
    spent: float = 0.0
    looks: int = 0
    first: float | None = None  # information at the first look
    information: float = 0.0  # at the last look that counted
    held: float = inf  # that look's boundary
    closed: bool = False  # the deadline has been spent
    grid: Grid | None = None  # the evidence that has not been stopped so far
    pace: Pace = Pace.RECIPE

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha must be in (0, 0.5), not {self.alpha}")
        if self.planned is not None and not (isfinite(self.planned) and self.planned > 0):
            raise ValueError(f"planned must be finite and above 0, or None, not {self.planned}")

    @property
    def bound(self) -> float:
        """The lower of the boundary and the reserve: what stops at this look."""
        return min(self.boundary, self.reserve)

    def advance(self, information: float, *, deadline: bool = False) -> Self:
        """The state after a look at this information. The first call is the first usable look.

        A look at which information did not grow by 0.01 % does not count: it repeats the last
        boundary where information stood still, and leaves only the reserve where it shrank.
        deadline: whether this is the locked plan's last look; the rest of alpha is spent then.
        Raises ValueError unless information is finite and above 0.
        """
        if not (isfinite(information) and information > 0):
            raise ValueError(f"information must be finite and above 0, not {information}")
        first = self.first if self.first is not None else information
        state = replace(self, first=first, reserve=_reserve(self, first, information))
        if state._counts(information, deadline):
            grown = max(information, self.information * (1 + GROWTH)) if deadline else information
            return state._spend(grown, deadline)
        still = abs(information - self.information) <= GROWTH * self.information
        return replace(state, boundary=self.held if still else inf)

    def _counts(self, information: float, deadline: bool) -> bool:
        if self.closed:
            return False
        return deadline or information > self.information * (1 + GROWTH)

    def _spend(self, information: float, deadline: bool) -> Self:
        counted = replace(
            self,
            information=information,
            looks=self.looks + 1,
            closed=deadline,
            boundary=inf,
            held=inf,
        )
        target = self._target(information, deadline)
        if target - self.spent <= 1e-12 * self.alpha:
            return counted
        solved, grid = step(self.grid, information, target - self.spent)
        return replace(counted, spent=target, boundary=solved, held=solved, grid=grid)

    def _target(self, information: float, deadline: bool) -> float:
        """Alpha spent by the time this information is reached."""
        if self.planned is None or self.first is None:
            return 0.0
        whole = PRIMARY * self.alpha
        if deadline:
            return whole
        reached = _LAID_OUT[self.pace](information / self.first, self.planned / self.first)
        return max(self.spent, whole * reached)

    def to_dict(self) -> dict[str, Any]:
        """As JSON can hold it; `from_dict` gives back exactly the same state."""
        return {
            "alpha": self.alpha,
            "planned": self.planned,
            "boundary": _to_json(self.boundary),
            "reserve": _to_json(self.reserve),
            "spent": self.spent,
            "looks": self.looks,
            "first": self.first,
            "information": self.information,
            "held": _to_json(self.held),
            "closed": self.closed,
            "grid": _grid_to_dict(self.grid),
            "pace": self.pace.value,
        }

    @classmethod
    def from_dict(cls, held: dict[str, Any]) -> Self:
        """The state that `to_dict` wrote. Raises KeyError where a part is missing."""
        fields = dict(held)
        for name in ("boundary", "reserve", "held"):
            fields[name] = inf if held[name] is None else held[name]
        fields["grid"] = _grid_from_dict(held["grid"])
        fields["pace"] = Pace(held.get("pace", Pace.RECIPE))
        return cls(**fields)


def _as_the_recipe(grown: float, planned: float) -> float:
    """The share of the plan's alpha spent; both arguments are multiples of the first look's."""
    length = log(2 * max(1.5, planned))
    return min(0.95, 0.8 * (1 + 3 * log(grown)) / (1 + 3 * length))


BY_PLAN, BEND, BEYOND = 0.84, 0.85, 2.0


def _sooner(grown: float, planned: float) -> float:
    """Up to `BY_PLAN` at the planned information, nearly in proportion to its logarithm, from
    about as much at the first look as the recipe. Beyond the plan, which may be wrong by three,
    it goes on towards all of it, and slowly enough to leave something for thrice the plan.
    """
    longest = max(1.5, planned)
    start = BY_PLAN / (1 + 3 * log(2 * longest))
    way = log(grown) / log(longest)
    if way <= 1:
        return start + (BY_PLAN - start) * float(way**BEND)
    return 1 - (1 - BY_PLAN) * exp(-BEYOND * (way - 1))


_LAID_OUT = {Pace.RECIPE: _as_the_recipe, Pace.SOONER: _sooner}


def _to_json(value: float) -> float | None:
    return value if isfinite(value) else None


def _grid_to_dict(grid: Grid | None) -> dict[str, Any] | None:
    if grid is None:
        return None
    density = np.asarray(grid.density, dtype="<f8").tobytes()
    return {
        "information": grid.information,
        "boundary": grid.boundary,
        "density": b64encode(density).decode("ascii"),
    }


def _grid_from_dict(held: dict[str, Any] | None) -> Grid | None:
    if held is None:
        return None
    density = np.frombuffer(b64decode(held["density"]), dtype="<f8")
    return Grid(held["information"], held["boundary"], tuple(density.tolist()))


def _reserve(state: Spending, first: float, information: float) -> float:
    share = state.alpha if state.planned is None else (1 - PRIMARY) * state.alpha
    return reserve_bound(share, information, max((state.planned or 0.0) / 3, first))


def reserve_bound(alpha: float, information: float, tuned_at: float) -> float:
    """What a standardised statistic exceeds at some look, ever, with chance at most alpha.

    information: reached so far; tuned_at: the information at which the bound is tightest.

    >>> round(reserve_bound(0.005, 10, 20), 4)
    3.6139
    """
    rho = -2 * log(2 * alpha) + log(1 - 2 * log(2 * alpha))
    x = max(information * rho / tuned_at, SMALLEST)
    return sqrt(2 * (1 + 1 / x) * log1p(sqrt(x + 1) / (2 * alpha)))
