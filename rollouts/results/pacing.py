"""How a plan's tests are paced: the information that is expected by its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analysis.effect import Scale
from analysis.stoploss import Kind, Stratum, share_statistic
from rollouts.metrics.model import Definition
from rollouts.results.strata import GAUSSIAN, Form, kind_of


def form_of(definition: Definition, scale: Scale) -> Form:
    """Which form of the stop-loss serves a metric on a scale."""
    return GAUSSIAN if scale is Scale.ABSOLUTE else kind_of(definition)


def planned_information(
    planned_units: int,
    state: Mapping[str, Any],
    strata: Sequence[Stratum],
    kind: Form,
    sign: int,
    margin: float,
) -> float | None:
    """Information expected at the plan's end; it only paces the spending, so a guess will do.

    Fixed at the first usable look, so that no later look can move the boundary.
    """
    if state.get("planned"):
        return float(state["planned"])
    units = sum(item.n0 + item.n1 for item in strata)
    if units <= 0:
        return None
    growth = max(planned_units / units, 1.0)
    if kind == GAUSSIAN:
        harmonic = sum(
            item.n0 * item.n1 / (item.n0 + item.n1) for item in strata if item.n0 + item.n1 > 0
        )
        return harmonic * growth if harmonic > 0 else None
    found = share_statistic(strata, kind=Kind(kind), sign=sign, tolerance=margin)
    return found.information * growth if found.ready and found.information > 0 else None
