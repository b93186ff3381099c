"""Two arms' sums compared at one look, by the metric's own kind."""

from __future__ import annotations

from analysis import mean, proportion, ratio
from analysis.effect import Effect, Undecided
from analysis.summary import PairSummary
from rollouts.metrics.model import Aggregation, Definition

Answer = Effect | Undecided


def compare(
    definition: Definition, control: PairSummary, treatment: PairSummary, *, level: float
) -> tuple[Answer, Answer]:
    """The (absolute, relative) effect on some customers' sums, for one look."""
    if definition.aggregation.has_denominator:
        return (
            ratio.difference(control, treatment, level=level),
            ratio.relative(control, treatment, level=level),
        )
    a, b = control.x, treatment.x
    if definition.aggregation is Aggregation.ANY:
        return proportion.difference(a, b, level=level), proportion.relative(a, b, level=level)
    return mean.difference(a, b, level=level), mean.relative(a, b, level=level)
