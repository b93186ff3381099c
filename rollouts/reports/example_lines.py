"""Chance to withdraw over the true harm, for two example plans: one measure common, one rare."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from rollouts.reports.canvas import chart, layered, library, scale, words_at
from rollouts.reports.svg import PHONE, PX, SMALL, plain
from rollouts.web import formatting as say
from rollouts.web.theme import tokens

if TYPE_CHECKING:
    import altair

ROOM = 1.03
HEADROOM = 1.1
QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0)
DASHES = ([1, 0], [5, 4])


def example_lines(examples: Mapping[str, Any], promised: float, size: str) -> altair.LayerChart:
    """A line for each plan, the limit dotted, the promised error as a line across."""
    is_phone = size == PHONE
    width = PX[size] - 56 - (60 if is_phone else 96)
    height = 210 if is_phone else 230
    end = max(row["harm"] for plan in examples["plans"] for row in plan["rows"]) * ROOM
    layers = _frame(examples["limit"], promised, end, is_phone)
    for place, plan in enumerate(examples["plans"]):
        layers += _line(plan, DASHES[place % len(DASHES)], place, is_phone)
    return layered(layers, width, height)


def _frame(limit: float, promised: float, end: float, is_phone: bool) -> list[Any]:
    alt, colours = library(), tokens()
    ticks = [round(i * limit, 9) for i in range(int(end / limit) + 1)]
    ticks = ticks[:: 2 if is_phone else 1]
    x = alt.X(
        "v:Q",
        title="True rise",
        scale=scale(-0.01 * end, end),
        axis=alt.Axis(
            values=ticks,
            labelExpr=words_at({v: say.change(v) if v else "none" for v in ticks}),
            grid=False,
            labelOverlap=False,
        ),
    )
    y = alt.Y(
        "p:Q",
        title=None,
        scale=scale(0, HEADROOM),
        axis=alt.Axis(
            values=list(QUARTERS), labelExpr=words_at({v: say.percent(v) for v in QUARTERS})
        ),
    )
    edge = chart([{"v": limit, "t": "limit"}])
    level = chart([{"p": promised, "t": f"{say.percent(promised)} promised", "v": end}])
    return [
        edge.mark_rule(color=colours["edge"], strokeDash=[2, 3]).encode(x=x),
        edge.mark_text(align="left", dx=5, fontSize=SMALL, color=colours["ink-2"]).encode(
            x="v:Q", y=alt.value(8), text="t:N"
        ),
        level.mark_rule(color=colours["harm"], strokeWidth=1.5).encode(y=y),
        level.mark_text(align="right", dx=-2, dy=-7, fontSize=SMALL, color=colours["harm"]).encode(
            x="v:Q", y="p:Q", text="t:N"
        ),
    ]


def _line(plan: Mapping[str, Any], dash: list[int], place: int, is_phone: bool) -> list[Any]:
    colours = tokens()
    tone = colours["ink"] if place == 0 else colours["ink-3"]
    name = plain(plan["name"])
    rows = [
        {
            "v": row["harm"],
            "p": row["stopped"]["value"],
            "name": name.split(", ")[-1] if is_phone else name,
        }
        for row in plan["rows"]
    ]
    last = chart([rows[-1]])
    return [
        chart(rows)
        .mark_line(color=tone, strokeWidth=2 if place == 0 else 1.5, strokeDash=dash)
        .encode(x="v:Q", y="p:Q"),
        last.mark_point(filled=True, size=60, color=tone, opacity=1).encode(x="v:Q", y="p:Q"),
        last.mark_text(align="left", dx=9, dy=-6 if place == 0 else 8, fontSize=SMALL).encode(
            x="v:Q", y="p:Q", text="name:N"
        ),
    ]
