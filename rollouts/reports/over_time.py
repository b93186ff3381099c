"""Charts over the looks: evidence against its boundary, and harm against its budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from rollouts.reports import axes
from rollouts.reports.bars import Gauge
from rollouts.reports.canvas import chart, layered, library, scale, words_at
from rollouts.reports.model import Row
from rollouts.reports.svg import HALF, LABEL, PHONE, PX, SMALL, plain
from rollouts.web import formatting as say
from rollouts.web.theme import tokens

if TYPE_CHECKING:
    import altair

Point = Mapping[str, Any]
MOST_LOOKS = 240  # more points than this cannot be told apart
MOST_LINES = 12  # the ones with the strongest evidence; the table has all
MOST_NAMED = 5


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
        alt = library()
        return alt.X(
            "t:Q",
            title=None,
            scale=scale(0, self.seconds),
            axis=alt.Axis(
                values=[value for value, _ in self.marks],
                labelExpr=words_at(dict(self.marks)),
                grid=True,
                labelFlush=True,
                labelOverlap=False,
            ),
        )


def clock_of(points: Sequence[Point], size: str) -> Clock | None:
    """The stretch of time these looks cover; None if there is no stretch."""
    moments = sorted({cast("datetime", say.moment(point["taken_at"])) for point in points})
    if len(moments) < 2:
        return None
    start, end = moments[0], moments[-1]
    marks = axes.time_ticks(start, end, 3 if size == PHONE else 4 if size == HALF else 8)
    held = tuple(((at - start).total_seconds(), words) for at, words in marks)
    return Clock(start, (end - start).total_seconds(), held)


def evidence(rows: Sequence[Row], points: Sequence[Point], size: str) -> altair.LayerChart | None:
    """Evidence of harm over the looks, each guardrail against its own boundary."""
    lines = {row.key: _line_of(row, points) for row in rows}
    lines = {key: line for key, line in lines.items() if line}
    clock = clock_of([point for line in lines.values() for point in line], size)
    if clock is None:
        return None
    ends = _ends(rows, lines, clock)[:MOST_LINES]
    width, height = PX[size] - (52 + (92 if size == PHONE else 150)), 200
    low, high = _evidence_domain(lines)
    layers = _evidence_frame(clock, low, high, size)
    for end in ends:
        layers += _evidence_line(lines[end["key"]], end, clock, low, high)
    layers += _end_names(ends, low, high, height, size)
    return layered(layers, width, height)


def _line_of(row: Row, points: Sequence[Point]) -> list[Point]:
    held = [p for p in points if p["metric"] == row.key and p["evidence_share"] is not None]
    return axes.thinned(held, MOST_LOOKS)


def _evidence_domain(lines: Mapping[str, list[Point]]) -> tuple[float, float]:
    shares = [point["evidence_share"] for line in lines.values() for point in line]
    return min(0.0, max(min(shares) * 1.1, -1.0)), max(1.25, min(max(shares) * 1.1, 3.0))


def _ends(
    rows: Sequence[Row], lines: Mapping[str, list[Point]], clock: Clock
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
    alt, colours = library(), tokens()
    values = axes.ticks(low, high, 5)
    table = {value: say.percent(value) for value in values}
    y = alt.Y(
        "v:Q",
        title=None,
        scale=scale(low, high),
        axis=alt.Axis(values=values, labelExpr=words_at(table)),
    )
    words = "At this line: harm shown" if size != PHONE else "harm shown"
    line = chart([{"v": 1.0, "t": 0.0, "words": words}])
    return [
        chart([{"v": 0.0}]).mark_rule(color=colours["edge"]).encode(y=y),
        line.mark_rule(color=colours["harm"], strokeWidth=1.5).encode(y=y),
        line.mark_text(
            align="left", baseline="bottom", dy=-4, dx=4, fontSize=SMALL, color=colours["harm"]
        ).encode(x=clock.axis(), y=y, text="words:N"),
    ]


def _evidence_line(
    line: list[Point], end: dict[str, Any], clock: Clock, low: float, high: float
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
    last = chart([rows[-1]])
    is_harm = end["state"] == "harm"
    return [
        chart(rows)
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
    alt, colours = library(), tokens()
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
        chart([row])
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
    for before, after in pairwise(order):
        out[after] = max(out[after], out[before] + apart)
    limit = until
    for place in reversed(order):
        out[place] = min(out[place], limit)
        limit = out[place] - apart
    return out


def burn(row: Row, points: Sequence[Point], size: str) -> altair.LayerChart | None:
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
        for p in axes.thinned(held, MOST_LOOKS)
    ]
    low, high = burn_domain(rows, row.gauge)
    for item in rows:
        item.update({name: min(max(item[name], low), high) for name in "vab"})
    layers = [*_burn_band(rows, clock, low, high), *_burn_limits(row.gauge, clock, size)]
    layers += _burn_end(rows, row, size)
    return layered(layers, PX[size] - 64, 210)


def burn_domain(rows: Sequence[Point], gauge: Gauge) -> tuple[float, float]:
    """Both ends of the harm axis: the budget is always in sight, a wild first look is cut."""
    reach = 2.0 * max(gauge.amount, *(abs(row["v"]) for row in rows))
    low = min(0.0, *(max(row["a"], -reach) for row in rows))
    high = max(gauge.amount * 1.15, *(min(row["b"], reach) for row in rows))
    return low, high


def _burn_band(rows: list[dict[str, Any]], clock: Clock, low: float, high: float) -> list[Any]:
    alt, colours = library(), tokens()
    values = axes.ticks(low, high, 5)
    table = {value: say.count(value) for value in values}
    y = alt.Y(
        "v:Q",
        title=None,
        scale=scale(low, high),
        axis=alt.Axis(values=values, labelExpr=words_at(table)),
    )
    base = chart(rows)
    return [
        base.mark_area(color=colours["chart-band"]).encode(
            x=clock.axis(), y=alt.Y("a:Q"), y2="b:Q"
        ),
        chart([{"v": 0}]).mark_rule(color=colours["edge"]).encode(y=y),
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
        base = chart([{"v": value, "t": 0.0, "words": text}])
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
    words = say.count(gauge.estimate) if gauge.is_known else ""
    if words and size != PHONE:  # on a phone there is room for one number only
        words += f" ({say.count(gauge.low)} to {say.count(gauge.high)})"
    base = chart([{**rows[-1], "words": words}])
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
