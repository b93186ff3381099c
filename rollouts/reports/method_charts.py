"""How often intervals held the truth, beside how often they promise to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rollouts.reports import axes
from rollouts.reports.canvas import chart, layered, library, scale, words_at
from rollouts.reports.chances import NAMES, NUMBERS, span_marks
from rollouts.reports.svg import PHONE, PX, SMALL, plain
from rollouts.web import formatting as say
from rollouts.web.theme import tokens

if TYPE_CHECKING:
    import altair

WIDER = 70  # situations have longer names than rules
LOWEST, HIGHEST = 0.5, 1.0


def coverage(
    rows: Sequence[Mapping[str, Any]], nominal: float, size: str
) -> altair.LayerChart | None:
    """A span for each situation: the share of intervals that held the truth, with its own error.

    rows: name, low, high, text, is_ours (False for what stands there to warn). nominal: the aim.
    """
    if not rows:
        return None
    is_wide = size != PHONE
    row = 28 if is_wide else 46
    width = PX[size] - (NAMES[size] + WIDER + NUMBERS + 14 if is_wide else 4)
    lowest = min(LOWEST, *(item["low"] for item in rows))
    marks = [
        {
            "name": plain(item["name"]),
            "t": item["text"],
            "a": item["low"],
            "b": item["high"],
            "y": i * row + (row / 2 if is_wide else row - 14),
            "above": i * row + 12,
            "tone": "ours" if item["is_ours"] else "other",
        }
        for i, item in enumerate(rows)
    ]
    height = row * len(rows)
    layers = _frame(nominal, lowest)
    room = WIDER if is_wide else 0
    return layered(
        layers + span_marks(marks, width, height, size, room=room, numbers=56), width, height
    )


def _frame(nominal: float, lowest: float) -> list[Any]:
    alt, colours = library(), tokens()
    values = [v for v in axes.ticks(lowest, HIGHEST, 5) if abs(v - nominal) > 0.06] + [nominal]
    x = alt.X(
        "v:Q",
        title=None,
        scale=scale(lowest, HIGHEST),
        axis=alt.Axis(
            values=values,
            labelExpr=words_at({v: say.percent(v) for v in values}),
            orient="top",
            grid=False,
            labelOverlap=False,
            labelFontSize=SMALL,
        ),
    )
    edge = chart([{"v": nominal}])
    return [edge.mark_rule(color=colours["edge"], strokeWidth=1.5, strokeDash=[2, 3]).encode(x=x)]
