"""Charts for what was not randomised: the series, both sides, and every placebo.

Drawn on the server in three widths, as the other charts are; nothing is estimated here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from rollouts.reports import axes
from rollouts.reports.canvas import chart, layered, library, scale, words_at
from rollouts.reports.over_time import spread
from rollouts.reports.svg import PHONE, PX, SIZES, SMALL, WIDE, plain, render
from rollouts.web.theme import tokens
from rollouts.words import figures

HEIGHT = 220
MOST_PLACEBOS = 60
NAMED = {PHONE: 74}
ROOM = 150  # for the names at the lines' ends
LEFT = 64


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart. first: index of the period its first value belongs to."""

    values: Sequence[float]
    name: str = ""
    tone: str = "ink"
    width: float = 2.0
    dash: tuple[int, int] = (1, 0)
    first: int = 0


@dataclass(frozen=True, slots=True)
class Picture:
    """A chart in all its widths, with its caption."""

    title: str
    note: str
    sizes: dict[str, Markup]


def pictures(metric: Mapping[str, Any]) -> list[Picture]:
    """The charts of one metric's design; none where there is nothing to draw."""
    series = metric.get("series") or {}
    draw = {
        "interrupted": _interrupted,
        "differences": _differences,
        "synthetic": _synthetic,
    }.get(str(series.get("kind")))
    return draw(series) if draw and len(series["periods"]) > 1 else []


def _interrupted(series: Mapping[str, Any]) -> list[Picture]:
    held = [Line(series["values"], "measured")]
    if series["expected"]:
        ghost = Line(
            series["expected"], "expected", "ink-3", dash=(5, 4), first=int(series["start"])
        )
        held.insert(0, ghost)
    note = "Dashed: what trend and season would have brought without the change."
    return [_picture("Before and since the change", note, held, series)]


def _differences(series: Mapping[str, Any]) -> list[Picture]:
    sides = [
        Line(series["others"], "without", "ink-3", dash=(5, 4)),
        Line(series["treated"], "with"),
    ]
    note = "Before the start both lines should run alike: that is the belief this rests on."
    held = [_picture("Mean of both sides", note, [s for s in sides if s.values], series)]
    if series["points"]:
        title = "Gap between the sides, against the periods before"
        note = (
            "Bars are intervals, each for its own period. Before the start they should hold zero."
        )
        drawn = {size: _draw_points(series, size) for size in SIZES}
        held.append(Picture(title, note, drawn))
    return held


def _synthetic(series: Mapping[str, Any]) -> list[Picture]:
    if not series["expected"]:
        return [
            _picture("The group with the change", "", [Line(series["own"], "measured")], series)
        ]
    own = [Line(series["expected"], "blend", "ink-3", dash=(5, 4)), Line(series["own"], "measured")]
    note = "Dashed: the blend of other groups that tracked it before the start."
    placebos = [
        Line(p["gaps"], "", "edge", 1.0)
        for p in sorted(series["placebos"], key=lambda p: p["miss"])[:MOST_PLACEBOS]
    ]
    gaps = [*placebos, Line(series["gaps"], "this group")]
    words = (
        "Grey: the same for each group without the change. An effect is believed only as far as the "
        "dark line leaves the grey ones."
    )
    return [
        _picture("Against the blend", note, own, series),
        _picture("Gap to the blend, and every placebo", words, gaps, series),
    ]


def _picture(title: str, note: str, lines: Sequence[Line], series: Mapping[str, Any]) -> Picture:
    return Picture(title, note, {size: _draw(lines, series, size) for size in SIZES})


def _draw(lines: Sequence[Line], series: Mapping[str, Any], size: str) -> Markup:
    low, high = _domain([value for line in lines for value in line.values])
    end = len(series["periods"]) - 1
    layers = _frame(series, low, high, size)
    for line in lines:
        rows = [{"t": line.first + i, "v": value} for i, value in enumerate(line.values)]
        layers.append(
            chart(rows)
            .mark_line(
                color=tokens()[line.tone], strokeWidth=line.width, strokeDash=list(line.dash)
            )
            .encode(x=_x(series, size), y="v:Q")
        )
    layers += _names(lines, end, low, high, size)
    return _rendered(layers, size)


def _draw_points(series: Mapping[str, Any], size: str) -> Markup:
    points = series["points"]
    low, high = _domain([p[name] for p in points for name in ("low", "high")] + [0.0])
    rows = [{"t": p["period"], "v": p["estimate"], "a": p["low"], "b": p["high"]} for p in points]
    base, colours = chart(rows), tokens()
    layers = _frame(series, low, high, size)
    layers += [
        chart([{"v": 0.0}]).mark_rule(color=colours["edge"]).encode(y="v:Q"),
        base.mark_rule(color=colours["ink"], strokeWidth=1.5).encode(
            x=_x(series, size), y="a:Q", y2="b:Q"
        ),
        base.mark_point(filled=True, size=36, opacity=1, color=colours["ink"]).encode(
            x="t:Q", y="v:Q"
        ),
    ]
    return _rendered(layers, size)


def _rendered(layers: list[Any], size: str) -> Markup:
    width = PX[size] - LEFT - NAMED.get(size, ROOM)
    return Markup(render(layered(layers, width, HEIGHT)))  # noqa: S704 - drawn by us, text escaped


def _domain(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    room = (high - low or abs(high) or 1.0) * 0.08
    return low - room, high + room


def _frame(series: Mapping[str, Any], low: float, high: float, size: str) -> list[Any]:
    """The value axis and the line at which the change came."""
    alt, colours = library(), tokens()
    values = axes.ticks(low, high, 5)
    axis = alt.Axis(values=values, labelExpr=words_at({v: figures(v, 3) for v in values}))
    y = alt.Y("v:Q", title=None, scale=scale(low, high), axis=axis)
    start = chart([{"t": series["start"] - 0.5, "v": high, "words": "change"}])
    x = _x(series, size)
    return [
        start.mark_rule(color=colours["hold"], strokeWidth=1.5, strokeDash=[2, 3]).encode(x=x),
        start.mark_text(
            align="left", baseline="top", dx=5, dy=2, fontSize=SMALL, color=colours["hold"]
        ).encode(x=x, y=y, text="words:N"),
    ]


def _x(series: Mapping[str, Any], size: str) -> Any:
    alt = library()
    periods: Sequence[str] = series["periods"]
    is_long = max(len(period) for period in periods) > 5
    n = {PHONE: 2 if is_long else 3, WIDE: 8}.get(size, 3 if is_long else 4)
    places = axes.thinned(range(len(periods)), min(n, len(periods)))
    axis = alt.Axis(
        values=places,
        labelExpr=words_at({float(i): _label(periods[i]) for i in places}),
        grid=False,
        labelFlush=True,
        labelOverlap=False,
    )
    domain = scale(0, max(len(periods) - 1, 1))
    return alt.X("t:Q", title=None, scale=domain, axis=axis)


def _label(period: str) -> str:
    return plain(period).replace("'", "").replace("\\", "")[:16]


def _names(lines: Sequence[Line], end: int, low: float, high: float, size: str) -> list[Any]:
    alt, named = library(), [line for line in lines if line.name and line.values]
    places = [HEIGHT * (1 - (line.values[-1] - low) / (high - low)) for line in named]
    return [
        chart([{"t": end, "name": plain(line.name)}])
        .mark_text(
            align="left",
            dx=8,
            fontSize=SMALL,
            limit=NAMED.get(size, ROOM) - 12,
            color=tokens()["ink" if line.tone == "ink" else "ink-2"],
        )
        .encode(x="t:Q", y=alt.value(place), text="name:N")
        for line, place in zip(named, spread(places, 15, HEIGHT), strict=True)
    ]
