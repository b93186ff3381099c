"""Chances of being withdrawn, by the true harm; and how often other rules stop wrongly."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import floor
from typing import TYPE_CHECKING, Any

from rollouts.reports.canvas import chart, layered, library, scale, words_at
from rollouts.reports.svg import HALF, PHONE, PX, SMALL, WIDE, plain
from rollouts.web import formatting as say
from rollouts.web.theme import tokens

if TYPE_CHECKING:
    import altair

Shown = Mapping[str, Any]
ROOM = 1.08  # of the axis, so that the last dot stands clear of the edge
HEADROOM = 1.12
TOP = 0.85  # chances above it are named below their dot
NAMES = {WIDE: 250, HALF: 170}
NUMBERS = 104
LONGEST_TITLE = 40


def chance(simulated: Mapping[str, float]) -> str:
    """A simulated chance, never surer than the simulation: "62 %", "over 99.6 %"."""
    if simulated["value"] >= 1:
        return f"over {floor(simulated['low'] * 1000) / 10:g}{say.NBSP}%"
    if simulated["value"] <= 0:
        return f"under {say.percent(simulated['high'])}"
    return say.percent(simulated["value"])


def true_change(harm: float, sign: int) -> str:
    """The true change as it will be measured: "none", "+15 %", "−15 %"."""
    return "none" if harm == 0 else say.change(sign * harm)


def oc(rail: Shown, size: str) -> altair.LayerChart | None:
    """Chance that the stop-loss withdraws it, over the true harm; beyond the limit is shaded."""
    truths = rail["truths"]
    limit = next((item["harm"] for item in truths if item["multiple"] == 1), None)
    if limit is None or truths[-1]["harm"] <= limit:
        return None
    end = truths[-1]["harm"] * ROOM
    width, height = PX[size] - 56, 210 if size == PHONE else 230
    word = "rise" if rail["sign"] > 0 else "fall"
    title = f"True {word} in {plain(rail['name'])[:LONGEST_TITLE].lower()}"
    layers = _beyond(limit, end, height)
    layers += _curve(truths, rail["sign"], end, title, size)
    layers += _named(truths[1:] if size == PHONE else truths)
    return layered(layers, width, height)


def _beyond(limit: float, end: float, height: float) -> list[Any]:
    alt, colours = library(), tokens()
    edge = chart([{"h": limit, "end": end, "t": "Beyond the limit"}])
    return [
        edge.mark_rect(color=colours["harm-tint"]).encode(
            x="h:Q", x2="end:Q", y=alt.value(0), y2=alt.value(height)
        ),
        edge.mark_rule(color=colours["harm"], strokeWidth=1.5).encode(x="h:Q"),
        edge.mark_text(align="left", dx=5, fontSize=SMALL, color=colours["harm"]).encode(
            x="h:Q", y=alt.value(9), text="t:N"
        ),
    ]


def _curve(truths: Sequence[Shown], sign: int, end: float, title: str, size: str) -> list[Any]:
    alt, colours = library(), tokens()
    named = [item for item in truths if size != PHONE or item["multiple"] != 1.5]
    x = alt.X(
        "h:Q",
        title=title,
        scale=scale(-0.02 * end, end),
        axis=alt.Axis(
            values=[_place(item) for item in named],
            labelExpr=words_at({_place(item): true_change(item["harm"], sign) for item in named}),
            grid=False,
            labelOverlap=False,
        ),
    )
    y = alt.Y(
        "p:Q",
        title=None,
        scale=scale(0, HEADROOM),
        axis=alt.Axis(
            values=[0, 0.25, 0.5, 0.75, 1],
            labelExpr=words_at({v: say.percent(v) for v in (0, 0.25, 0.5, 0.75, 1)}),
        ),
    )
    base = chart([_point(item) for item in truths])
    return [
        base.mark_line(color=colours["ink"], strokeWidth=2, interpolate="monotone").encode(
            x=x, y=y
        ),
        base.mark_rule(color=colours["ink"], strokeWidth=1.5).encode(
            x="h:Q", y="low:Q", y2="high:Q"
        ),
        base.mark_point(filled=True, size=70, color=colours["ink"], opacity=1).encode(
            x="h:Q", y="p:Q"
        ),
    ]


def _place(item: Shown) -> float:
    """A harm as the axis writes it, so that its words are found."""
    return round(float(item["harm"]), 9)


def _point(item: Shown) -> dict[str, Any]:
    held = item["stopped"]
    return {
        "h": _place(item),
        "p": held["value"],
        "low": held["low"],
        "high": held["high"],
        "t": chance(held),
    }


def _named(truths: Sequence[Shown]) -> list[Any]:
    """Each dot's chance: beside it while the curve rises, below it at the top."""
    layers = []
    for place, item in enumerate(truths):
        is_last = place + 1 == len(truths)
        was_top = place > 0 and truths[place - 1]["stopped"]["value"] > TOP
        layers.append(
            chart([_point(item)])
            .mark_text(fontSize=SMALL, **_beside(item, is_last=is_last, was_top=was_top))
            .encode(x="h:Q", y="p:Q", text="t:N")
        )
    return layers


def _beside(item: Shown, *, is_last: bool, was_top: bool) -> dict[str, Any]:
    """Where a dot's words stand, so that neither curve nor neighbour runs through them."""
    if item["stopped"]["value"] > TOP:
        dy = 30 if was_top and not is_last else 15
        return (
            {"align": "right", "dx": 8, "dy": dy}
            if is_last
            else {"align": "left", "dx": 5, "dy": dy}
        )
    if item["multiple"] < 1:
        return {"align": "left", "dx": 4, "dy": -12}
    if is_last:
        return {"align": "right", "dx": -8, "dy": -4}
    return {"align": "left", "dx": 11, "dy": 3}


def spans(rows: Sequence[Shown], promised: float, size: str) -> altair.LayerChart | None:
    """From where to where each rule's false stops lie over the situations; ours first.

    rows: name, low, high, text, is_ours. promised: beyond it is shaded.
    """
    if not rows:
        return None
    is_wide = size != PHONE
    row = 32 if is_wide else 50
    width = PX[size] - (NAMES[size] + NUMBERS + 14 if is_wide else 4)
    height = row * len(rows)
    end = max(max(item["high"] for item in rows) * 1.04, 4 * promised)
    marks = [
        {
            "name": plain(item["name"]),
            "t": item["text"],
            "a": item["low"],
            "b": item["high"],
            "y": i * row + (row / 2 if is_wide else row - 15),
            "above": i * row + 12,
            "y0": i * row + (0 if is_wide else row - 26),
            "y1": i * row + (row if is_wide else row - 4),
            "v": promised,
            "end": end,
            "tone": "ours" if item["is_ours"] else "other",
        }
        for i, item in enumerate(rows)
    ]
    layers = _span_frame(marks, promised, end, height)
    return layered(layers + span_marks(marks, width, height, size), width, height)


def _span_frame(marks: Sequence[Shown], promised: float, end: float, height: float) -> list[Any]:
    alt, colours = library(), tokens()
    step = 0.25 if end > 0.6 else 0.1 if end > 0.25 else 0.05
    values = [round(i * step, 2) for i in range(int(end / step) + 1)]
    values = [promised, *(v for v in values if v > promised)]  # its own words, not nought's
    x = alt.X(
        "v:Q",
        title=None,
        scale=scale(0, end),
        axis=alt.Axis(
            values=values,
            labelExpr=words_at({v: say.percent(v) for v in values}),
            orient="top",
            grid=False,
            labelOverlap=False,
        ),
    )
    base = chart(marks)
    y = alt.Y("y0:Q", scale=scale(0, height, reverse=True), axis=None)
    return [
        base.mark_rect(color=colours["harm-tint"]).encode(x=x, x2="end:Q", y=y, y2="y1:Q"),
        base.mark_rule(color=colours["harm"], strokeWidth=1.5).encode(x="v:Q", y=y, y2="y1:Q"),
    ]


def span_marks(
    marks: list[dict[str, Any]],
    width: float,
    height: float,
    size: str,
    *,
    room: float = 0,
    numbers: float = NUMBERS,
) -> list[Any]:
    """Each row's bar with its name and number. room: more for names; numbers: for numbers; pixels."""
    alt, colours, base = library(), tokens(), chart(marks)
    y = alt.Y("y:Q", scale=scale(0, height, reverse=True), axis=None)
    tone = alt.Color(
        "tone:N",
        scale=alt.Scale(domain=["ours", "other"], range=[colours["ink"], colours["ink-3"]]),
    )
    bars = [
        base.mark_rule(strokeWidth=2.5).encode(x="a:Q", x2="b:Q", y=y, color=tone),
        *(
            base.mark_tick(thickness=2.5, size=10, orient="vertical", opacity=1).encode(
                x=end, y=y, color=tone
            )
            for end in ("a:Q", "b:Q")
        ),
    ]
    if size == PHONE:
        up = alt.Y("above:Q", axis=None)
        return [
            *bars,
            base.mark_text(align="left", fontWeight=600, limit=width - numbers).encode(
                x=alt.value(0), y=up, text="name:N"
            ),
            base.mark_text(align="right", fontSize=SMALL, color=colours["ink-2"]).encode(
                x=alt.value(width), y=up, text="t:N"
            ),
        ]
    room += NAMES[size]
    return [
        *bars,
        base.mark_text(align="left", limit=room - 12).encode(
            x=alt.value(-room), y=alt.Y("y:Q", axis=None), text="name:N"
        ),
        base.mark_text(align="left").encode(
            x=alt.value(width + 14), y=alt.Y("y:Q", axis=None), text="t:N"
        ),
    ]
