"""Effects with their limits: an interval per metric, right being worse for the customer.

Drawn in three widths with the same size of text; the page shows the one that fits. Everything
plotted comes from a stored snapshot; nothing is estimated here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rollouts.reports import axes
from rollouts.reports.bars import Plot
from rollouts.reports.canvas import chart, layered, library, scale, words_at
from rollouts.reports.model import Row, axis_of
from rollouts.reports.svg import HALF, PHONE, PX, SMALL, WIDE, plain
from rollouts.web import formatting as say
from rollouts.web.theme import tokens

if TYPE_CHECKING:
    import altair

NAMES = {WIDE: 230, HALF: 150}  # room for names: fixed, since the reader's font is not ours
NUMBERS = 158  # room for an effect with its interval
STATES = ["harm", "safe", "unknown", "nodata"]
MOST_ROWS = 14


def effects(rows: Sequence[Row], size: str) -> altair.LayerChart | None:
    """Interval per metric; right is worse for the customer, beyond the limit is shaded."""
    drawn = rows[:MOST_ROWS]
    if not any(row.plot for row in drawn):
        return None
    axis = axis_of(drawn)
    low, high = axis.low, axis.high
    is_wide = size != PHONE
    width = PX[size] - (NAMES[size] + NUMBERS + 14 if is_wide else 4)
    height = 34 if is_wide else 52
    marks = [
        _effect_mark(row, i * height, height, is_wide, low, high) for i, row in enumerate(drawn)
    ]
    layers = _effect_layers(marks, low, high, is_wide, width, height * len(drawn))
    layers += _effect_texts(marks, width, size)
    return layered(layers, width, height * len(drawn))


def _effect_mark(
    row: Row, top: float, height: float, is_wide: bool, low: float, high: float
) -> dict[str, Any]:
    middle = top + (height / 2 if is_wide else height - 16)
    half = 12 if is_wide else 10
    return {
        "name": plain(row.name) + (" (goal)" if row.role == "goal" else ""),
        "txt": f"{row.effect} {row.interval}" if row.plot else plain(row.needs or row.word.lower()),
        "state": row.state,
        **_effect_places(row.plot, low, high),
        "y": middle,
        "above": top + 11,
        "y0": middle - half,
        "y1": middle + half,
    }


def _effect_places(plot: Plot | None, low: float, high: float) -> dict[str, float | None]:
    """Where the bar lies; a metric without an interval has no bar, not even at zero."""
    if plot is None:
        return {"a": None, "limit": None}
    return {
        "a": max(plot.low, low),
        "e": min(max(plot.estimate, low), high),
        "b": min(plot.high, high),
        "limit": plot.limit,
        "far": high,
        "zero": 0.0,
    }


def _tone() -> Any:
    colours, alt = tokens(), library()
    tones = [colours[name] for name in ("harm", "safe", "unknown", "unknown")]
    return alt.Color("state:N", scale=alt.Scale(domain=STATES, range=tones))


def _effect_layers(
    marks: list[dict[str, Any]],
    low: float,
    high: float,
    is_wide: bool,
    width: float,
    height: float,
) -> list[Any]:
    colours, alt = tokens(), library()
    base = chart([mark for mark in marks if mark["a"] is not None])
    limited = chart([mark for mark in marks if mark["limit"] is not None])
    down = {"scale": scale(0, height, reverse=True), "axis": None}
    y, top, bottom = alt.Y("y:Q", **down), alt.Y("y0:Q", **down), alt.Y2("y1:Q")
    x = alt.X(
        "a:Q", title=None, scale=scale(low, high), axis=_effect_axis(low, high, is_wide, width)
    )
    dash = [[1, 0], [1, 0], [4, 3], [1, 3]]
    fills = [colours[name] for name in ("harm", "safe", "surface", "surface")]
    return [
        limited.mark_rect(color=colours["harm-tint"]).encode(
            x=alt.X("limit:Q"), x2="far:Q", y=top, y2=bottom
        ),
        base.mark_rule(color=colours["edge"]).encode(x="zero:Q", y=top, y2=bottom),
        limited.mark_rule(color=colours["harm"], strokeWidth=1.5).encode(
            x="limit:Q", y=top, y2=bottom
        ),
        base.mark_rule(strokeWidth=2.5).encode(
            x=x,
            x2="b:Q",
            y=y,
            color=_tone(),
            strokeDash=alt.StrokeDash("state:N", scale=alt.Scale(domain=STATES, range=dash)),
        ),
        base.mark_point(size=105, opacity=1, strokeWidth=2).encode(
            x="e:Q",
            y=y,
            color=_tone(),
            shape=alt.Shape(
                "state:N",
                scale=alt.Scale(domain=STATES, range=["diamond", "circle", "circle", "circle"]),
            ),
            fill=alt.Fill("state:N", scale=alt.Scale(domain=STATES, range=fills)),
        ),
    ]


def _effect_axis(low: float, high: float, is_wide: bool, width: float) -> Any:
    values = axes.ticks(low, high, 6 if is_wide else 4)
    if not is_wide:  # no tick's words may reach past the edge of a phone
        values = [v for v in values if _fits(_worse(v), (v - low) / (high - low) * width, width)]
    return library().Axis(
        values=values,
        labelExpr=words_at({value: _worse(value) for value in values}),
        grid=is_wide,
        orient="top",
        labelOverlap=False,
        labelFlush=False,
    )


def _fits(words: str, place: float, width: float) -> bool:
    half = len(words) * SMALL * 0.28
    return half <= place <= width - half


def _worse(value: float) -> str:
    if value == 0:
        return "no change"
    return f"{say.percent(abs(value))} {'worse' if value > 0 else 'better'}"


def _effect_texts(marks: list[dict[str, Any]], width: float, size: str) -> list[Any]:
    alt, colours, base = library(), tokens(), chart(marks)
    if size == PHONE:
        up = alt.Y("above:Q", axis=None)
        return [
            base.mark_text(align="left", fontWeight=600, limit=width - NUMBERS - 8).encode(
                x=alt.value(0), y=up, text="name:N"
            ),
            base.mark_text(align="right", fontSize=SMALL, color=colours["ink-2"]).encode(
                x=alt.value(width), y=up, text="txt:N"
            ),
        ]
    room = NAMES[size]
    return [
        base.mark_text(align="left", limit=room - 12).encode(
            x=alt.value(-room), y=alt.Y("y:Q", axis=None), text="name:N"
        ),
        base.mark_text(align="left", limit=NUMBERS - 8).encode(
            x=alt.value(width + 14), y=alt.Y("y:Q", axis=None), text="txt:N"
        ),
    ]
