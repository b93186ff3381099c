"""Past effects one below the other: as seen in grey, once all are known in ink; their mean last."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from analysis.effect import Scale, Undecided
from rollouts.reports import axes
from rollouts.reports.bars import Axis, Plot
from rollouts.reports.canvas import chart, layered, library, scale, words_at
from rollouts.reports.past_words import axis_of, plot_of, told, worse
from rollouts.reports.svg import HALF, PHONE, PX, SIZES, SMALL, WIDE, plain, render
from rollouts.results import past_words as words
from rollouts.results.over_rollouts import Line, PastEffects
from rollouts.web.theme import tokens

if TYPE_CHECKING:
    import altair

MOST_ROWS = 14
NAMES = {WIDE: 250, HALF: 150}
NUMBERS = 118
LONGEST = 60
KEPT = 64  # drawings in memory


def forest(past: PastEffects) -> dict[str, Markup]:
    """The chart in every width; nothing where nothing was shrunken."""
    drawn = [line for line in past.lines if line.shrunken is not None][:MOST_ROWS]
    if not drawn:
        return {}
    rows = [_row(past, line) for line in drawn] + _mean(past)
    return _drawings(json.dumps(rows), past.scale.value)


@lru_cache(maxsize=KEPT)
def _drawings(rows: str, scale_name: str) -> dict[str, Markup]:
    held = json.loads(rows)
    return {
        size: Markup(render(_chart(held, Scale(scale_name), size)))  # noqa: S704  # ours, escaped
        for size in SIZES
    }


def _row(past: PastEffects, line: Line) -> dict[str, Any]:
    assert line.shrunken is not None
    sign, held = past.definition.harm_sign, line.shrunken
    seen = words.seen(line.moved)
    assert seen is not None  # or there would be nothing to shrink
    name = plain(line.moved.name or line.moved.rollout)[:LONGEST]
    return {
        "name": name + (", shipped" if line.moved.is_shipped else ""),
        "txt": told(past.scale, held.value),
        "kind": "shipped" if line.moved.is_shipped else "other",
        **_places("seen", plot_of(seen, sign)),
        **_places("", plot_of((held.value, held.low, held.high), sign)),
    }


def _mean(past: PastEffects) -> list[dict[str, Any]]:
    found, sign = past.combined, past.definition.harm_sign
    if isinstance(found, Undecided):
        return []
    whole = plot_of((found.mean, found.low, found.high), sign)
    ahead = whole
    if found.next_low is not None and found.next_high is not None:
        ahead = plot_of((found.mean, found.next_low, found.next_high), sign)
    held = {**_places("seen", ahead), **_places("", whole)}
    return [
        {"name": "All, and the next one", "txt": told(past.scale, found.mean), "kind": "mean"}
        | held
    ]


def _places(name: str, plot: Plot) -> dict[str, float]:
    return {f"{name}{end}": getattr(plot, end) for end in ("low", "estimate", "high")}


def _chart(rows: list[dict[str, Any]], unit: Scale, size: str) -> altair.LayerChart:
    is_wide = size != PHONE
    height = 30 if is_wide else 46
    width = PX[size] - (NAMES[size] + NUMBERS + 14 if is_wide else 4)
    plots = [Plot(row["low"], row["estimate"], row["high"], None) for row in rows]
    seen = [Plot(row["seenlow"], row["seenestimate"], row["seenhigh"], None) for row in rows]
    axis = axis_of([*plots, *seen])
    marks = [_mark(row, i, height, is_wide, axis) for i, row in enumerate(rows)]
    whole = height * len(rows)
    layers = _bars(marks, axis, unit, is_wide, width, whole)
    return layered(layers + _texts(marks, width, size), width, whole)


def _mark(
    row: dict[str, Any], place: int, height: float, is_wide: bool, axis: Axis
) -> dict[str, Any]:
    middle = place * height + (height / 2 if is_wide else height - 14)

    def inside(value: float) -> float:
        return min(max(value, axis.low), axis.high)

    return {
        "name": row["name"],
        "txt": row["txt"],
        "kind": row["kind"],
        "a": inside(row["low"]),
        "e": inside(row["estimate"]),
        "b": inside(row["high"]),
        "sa": inside(row["seenlow"]),
        "se": inside(row["seenestimate"]),
        "sb": inside(row["seenhigh"]),
        "y": middle,
        "s": middle + 6,
        "above": place * height + 11,
        "zero": 0.0,
    }


def _bars(
    marks: list[dict[str, Any]],
    axis: Axis,
    unit: Scale,
    is_wide: bool,
    width: float,
    height: float,
) -> list[Any]:
    alt, colours, base = library(), tokens(), chart(marks)
    down = scale(0, height, reverse=True)
    y, below = alt.Y("y:Q", scale=down, axis=None), alt.Y("s:Q", scale=down, axis=None)
    x = alt.X("a:Q", title=None, scale=scale(axis.low, axis.high), axis=_axis(axis, unit, is_wide))
    kinds = ["shipped", "other", "mean"]
    shape = alt.Shape(
        "kind:N", scale=alt.Scale(domain=kinds, range=["circle", "circle", "diamond"])
    )
    fills = [colours["ink"], colours["surface"], colours["ink"]]
    fill = alt.Fill("kind:N", scale=alt.Scale(domain=kinds, range=fills))
    return [
        chart([{"zero": 0.0}]).mark_rule(color=colours["edge"]).encode(x="zero:Q"),
        base.mark_rule(color=colours["ink-3"], strokeWidth=1).encode(x="sa:Q", x2="sb:Q", y=below),
        base.mark_tick(color=colours["ink-3"], thickness=1.5, size=7, orient="vertical").encode(
            x="se:Q", y=below
        ),
        base.mark_rule(color=colours["ink"], strokeWidth=2.5).encode(x=x, x2="b:Q", y=y),
        base.mark_point(size=80, opacity=1, strokeWidth=2, color=colours["ink"]).encode(
            x="e:Q", y=y, shape=shape, fill=fill
        ),
    ]


def _axis(axis: Axis, unit: Scale, is_wide: bool) -> Any:
    values = axes.ticks(axis.low, axis.high, 8 if is_wide else 4)
    return library().Axis(
        values=values,
        labelExpr=words_at({value: worse(unit, value) for value in values}),
        grid=is_wide,
        orient="top",
        labelOverlap=True,
        labelFlush=False,
        labelBound=True,
    )


def _texts(marks: list[dict[str, Any]], width: float, size: str) -> list[Any]:
    alt, colours, base = library(), tokens(), chart(marks)
    if size == PHONE:
        up = alt.Y("above:Q", axis=None)
        return [
            base.mark_text(align="left", fontWeight=600, limit=width - 76).encode(
                x=alt.value(0), y=up, text="name:N"
            ),
            base.mark_text(align="right", fontSize=SMALL, color=colours["ink-2"]).encode(
                x=alt.value(width), y=up, text="txt:N"
            ),
        ]
    room, y = NAMES[size], alt.Y("y:Q", axis=None)
    return [
        base.mark_text(align="left", limit=room - 12).encode(
            x=alt.value(-room), y=y, text="name:N"
        ),
        base.mark_text(align="left").encode(x=alt.value(width + 14), y=y, text="txt:N"),
    ]
