"""The report's charts: effects with limits, evidence over looks, harm against its budget.

Each is drawn in three widths with the same size of text; the page shows the one that fits.
Everything plotted comes from a stored snapshot or its points; nothing is estimated here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from rollouts.reports import axes
from rollouts.reports.model import Gauge, Row
from rollouts.reports.svg import HALF, LABEL, PHONE, PX, SMALL, WIDE, plain
from rollouts.web import formatting as say
from rollouts.web.theme import tokens

if TYPE_CHECKING:
    import altair as alt

NAMES = {WIDE: 190, HALF: 150}  # room for names: fixed, since the reader's font is not ours
NUMBERS = 158  # room for an effect with its interval
STATES = ["harm", "safe", "unknown", "nodata"]
MOST_LOOKS = 240  # more points than this cannot be told apart
MOST_ROWS = 14
MOST_NAMED = 5


def _alt() -> Any:
    import altair  # takes long to import, and most requests draw nothing

    return altair


def _data(rows: Iterable[Mapping[str, Any]]) -> Any:
    return _alt().Data(values=list(rows))


def _chart(rows: Iterable[Mapping[str, Any]]) -> Any:
    return _alt().Chart(_data(rows))


def _scale(low: float, high: float, **more: Any) -> Any:
    return _alt().Scale(domain=[low, high], nice=False, zero=False, **more)


def _words_at(table: Mapping[float, str]) -> str:
    """A Vega expression that puts these words on an axis's numbers."""
    return "{" + ",".join(f"'{k:.10g}':'{v}'" for k, v in table.items()) + "}[datum.value]"


# ---------------------------------------------------------------- effects


def effects(rows: Sequence[Row], size: str) -> alt.LayerChart | None:
    """Interval per metric; right is worse for the customer, beyond the limit is shaded."""
    drawn = [row for row in rows if row.plot is not None][:MOST_ROWS]
    if not drawn:
        return None
    low, high = effects_domain(drawn)
    is_wide = size != PHONE
    width = PX[size] - (NAMES[size] + NUMBERS + 14 if is_wide else 4)
    height = 34 if is_wide else 52
    marks = [
        _effect_mark(row, i * height, height, is_wide, low, high) for i, row in enumerate(drawn)
    ]
    layers = _effect_layers(marks, low, high, is_wide, height * len(drawn))
    layers += _effect_texts(marks, width, size)
    return _layered(layers, width, height * len(drawn))


def effects_domain(rows: Sequence[Row]) -> tuple[float, float]:
    """Both ends of the axis: all estimates and limits are inside, wild intervals are cut."""
    plots = [row.plot for row in rows if row.plot is not None]
    core = [abs(p.estimate) for p in plots] + [p.limit or 0.0 for p in plots]
    reach = max(2.2 * max(core), 0.02)
    low = min(0.0, *(max(p.low, -reach) for p in plots))
    high = max(0.0, *(min(p.high, reach) for p in plots), *(1.25 * (p.limit or 0) for p in plots))
    pad = 0.04 * (high - low or reach)
    return low - pad, high + pad


def _effect_mark(
    row: Row, top: float, height: float, is_wide: bool, low: float, high: float
) -> dict[str, Any]:
    plot = row.plot
    assert plot is not None
    middle = top + (height / 2 if is_wide else height - 16)
    half = 12 if is_wide else 10
    return {
        "name": plain(row.name),
        "txt": f"{row.effect} {row.interval}",
        "state": row.state,
        "a": max(plot.low, low),
        "e": min(max(plot.estimate, low), high),
        "b": min(plot.high, high),
        "limit": plot.limit,
        "far": high,
        "zero": 0.0,
        "y": middle,
        "above": top + 11,
        "y0": middle - half,
        "y1": middle + half,
    }


def _tone() -> Any:
    colours, alt = tokens(), _alt()
    tones = [colours[name] for name in ("harm", "safe", "unknown", "unknown")]
    return alt.Color("state:N", scale=alt.Scale(domain=STATES, range=tones))


def _effect_layers(
    marks: list[dict[str, Any]], low: float, high: float, is_wide: bool, height: float
) -> list[Any]:
    colours, alt = tokens(), _alt()
    base = _chart(marks)
    limited = _chart([mark for mark in marks if mark["limit"] is not None])
    down = {"scale": _scale(0, height, reverse=True), "axis": None}
    y, top, bottom = alt.Y("y:Q", **down), alt.Y("y0:Q", **down), alt.Y2("y1:Q")
    x = alt.X("a:Q", title=None, scale=_scale(low, high), axis=_effect_axis(low, high, is_wide))
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


def _effect_axis(low: float, high: float, is_wide: bool) -> Any:
    values = axes.ticks(low, high, 6 if is_wide else 4)
    table = {value: _worse(value) for value in values}
    return _alt().Axis(
        values=values,
        labelExpr=_words_at(table),
        grid=is_wide,
        orient="top",
        labelOverlap=False,
        labelFlush=not is_wide,
    )


def _worse(value: float) -> str:
    if value == 0:
        return "no change"
    return f"{say.percent(abs(value))} {'worse' if value > 0 else 'better'}"


def _effect_texts(marks: list[dict[str, Any]], width: float, size: str) -> list[Any]:
    alt, colours, base = _alt(), tokens(), _chart(marks)
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
        base.mark_text(align="left", limit=NUMBERS).encode(
            x=alt.value(width + 14), y=alt.Y("y:Q", axis=None), text="txt:N"
        ),
    ]


# ---------------------------------------------------------------- over time


@dataclass(frozen=True, slots=True)
class Clock:
    """The time axis shared by the charts over looks: seconds since the first."""

    start: datetime
    seconds: float
    marks: tuple[tuple[float, str], ...]

    def at(self, moment: datetime) -> float:
        """Where a moment lies on the axis."""
        return (moment - self.start).total_seconds()

    def axis(self) -> Any:
        """The axis with round times on it."""
        alt = _alt()
        return alt.X(
            "t:Q",
            title=None,
            scale=_scale(0, self.seconds),
            axis=alt.Axis(
                values=[value for value, _ in self.marks],
                labelExpr=_words_at(dict(self.marks)),
                grid=True,
                labelFlush=True,
                labelOverlap=False,
            ),
        )


def clock_of(points: Sequence[Mapping[str, Any]], size: str) -> Clock | None:
    """The stretch of time these looks cover; None if there is no stretch."""
    moments = sorted({cast("datetime", say.moment(point["taken_at"])) for point in points})
    if len(moments) < 2:
        return None
    start, end = moments[0], moments[-1]
    marks = axes.time_ticks(start, end, 3 if size == PHONE else 4 if size == HALF else 8)
    held = tuple(((at - start).total_seconds(), words) for at, words in marks)
    return Clock(start, (end - start).total_seconds(), held)


def evidence(
    rows: Sequence[Row], points: Sequence[Mapping[str, Any]], size: str
) -> alt.LayerChart | None:
    """Evidence of harm over the looks, each guardrail against its own boundary."""
    lines = {row.key: _line_of(row, points) for row in rows}
    lines = {key: line for key, line in lines.items() if line}
    clock = clock_of([point for line in lines.values() for point in line], size)
    if clock is None:
        return None
    ends = _ends(rows, lines, clock)
    width, height = PX[size] - (52 + (92 if size == PHONE else 150)), 200
    low, high = _evidence_domain(lines)
    layers = _evidence_frame(clock, low, high, size)
    for end in ends:
        layers += _evidence_line(lines[end["key"]], end, clock, low, high)
    layers += _end_names(ends, low, high, height, size)
    return _layered(layers, width, height)


def _line_of(row: Row, points: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    held = [p for p in points if p["metric"] == row.key and p["evidence_share"] is not None]
    return cast("list[dict[str, Any]]", axes.thinned(cast("Any", held), MOST_LOOKS))


def _evidence_domain(lines: Mapping[str, list[dict[str, Any]]]) -> tuple[float, float]:
    shares = [point["evidence_share"] for line in lines.values() for point in line]
    return min(0.0, max(min(shares) * 1.1, -1.0)), max(1.25, min(max(shares) * 1.1, 3.0))


def _ends(
    rows: Sequence[Row], lines: Mapping[str, list[dict[str, Any]]], clock: Clock
) -> list[dict[str, Any]]:
    """The last point of each line, the strongest evidence first."""
    ends = []
    for row in rows:
        if row.key not in lines:
            continue
        last = lines[row.key][-1]
        moment = cast("datetime", say.moment(last["taken_at"]))
        ends.append(
            {
                "key": row.key,
                "name": plain(row.name),
                "state": row.state,
                "t": clock.at(moment),
                "share": last["evidence_share"],
            }
        )
    return sorted(ends, key=lambda end: -end["share"])


def _evidence_frame(clock: Clock, low: float, high: float, size: str) -> list[Any]:
    alt, colours = _alt(), tokens()
    values = axes.ticks(low, high, 5)
    table = {value: say.percent(value) for value in values}
    y = alt.Y(
        "v:Q",
        title=None,
        scale=_scale(low, high),
        axis=alt.Axis(values=values, labelExpr=_words_at(table)),
    )
    words = "At this line: harm shown" if size != PHONE else "harm shown"
    line = _chart([{"v": 1.0, "t": 0.0, "words": words}])
    return [
        _chart([{"v": 0.0}]).mark_rule(color=colours["edge"]).encode(y=y),
        line.mark_rule(color=colours["harm"], strokeWidth=1.5).encode(y=y),
        line.mark_text(
            align="left", baseline="bottom", dy=-4, dx=4, fontSize=SMALL, color=colours["harm"]
        ).encode(x=clock.axis(), y=y, text="words:N"),
    ]


def _evidence_line(
    line: list[dict[str, Any]], end: dict[str, Any], clock: Clock, low: float, high: float
) -> list[Any]:
    colours = tokens()
    leads = end["state"] == "harm" or end.get("leads")
    tone = colours["ink"] if leads else colours["ink-3"]
    rows = [
        {
            "t": clock.at(cast("datetime", say.moment(point["taken_at"]))),
            "v": min(max(point["evidence_share"], low), high),
        }
        for point in line
    ]
    last = _chart([rows[-1]])
    is_harm = end["state"] == "harm"
    return [
        _chart(rows)
        .mark_line(color=tone, strokeWidth=2.2 if leads else 1.3)
        .encode(x="t:Q", y="v:Q"),
        last.mark_point(
            filled=True,
            opacity=1,
            size=150 if is_harm else 45,
            shape="diamond" if is_harm else "circle",
            color=colours["harm"] if is_harm else tone,
        ).encode(x="t:Q", y="v:Q"),
    ]


def _end_names(
    ends: list[dict[str, Any]], low: float, high: float, height: float, size: str
) -> list[Any]:
    """Names at the ends of the lines, pushed apart where they would overlap."""
    alt, colours = _alt(), tokens()
    named = ends[:MOST_NAMED]
    places = [
        height * (1 - (min(max(end["share"], low), high) - low) / (high - low)) for end in named
    ]
    rows = [
        {"name": end["name"], "t": end["t"], "y": place, "state": end["state"]}
        for end, place in zip(named, spread(places, 15, height), strict=True)
    ]
    room = 84 if size == PHONE else 140
    return [
        _chart([row])
        .mark_text(
            align="left",
            dx=10,
            fontSize=SMALL,
            limit=room,
            color=colours["harm" if row["state"] == "harm" else "ink-2"],
        )
        .encode(x="t:Q", y=alt.value(row["y"]), text="name:N")
        for row in rows
    ]


def spread(places: Sequence[float], apart: float, until: float) -> list[float]:
    """Places kept in their order and at least so far apart, the last not beyond `until`.

    >>> spread([10, 12, 40], 15, 100)
    [10, 25, 40]
    """
    order = sorted(range(len(places)), key=places.__getitem__)
    out = list(places)
    for before, after in zip(order, order[1:], strict=False):
        out[after] = max(out[after], out[before] + apart)
    limit = until
    for place in reversed(order):
        out[place] = min(out[place], limit)
        limit = out[place] - apart
    return out


def burn(row: Row, points: Sequence[Mapping[str, Any]], size: str) -> alt.LayerChart | None:
    """Harm so far with its interval, against the budget and the line where the ramp holds."""
    held = [p for p in points if p["metric"] == row.key and p["harm_estimate"] is not None]
    clock = clock_of(held, size)
    if row.gauge is None or clock is None:
        return None
    rows = [
        {
            "t": clock.at(cast("datetime", say.moment(p["taken_at"]))),
            "v": p["harm_estimate"],
            "a": p["harm_low"],
            "b": p["harm_high"],
        }
        for p in axes.thinned(cast("Any", held), MOST_LOOKS)
    ]
    low, high = burn_domain(rows, row.gauge)
    for item in rows:
        item.update({name: min(max(item[name], low), high) for name in "vab"})
    layers = [*_burn_band(rows, clock, low, high), *_burn_limits(row.gauge, clock, size)]
    layers += _burn_end(rows, row, size)
    return _layered(layers, PX[size] - 64, 210)


def burn_domain(rows: Sequence[Mapping[str, Any]], gauge: Gauge) -> tuple[float, float]:
    """Both ends of the harm axis: the budget is always in sight, a wild first look is cut."""
    reach = 2.0 * max(gauge.amount, *(abs(row["v"]) for row in rows))
    low = min(0.0, *(max(row["a"], -reach) for row in rows))
    high = max(gauge.amount * 1.15, *(min(row["b"], reach) for row in rows))
    return low, high


def _burn_band(rows: list[dict[str, Any]], clock: Clock, low: float, high: float) -> list[Any]:
    alt, colours = _alt(), tokens()
    values = axes.ticks(low, high, 5)
    table = {value: say.count(value) for value in values}
    y = alt.Y(
        "v:Q",
        title=None,
        scale=_scale(low, high),
        axis=alt.Axis(values=values, labelExpr=_words_at(table)),
    )
    base = _chart(rows)
    return [
        base.mark_area(color=colours["chart-band"]).encode(
            x=clock.axis(), y=alt.Y("a:Q"), y2="b:Q"
        ),
        _chart([{"v": 0}]).mark_rule(color=colours["edge"]).encode(y=y),
        base.mark_line(color=colours["ink"], strokeWidth=2).encode(x="t:Q", y=y),
    ]


def _burn_limits(gauge: Gauge, clock: Clock, size: str) -> list[Any]:
    colours = tokens()
    lines = (
        (gauge.amount, f"Budget {say.count(gauge.amount)}: withdraw", "harm", [1, 0]),
        (gauge.hold, f"{say.count(gauge.hold)}: hold", "hold", [6, 4]),
    )
    layers = []
    for value, text, token, dash in lines:
        base = _chart([{"v": value, "t": 0.0, "words": text}])
        layers += [
            base.mark_rule(color=colours[token], strokeWidth=1.5, strokeDash=dash).encode(y="v:Q"),
            base.mark_text(
                align="left", baseline="bottom", dx=4, dy=-4, fontSize=SMALL, color=colours[token]
            ).encode(x="t:Q", y="v:Q", text="words:N"),
        ]
    return layers


def _burn_end(rows: list[dict[str, Any]], row: Row, size: str) -> list[Any]:
    colours, gauge = tokens(), row.gauge
    assert gauge is not None
    is_spent = gauge.state == "spent"
    tone = colours["harm"] if is_spent else colours["ink"]
    words = f"{say.count(gauge.estimate)} ({say.count(gauge.low)} to {say.count(gauge.high)})"
    base = _chart([{**rows[-1], "words": words if gauge.is_known else ""}])
    return [
        base.mark_point(
            filled=True,
            opacity=1,
            size=150 if is_spent else 60,
            shape="diamond" if is_spent else "circle",
            color=tone,
        ).encode(x="t:Q", y="v:Q"),
        base.mark_text(
            align="right",
            dx=-10,
            dy=-12 if is_spent else 16,
            fontSize=SMALL if size == PHONE else LABEL,
            fontWeight=600,
            color=tone,
        ).encode(x="t:Q", y="v:Q", text="words:N"),
    ]


def _layered(layers: list[Any], width: float, height: float) -> alt.LayerChart:
    layered = _alt().layer(*layers).properties(width=width, height=height)
    return cast("alt.LayerChart", layered)
