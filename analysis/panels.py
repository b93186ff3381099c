"""From a table of rows with a time to series and panels: what designs without units work on.

Rows are put into periods (and groups), and each cell becomes one value: how many or how much for a
count or sum, the average for a mean or proportion, a sum over a sum for a ratio. A hole is never
read as zero unless the asker says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise
from math import isfinite
from typing import Any

import ibis
import numpy as np

from analysis.arguments import Floats
from analysis.clusters import Period
from analysis.cohorts import fsum, usable
from analysis.rows import MEANS, Kind, MetricColumn
from analysis.summary import Summary
from analysis.tables import check_columns, values_of

PERIOD, GROUP = "period_", "group_"
EVERY = {"hour": "h", "day": "D", "week": "W", "month": "M"}
ADDED = (Kind.COUNT, Kind.SUM)
MOST_GROUPS, MOST_PERIODS = 5_000, 2_000
Moment = datetime | date | int


@dataclass(frozen=True, slots=True, eq=False)
class Panel:
    """A value per group and period.

    groups: names, shape (g,); one empty name without groups. periods: as text, oldest first, shape
    (t,). moments: the same as times or whole numbers. values, rows: shape (g, t).
    left_out: rows without a time, a group or a usable value.
    """

    groups: tuple[str, ...]
    periods: tuple[str, ...]
    moments: tuple[Moment, ...]
    values: Floats
    rows: Floats
    left_out: int

    def since(self, start: str) -> int:
        """Index of the first period at or after a start, given as text.

        Raises ValueError for text that is no such time, or lies outside the periods.

        >>> table = ibis.memtable({"day": [1, 2, 3], "calls": [5, 6, 9]})
        >>> panel(table, MetricColumn("calls", Kind.SUM, "calls"), time="day").since("3")
        2
        """
        moment = _as_moment(start, self.moments[0])
        places = [i for i, held in enumerate(self.moments) if held >= moment]  # type: ignore[operator]
        if not places or places[0] == 0:
            raise ValueError(
                f"start {start!r} must lie after the first period, {self.periods[0]}, and not after "
                f"the last, {self.periods[-1]}"
            )
        return places[0]


def panel(
    source: Any,
    metric: MetricColumn,
    *,
    time: str,
    group: str | None = None,
    every: str | None = None,
    empty_is_zero: bool = False,
) -> Panel:
    """One value per group and period.

    source: an Ibis table. metric: a proportion, mean, count, sum or ratio. time: a column of dates,
    times or whole numbers. group: a column of regions, shops or the like. every: hour, day, week or
    month, for times finer than the periods wanted (times of day are put into days if None).
    empty_is_zero: what a cell without rows means for a count or sum; otherwise it is refused.
    Raises ValueError naming a column, cell or period that does not fit.

    >>> table = ibis.memtable({"day": [1, 1, 2, 2], "shop": ["a", "b"] * 2, "calls": [5, 6, 9, 2]})
    >>> panel(table, MetricColumn("calls", Kind.SUM, "calls"), time="day", group="shop").values
    array([[5., 9.],
           [6., 2.]])
    """
    if metric.kind not in MEANS and metric.kind is not Kind.RATIO:
        raise ValueError(
            f"a {metric.kind} has no value per period: take a mean, sum, count or ratio"
        )
    if empty_is_zero and metric.kind not in ADDED:
        raise ValueError(
            f"empty periods are zero for a count or a sum only, not for a {metric.kind}"
        )
    columns = [time] if group is None else [time, group]
    check_columns(source, [*columns, metric.column])
    if group is not None:
        values_of(source, group, most=MOST_GROUPS)
    rows = usable(_in_periods(source, time, every), [metric])
    named = ibis.literal("") if group is None else rows[group].cast("string")
    rows = rows.mutate(**{GROUP: named})
    kept = rows.filter(rows[PERIOD].notnull() & rows[GROUP].notnull() & rows["v0"].notnull())
    sums = {"n": kept.count(), "total": fsum(kept["v0"])}
    if metric.kind is Kind.RATIO:
        sums["other"] = fsum(kept["w0"])
    cells = kept.group_by([GROUP, PERIOD]).agg(**sums).to_pyarrow().to_pylist()
    total = rows.count().to_pyarrow().as_py()
    return _filled(cells, metric, every, empty_is_zero, total)


def periods(
    source: Any,
    metric: MetricColumn,
    *,
    time: str,
    variation: str,
    control: str,
    stratum: str | None = None,
    every: str | None = None,
) -> tuple[list[Period], int]:
    """Stretches of time that were randomised as a whole, oldest first, and how many were mixed.

    variation, control: column and value of the old version. stratum: compared within (city).
    A stretch in which both variations were seen is left out and counted.
    Arguments and refusals otherwise as in `panel`; each row is a unit.

    >>> table = ibis.memtable({"hour": [1, 2, 2], "arm": ["a", "b", "b"], "calls": [5, 6, 9]})
    >>> calls = MetricColumn("calls", Kind.SUM, "calls")
    >>> found, mixed = periods(table, calls, time="hour", variation="arm", control="a")
    >>> [(p.treated, p.outcome.mean) for p in found], mixed
    ([(False, 5.0), (True, 7.5)], 0)
    """
    if metric.kind not in MEANS:
        raise ValueError(
            f"a {metric.kind} cannot be compared between stretches: take a mean or sum"
        )
    check_columns(source, [time, variation, metric.column, *([stratum] if stratum else [])])
    rows = usable(_in_periods(source, time, every), [metric])
    named = ibis.literal("") if stratum is None else rows[stratum].cast("string").fill_null("")
    rows = rows.mutate(**{GROUP: named, "arm_": rows[variation].cast("string")})
    kept = rows.filter(rows[PERIOD].notnull() & rows["arm_"].notnull() & rows["v0"].notnull())
    value = kept["v0"]
    cells = kept.group_by([PERIOD, GROUP]).agg(
        n=kept.count(),
        total=fsum(value),
        squares=fsum(value * value),
        arm=kept["arm_"].min(),
        arms=kept["arm_"].nunique(),
    )
    held = cells.order_by(PERIOD, GROUP).to_pyarrow().to_pylist()
    pure = [cell for cell in held if cell["arms"] == 1]
    found = [
        Period(c["arm"] != control, Summary(c["n"], c["total"], c["squares"]), c[GROUP])
        for c in pure
    ]
    return found, len(held) - len(pure)


def _in_periods(table: Any, time: str, every: str | None) -> Any:
    """The table with a period per row: a whole number, a date or a time."""
    if every is not None and every not in EVERY:
        raise ValueError(f"every must be one of {', '.join(EVERY)}, not {every!r}")
    column = table[time]
    kind = column.type()
    if kind.is_integer():
        if every is not None:
            raise ValueError(f"column {time!r} holds whole numbers, which have no {every}")
        return table.mutate(**{PERIOD: column})
    if kind.is_string():
        column = column.try_cast("timestamp")
        if not table.aggregate(n=column.count()).to_pyarrow()["n"][0].as_py():
            raise ValueError(f"column {time!r} holds neither times nor whole numbers")
    elif not (kind.is_date() or kind.is_timestamp()):
        raise ValueError(f"column {time!r} holds neither times nor whole numbers")
    if kind.is_date() and every is None:
        return table.mutate(**{PERIOD: column})
    stamp = column.cast("timestamp").truncate(EVERY[every or "day"])
    return table.mutate(**{PERIOD: stamp if every == "hour" else stamp.date()})


def _filled(
    cells: list[dict[str, Any]],
    metric: MetricColumn,
    every: str | None,
    empty_is_zero: bool,
    total: int,
) -> Panel:
    if not cells:
        raise ValueError("no row has a time and a usable value")
    groups = sorted({cell[GROUP] for cell in cells})
    moments = _regular(sorted({cell[PERIOD] for cell in cells}), every, empty_is_zero)
    if len(moments) > MOST_PERIODS:
        raise ValueError(f"more than {MOST_PERIODS} periods: take longer ones, such as days")
    at_group, at_moment = _places(groups), _places(moments)
    shape = (len(groups), len(moments))
    values, rows = np.full(shape, np.nan), np.zeros(shape)
    for cell in cells:
        place = at_group[cell[GROUP]], at_moment[cell[PERIOD]]
        rows[place], values[place] = cell["n"], _value(cell, metric)
    if empty_is_zero:
        values[rows == 0] = 0.0
    texts = tuple(_text(moment) for moment in moments)
    _refuse_holes(values, rows, groups, texts, metric)
    left_out = total - int(rows.sum())
    return Panel(tuple(groups), texts, tuple(moments), values, rows, left_out)


def _places(held: Sequence[Any]) -> dict[Any, int]:
    return {item: i for i, item in enumerate(held)}


def _value(cell: dict[str, Any], metric: MetricColumn) -> float:
    if metric.kind in ADDED:
        return float(cell["total"])
    below = cell["other"] if metric.kind is Kind.RATIO else cell["n"]
    return float(cell["total"] / below) if below else float("nan")


def _refuse_holes(
    values: Floats,
    rows: Floats,
    groups: Sequence[str],
    texts: Sequence[str],
    metric: MetricColumn,
) -> None:
    holes = np.argwhere(~np.isfinite(values))
    if not holes.size:
        return
    g, t = (int(place) for place in holes[0])
    where = f"{texts[t]}, {groups[g]!r}" if groups[g] else texts[t]
    why = "its denominator is zero there" if rows[g, t] else "no row has a value there"
    more = f" (and {len(holes) - 1} more)" if len(holes) > 1 else ""
    zero = "; if that means none, say that empty periods are zero" if metric.kind in ADDED else ""
    raise ValueError(f"{metric.name}: {why}: {where}{more}{zero}")


def _regular(held: list[Moment], every: str | None, may_fill: bool) -> list[Moment]:
    """The periods with none left out between the first and the last."""
    if len(held) < 2:
        return held
    step = _step(held, every)
    whole = [held[0]]
    while whole[-1] < held[-1] and len(whole) <= 2 * MOST_PERIODS:  # type: ignore[operator]
        whole.append(step(whole[-1]))
    seen = set(held)
    if not seen <= set(whole):
        if every is None:
            return held  # uneven steps, such as quarters: taken as they come
        raise ValueError("the periods do not follow one another evenly")
    missing = [moment for moment in whole if moment not in seen]
    if missing and not may_fill:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise ValueError(
            f"no rows in the period {_text(missing[0])}{more}: add them, or say that empty periods "
            "are zero"
        )
    return whole


def _step(held: list[Moment], every: str | None) -> Callable[[Any], Any]:
    """How one period leads to the next; unless told, the commonest gap."""
    if every == "month":
        return _next_month
    if every is not None:
        length = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7)}
        return lambda moment: moment + length[every]
    gaps = [b - a for a, b in pairwise(held)]  # type: ignore[operator]
    common = max(set(gaps), key=lambda gap: (gaps.count(gap), -_size(gap)))
    return lambda moment: moment + common


def _size(gap: Any) -> float:
    return gap.total_seconds() if isinstance(gap, timedelta) else float(gap)


def _next_month(moment: date) -> date:
    return date(moment.year + moment.month // 12, moment.month % 12 + 1, 1)


def _text(moment: Moment) -> str:
    if isinstance(moment, datetime):
        return moment.isoformat(sep=" ", timespec="minutes")
    return moment.isoformat() if isinstance(moment, date) else str(moment)


def _as_moment(text: str, like: Moment) -> Moment:
    try:
        if isinstance(like, datetime):
            return datetime.fromisoformat(text.strip()).replace(tzinfo=like.tzinfo)
        if isinstance(like, date):
            return datetime.fromisoformat(text.strip()).date()
        number = float(text)
        if isfinite(number):
            return -int(-number // 1)
    except ValueError:
        pass
    kind = "a whole number" if isinstance(like, int) else "a date, such as 2026-05-14"
    raise ValueError(f"start {text!r} is not {kind}")
