"""How a plan's customers are expected to come: stage by stage, look by look, before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import inf, sqrt

from rollouts.lifecycle.model import Stage
from rollouts.lifecycle.plan import Draft

LOOKS = 40  # simulated at most: more are dear, and only tell a stop by less than a look sooner
FEWEST = 4  # of them in a stage that has so many, unless there are many stages
A_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stage as it is expected: share of eligible customers, customers, looks, and days."""

    share: float
    units: float  # in all variations
    looks: int  # as simulated
    days: float | None  # None where the traffic is not known


@dataclass(frozen=True, slots=True)
class Course:
    """The stages that will be reached, and what ends the plan."""

    stretches: tuple[Stretch, ...]
    ends_by: str  # "planned_units" or "deadline"

    @property
    def units(self) -> float:
        """Customers in all variations by the end."""
        return sum(item.units for item in self.stretches)

    @property
    def days(self) -> float | None:
        """How long it takes; None where the traffic is not known."""
        held = [item.days for item in self.stretches if item.days is not None]
        return sum(held) if len(held) == len(self.stretches) else None

    @property
    def looks(self) -> int:
        """Looks as simulated."""
        return sum(item.looks for item in self.stretches)


def course(
    draft: Draft, *, customers_per_day: float | None, look_seconds: float, start: datetime
) -> Course:
    """The stages with their customers, in order.

    customers_per_day: eligible and new, in all; None if nobody knows. Then time is unknown too,
    and the ramp is left out: all planned customers come in one stage.
    """
    if customers_per_day is None:
        last = draft.ramp[-1].share
        return Course((Stretch(last, float(draft.planned_units), LOOKS, None),), "planned_units")
    left_days = (draft.deadline - start) / A_DAY if draft.deadline is not None else inf
    reached, is_full = _walk(draft.ramp, customers_per_day, draft.planned_units, left_days)
    looks = _looks([units for _, units, _ in reached], [d for _, _, d in reached], look_seconds)
    return Course(
        tuple(
            Stretch(share, units, n, days)
            for (share, units, days), n in zip(reached, looks, strict=True)
        ),
        "planned_units" if is_full else "deadline",
    )


def _walk(
    ramp: Sequence[Stage], per_day: float, most_units: float, most_days: float
) -> tuple[list[tuple[float, float, float]], bool]:
    """(share, units, days) of every stage reached, and whether all planned customers came."""
    reached: list[tuple[float, float, float]] = []
    units, days = float(most_units), most_days
    for place, stage in enumerate(ramp):
        is_last = place + 1 == len(ramp)
        hold = inf if is_last else stage.hold / A_DAY
        length = min(hold, days, units / (per_day * stage.share))
        if length > 0:
            reached.append((stage.share, length * per_day * stage.share, length))
            units, days = units - reached[-1][1], days - length
    return reached, units <= 1e-6 * most_units


def _looks(units: Sequence[float], days: Sequence[float], look_seconds: float) -> list[int]:
    """How many looks to simulate in each stage: more where more customers come, none idle."""
    real = [max(int(d * A_DAY.total_seconds() / look_seconds), 1) for d in days]
    weights = [sqrt(n) for n in units]
    fewest = max(min(FEWEST, LOOKS // max(len(units), 1)), 1)
    wanted = [max(round(LOOKS * w / sum(weights)), fewest) for w in weights]
    return [min(pair) for pair in zip(wanted, real, strict=True)]
