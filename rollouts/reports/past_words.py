"""Effects over rollouts, in the page's words and as places on one axis."""

from __future__ import annotations

from collections.abc import Sequence

from analysis.effect import Scale
from rollouts.reports.bars import Axis, Plot
from rollouts.web import formatting as say

Ends = tuple[float, float, float]  # estimate, low, high
PADDING = 0.06
WIDEST = 2.2  # times what lies inside; wilder intervals are cut


def told(scale: Scale, value: float) -> str:
    """An effect with its sign."""
    if scale is Scale.RELATIVE:
        return say.change(value)
    return say.signed(say.number(value, 2))


def span(scale: Scale, low: float, high: float) -> str:
    """The interval beside it."""
    if scale is Scale.RELATIVE:
        return say.span(low, high)
    return say.together(f"({told(scale, low)} to {told(scale, high)})")


def worse(scale: Scale, value: float) -> str:
    """A place on the axis, in words."""
    if value == 0:
        return "no change"
    size = say.percent(abs(value)) if scale is Scale.RELATIVE else say.number(abs(value), 2)
    return f"{size} {'worse' if value > 0 else 'better'}"


def plot_of(ends: Ends, sign: int) -> Plot:
    """Where it lies on the axis on which right is worse."""
    value, low, high = (end * sign for end in ends)
    return Plot(min(low, high), value, max(low, high), None)


def axis_of(plots: Sequence[Plot]) -> Axis:
    """One axis for all: every estimate and zero lie inside."""
    core = max((abs(plot.estimate) for plot in plots), default=0.0)
    near = [min(max(end, -WIDEST * core), WIDEST * core) for p in plots for end in (p.low, p.high)]
    low, high = min([0.0, *near]), max([0.0, *near])
    pad = PADDING * (high - low) or 1.0
    return Axis(low - pad, high + pad)
