"""What one look works on: the plan, its metrics, their sums, and how fast customers come."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from analysis.summary import PairSummary
from rollouts.lifecycle.plan import Draft
from rollouts.metrics.model import Definition
from rollouts.results import kinds
from rollouts.results.strata import Cell, Counted

DAY = timedelta(days=1)
LEAST_TIME = timedelta(minutes=10)  # of one allocation, before its pace is told


@dataclass(frozen=True, slots=True)
class Cut:
    """Where far values are cut: a quantile of all versions together, fixed once many have come."""

    quantile: float
    limit: float | None  # None: nobody has any value yet, so nothing is cut
    is_fixed: bool


@dataclass(frozen=True, slots=True)
class MetricInPlan:
    """A metric as a plan locked it; the cap of a cut one is that of this look."""

    key: str
    name: str
    version_id: int
    definition: Definition
    cut: Cut | None = None


@dataclass(frozen=True, slots=True)
class Pace:
    """How far a rollout has come on the way to its plan's end, and how fast it goes.

    units: uncrossed customers so far. lately, during: of them, how many came under the present
    allocation, and for how long it has been in force. left: until the deadline; None without
    one. growth: the ramp's last share over the present one.
    """

    units: int
    planned_units: int
    lately: int
    during: timedelta
    left: timedelta | None
    growth: float = 1.0

    @property
    def per_day(self) -> float | None:
        """Customers a day at the present allocation; None where it is too new to tell."""
        if self.during < LEAST_TIME or not self.lately:
            return None
        return self.lately / (self.during / DAY)

    @property
    def end_units(self) -> float:
        """Customers expected by the plan's end: by its deadline where there is one."""
        ahead = self.per_day
        if self.left is None or ahead is None:
            return float(max(self.planned_units, self.units))
        return self.units + ahead * self.growth * max(self.left / DAY, 0.0)

    @property
    def fraction(self) -> float:
        """Of the plan's end reached, in [0, 1]."""
        return min(self.units / self.end_units, 1.0) if self.units else 0.0

    @property
    def units_left(self) -> float:
        """Customers still expected until the plan's end."""
        return max(self.end_units - self.units, 0.0)

    @property
    def days_left(self) -> float | None:
        """Until the deadline, or until the planned customers have come; None where unknown."""
        if self.left is not None:
            return max(self.left / DAY, 0.0)
        ahead = self.per_day
        return self.units_left / (ahead * self.growth) if ahead else None


@dataclass(slots=True)
class Measuring:
    """What one look works on; `states` is replaced by the tests' new states as it goes."""

    draft: Draft
    metrics: Mapping[str, MetricInPlan]
    counted: Mapping[str, Counted]
    last_event_at: Mapping[str, datetime]
    shares_by_stratum: Mapping[int, float]
    is_deadline: bool
    pace: Pace
    units: Callable[[MetricInPlan], Mapping[int, kinds.Counted]]  # where sums say too little
    asked: Callable[[MetricInPlan], Mapping[int, int]]  # for their answer, where events say who was
    matured: Callable[[MetricInPlan], Counted]  # of customers whose window is complete
    before: Callable[[MetricInPlan], Mapping[int, PairSummary]]  # with the time before exposure
    crossed: Callable[[], Mapping[int, int]]  # by the place of the variation seen first
    by_day: Callable[[], Mapping[Cell, int]]  # customers by variation and day since 1970
    by_strata: Callable[[MetricInPlan], Mapping[Cell, PairSummary]]  # variation, kind of customer
    lately: Callable[[MetricInPlan], Counted]  # of customers who came in the `recent` time
    extremes: Callable[[MetricInPlan], Mapping[Cell, tuple[float, float]]]  # of any one unit
    recent: timedelta | None = None  # None while a rollout is too young to have last days
    states: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def control(self) -> int:
        """The control's place."""
        return [item.key for item in self.draft.variations].index(self.draft.control)

    def share_of(self, place: int) -> float:
        """A treatment's part of the customers that it and control are to get."""
        held = [self.draft.variations[at].share for at in (self.control, place)]
        return held[1] / sum(held)

    def state_name(self, place: int, metric: str) -> str:
        """Under which name the tests of a metric of an arm keep their state."""
        return f"{self.draft.variations[place].key}/{metric}"
