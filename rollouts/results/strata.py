"""From the ledger's sums to the strata that the statistics take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from analysis.stoploss import Kind, Stratum
from analysis.summary import PairSummary
from rollouts.metrics.model import Aggregation, Definition

GAUSSIAN: Literal["gaussian"] = "gaussian"
Form = Kind | Literal["gaussian"]
Cell = tuple[int, int]  # variation's place, stratum


@dataclass(frozen=True, slots=True)
class Counted:
    """One metric's sums for one rollout: per variation and stratum."""

    units: Mapping[Cell, int]
    cells: Mapping[Cell, PairSummary]

    def of(self, variation: int, stratum: int) -> PairSummary:
        """The sums of one cell, with all its units, also those without an outcome."""
        held = self.cells.get((variation, stratum), PairSummary())
        n = self.units.get((variation, stratum), 0)
        return PairSummary(n, held.x_total, held.y_total, held.xx, held.yy, held.xy)

    def total(self, variation: int) -> PairSummary:
        """The sums of a variation over all strata."""
        strata = sorted({stratum for _, stratum in self.units})
        return sum((self.of(variation, stratum) for stratum in strata), PairSummary())

    @property
    def strata(self) -> list[int]:
        """Strata with any unit, in order."""
        return sorted({stratum for _, stratum in self.units})


def kind_of(definition: Definition) -> Form:
    """What a metric's numbers are to the stop-loss; whole counts stop sooner than money."""
    if definition.allow_negative:
        return GAUSSIAN
    if definition.aggregation is Aggregation.ANY:
        return Kind.PROPORTION
    is_whole = definition.cap is None or float(definition.cap).is_integer()
    is_count = definition.aggregation is Aggregation.COUNT and is_whole
    return Kind.COUNT if is_count else Kind.OTHER


def make_strata(
    counted: Counted,
    definition: Definition,
    control: int,
    treatment: int,
    extremes: Mapping[Cell, tuple[float, float]] | None = None,
) -> list[tuple[int, Stratum]]:
    """The strata of one treatment against control, each with its number.

    extremes: smallest and largest value of any one unit, where they are known.
    """
    make = _ratio if definition.aggregation.has_denominator else _plain
    found = [
        (number, make(counted.of(control, number), counted.of(treatment, number)))
        for number in counted.strata
    ]
    if not extremes:
        return found
    return [
        (
            number,
            replace(
                item,
                peak0=_peak(extremes.get((control, number)), item.s0, item.n0),
                peak1=_peak(extremes.get((treatment, number)), item.s1, item.n1),
            ),
        )
        for number, item in found
    ]


def _peak(held: tuple[float, float] | None, total: float, n: float) -> float | None:
    """The value that lies farthest from the mean."""
    if held is None or n <= 0:
        return None
    return max(held, key=lambda value: abs(value - total / n))


def mean_of(summary: PairSummary, definition: Definition) -> float | None:
    """A variation's level: per unit, or per denominator; None without any."""
    by = summary.y_total if definition.aggregation.has_denominator else float(summary.n)
    return summary.x_total / by if by > 0 else None


def _plain(control: PairSummary, treatment: PairSummary) -> Stratum:
    return Stratum(
        n0=control.n,
        s0=control.x_total,
        q0=control.xx,
        n1=treatment.n,
        s1=treatment.x_total,
        q1=treatment.xx,
    )


def _ratio(control: PairSummary, treatment: PairSummary) -> Stratum:
    nv0, m0 = _spread(control)
    nv1, m1 = _spread(treatment)
    return Stratum(
        n0=control.y_total,
        s0=control.x_total,
        q0=control.xx,
        n1=treatment.y_total,
        s1=treatment.x_total,
        q1=treatment.xx,
        nv0=nv0,
        nv1=nv1,
        m0=m0,
        m1=m1,
    )


def _spread(arm: PairSummary) -> tuple[float, float]:
    """n v and m: squared residuals of the ratio, with the randomised unit as cluster."""
    if arm.n < 2 or arm.y_total <= 0:
        return 0.0, float(arm.n)
    ratio = arm.x_total / arm.y_total
    residual = max(arm.xx - 2 * ratio * arm.xy + ratio * ratio * arm.yy, 0.0)
    return residual * arm.n / (arm.n - 1), float(arm.n)
