"""From a table of units to summary rows, by Ibis on DuckDB: only sums leave the table.

Rows of one unit are first gathered into one (see `Kind` for how), so a file may hold a row per
unit, per day or per event. A unit that was seen in two variations is left out; a missing value is
left out and counted, never read as zero.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import inf
from pathlib import Path
from typing import Any

import ibis
import numpy as np

from analysis.histogram import Histogram
from analysis.moments import Moments
from analysis.rows import Events, Kind, MetricColumn, Row, Times
from analysis.summary import PairSummary, Summary
from analysis.tables import check_columns, number, read

Segment = tuple[str, str] | None

UNIT, VARIATION = "unit_", "variation_"
NO_SEGMENT = "(none)"
LARGEST, SMALLEST = 1e60, 1e-60  # beyond them squares of squares are infinite or nothing


@ibis.udf.agg.builtin  # type: ignore[untyped-decorator]
def fsum(values: float) -> float:  # type: ignore[empty-body]
    """DuckDB's compensated sum: the order of rows and threads hardly shows."""


@dataclass(frozen=True, slots=True)
class Exposures:
    """Who was seen where.

    counts: units per variation, without crossed ones. crossed: units seen in two variations or
    more. unnamed: rows without a unit or a variation. rows: all rows.
    """

    counts: dict[str, int]
    crossed: int
    unnamed: int
    rows: int


def guess_kind(source: str | Path | Any, column: str) -> Kind:
    """A proportion if the column holds only 0, 1, true, false and gaps, a mean otherwise.

    source: an Ibis table.

    >>> guess_kind(ibis.memtable({"won": [0, 1, None], "spent": [0.0, 2.5, 1.0]}), "won")
    <Kind.PROPORTION: 'proportion'>
    """
    table = read(source)
    check_columns(table, (column,))
    value = number(table, column)
    others = table.filter(value.notnull() & ~value.isin([0.0, 1.0])).count()
    return Kind.MEAN if others.to_pyarrow().as_py() else Kind.PROPORTION


def exposures(source: str | Path | Any, *, unit: str, variation: str) -> Exposures:
    """Count units per variation, and those that cannot be used.

    source: an Ibis table.

    >>> table = ibis.memtable({"who": [1, 2, 3, 3, None], "arm": ["a", "b", "a", "b", "a"]})
    >>> exposures(table, unit="who", variation="arm")
    Exposures(counts={'a': 1, 'b': 1}, crossed=1, unnamed=1, rows=5)
    """
    table = read(source)
    check_columns(table, (unit, variation))
    named = _named(table, unit, variation)
    seen = named.group_by(UNIT).agg(n=named[VARIATION].nunique(), variation=named[VARIATION].min())
    groups = seen.group_by(crossed=seen.n > 1, name=seen.variation).agg(units=seen.count())
    rows = groups.to_pyarrow().to_pylist()
    n_rows, n_named = (t.count().to_pyarrow().as_py() for t in (table, named))
    return Exposures(
        counts={
            row["name"]: row["units"]
            for row in sorted(rows, key=lambda row: row["name"])
            if not row["crossed"]
        },
        crossed=sum(row["units"] for row in rows if row["crossed"]),
        unnamed=n_rows - n_named,
        rows=n_rows,
    )


def summarise(
    source: str | Path | Any,
    *,
    unit: str,
    variation: str,
    metrics: Sequence[MetricColumn],
    segments: Sequence[str] = (),
) -> list[Row]:
    """One row per variation and metric, whole and for every value of every segment column.

    source: an Ibis table on DuckDB, or the path of a CSV or Parquet file.
    unit, variation, segments: columns of the randomised unit, its variation and its attributes.
    Raises ValueError naming a column that is absent or does not hold numbers.

    >>> table = ibis.memtable(
    ...     {"who": [1, 2, 3, 4], "arm": ["a", "a", "b", "b"], "won": [0, 1, 1, 1]}
    ... )
    >>> won = MetricColumn("won", Kind.PROPORTION, "won")
    >>> rows = summarise(table, unit="who", variation="arm", metrics=[won])
    >>> [(row.variation, row.sums.mean) for row in rows]
    [('a', 0.5), ('b', 1.0)]
    """
    table = read(source)
    wanted = [c for m in metrics for c in (m.column, m.other, *m.covariates) if c is not None]
    check_columns(table, (unit, variation, *segments, *wanted))
    if len({metric.name for metric in metrics}) < len(metrics):
        raise ValueError("metrics: two have the same name")
    rows = usable(_named(table, unit, variation), metrics)
    units, caps = _capped(_per_unit(rows, metrics, segments).cache(), metrics)
    found: list[Row] = []
    for at, segment in enumerate((None, *segments)):
        groups = [VARIATION] if segment is None else [VARIATION, f"s{at - 1}"]
        found += _group_rows(rows, units, metrics, segment, groups, caps)
    order = {metric.name: i for i, metric in enumerate(metrics)}
    return sorted(found, key=lambda r: (order[r.metric], r.segment or ("", ""), r.variation))


def _named(table: Any, unit: str, variation: str) -> Any:
    """Rows that name a unit and a variation."""
    named = table.filter(table[unit].notnull() & table[variation].notnull())
    return named.mutate(**{UNIT: named[unit], VARIATION: named[variation].cast("string")})


def usable(rows: Any, metrics: Sequence[MetricColumn]) -> Any:
    """Each metric's usable value per row as v0, v1, ..., its second as w0, ..., covariates as c0_0.

    A value is usable if every column of its metric has one that can be; o0, ... is 1 where one
    cannot be. Otherwise both are null.
    metrics: as asked for.

    >>> table = ibis.memtable({"won": [0.0, 1.0, 7.0]})
    >>> usable(table, [MetricColumn("won", Kind.PROPORTION, "won")]).to_pyarrow()["v0"].to_pylist()
    [0.0, 1.0, None]
    """
    columns: dict[str, Any] = {}
    for i, metric in enumerate(metrics):
        first = number(rows, metric.column)
        second = None if metric.other is None else number(rows, metric.other)
        whole = [first] if second is None else [first, second]
        odd = _impossible(metric.kind, first, second).fill_null(False)
        for value in whole:
            size = value.abs()
            odd |= ((size > LARGEST) | ((size > 0) & (size < SMALLEST))).fill_null(False)
        keep = ~odd
        for value in whole:
            keep &= value.notnull()
        columns |= {f"v{i}": keep.ifelse(first, None), f"o{i}": odd.cast("int64")}
        if second is not None:
            columns[f"w{i}"] = keep.ifelse(second, None)
        for j, name in enumerate(metric.covariates):
            covariate = number(rows, name)
            columns[f"c{i}_{j}"] = covariate.isinf().ifelse(None, covariate)
    return rows.mutate(**columns)


def _impossible(kind: Kind, first: Any, second: Any) -> Any:
    """Whether a row's value cannot be, given the kind of its metric."""
    if kind is Kind.PROPORTION:
        return ~first.isin([0.0, 1.0])
    if kind is Kind.COUNT:
        return first < 0
    if kind is Kind.RATIO:
        return second < 0
    if kind is Kind.TIME:
        return (first < 0) | ~second.isin([0.0, 1.0])
    return ibis.literal(False)


def _per_unit(rows: Any, metrics: Sequence[MetricColumn], segments: Sequence[str]) -> Any:
    """One row per unit seen in one variation only, numbered by `code`."""
    counts = rows.aggregate(rows=rows.count(), units=rows[UNIT].nunique()).to_pyarrow().to_pylist()
    if counts[0]["rows"] == counts[0]["units"]:  # the usual file, spared the gathering
        units = rows.mutate(
            **{f"s{j}": rows[name].cast("string") for j, name in enumerate(segments)}
        )
    else:
        units = _gathered(rows, metrics, segments)
    filled = {f"s{j}": units[f"s{j}"].fill_null(NO_SEGMENT) for j in range(len(segments))}
    # A covariate that a unit lacks becomes the mean of all units: the same in every variation, so
    # that it can neither bias nor sharpen the comparison.
    for name in (name for i, metric in enumerate(metrics) for name in _covariates(i, metric)):
        filled[name] = units[name].fill_null(units[name].mean()).fill_null(0.0)
    held = [name for i, metric in enumerate(metrics) for name in _held(i, metric)]
    return units.select(UNIT, VARIATION, *held, code=ibis.row_number(), **filled)


def _gathered(rows: Any, metrics: Sequence[MetricColumn], segments: Sequence[str]) -> Any:
    """A unit's rows put together, without units seen in two variations."""
    columns = {VARIATION: rows[VARIATION].min(), "seen_": rows[VARIATION].nunique()}
    for j, segment in enumerate(segments):
        columns[f"s{j}"] = rows[segment].cast("string").min()
    for i, metric in enumerate(metrics):
        columns |= _as_one(rows, i, metric)
        columns |= {name: rows[name].mean() for name in _covariates(i, metric)}
    units = rows.group_by(UNIT).agg(**columns)
    return units.filter(units["seen_"] == 1)


def _as_one(rows: Any, i: int, metric: MetricColumn) -> dict[str, Any]:
    """How a unit's rows become one value, by kind."""
    first, odd = rows[f"v{i}"], {f"o{i}": rows[f"o{i}"].max()}
    if metric.kind is Kind.PROPORTION:
        return {f"v{i}": first.max(), **odd}
    if metric.kind in (Kind.COUNT, Kind.SUM):
        return {f"v{i}": fsum(first), **odd}
    if metric.kind is Kind.RATIO:
        return {f"v{i}": fsum(first), f"w{i}": fsum(rows[f"w{i}"]), **odd}
    if metric.kind is Kind.TIME:
        happened = rows[f"w{i}"]
        ended = (happened == 1).ifelse(first, None).min()
        return {f"v{i}": ibis.coalesce(ended, first.max()), f"w{i}": happened.max(), **odd}
    return {f"v{i}": first.mean(), **odd}


def _capped(
    units: Any, metrics: Sequence[MetricColumn]
) -> tuple[Any, dict[int, tuple[float, float]]]:
    """Units with long tails cut, and the lower and upper limit used per metric."""
    asked = {
        f"{name}{i}": value
        for i, m in enumerate(metrics)
        if m.cap_quantile is not None
        for name, value in (
            ("low", units[f"v{i}"].quantile(1 - m.cap_quantile)),
            ("high", units[f"v{i}"].quantile(m.cap_quantile)),
            ("least", units[f"v{i}"].min()),
        )
    }
    limits = units.aggregate(**asked).to_pyarrow().to_pylist()[0] if asked else {}
    caps: dict[int, tuple[float, float]] = {}
    for i, metric in enumerate(metrics):
        high = metric.cap if metric.cap is not None else inf
        low = -inf
        if limits.get(f"high{i}") is not None:
            high = min(high, limits[f"high{i}"])
            low = limits[f"low{i}"] if limits[f"least{i}"] < 0 else -inf
        if high < inf:
            caps[i] = low, high
    cut = {f"v{i}": units[f"v{i}"].clip(lower=low, upper=high) for i, (low, high) in caps.items()}
    return (units.mutate(**cut) if cut else units), caps


def _group_rows(
    rows: Any,
    units: Any,
    metrics: Sequence[MetricColumn],
    segment: str | None,
    groups: list[str],
    caps: dict[int, tuple[float, float]],
) -> Iterator[Row]:
    """Every metric's row per variation, or per variation and value of one segment column."""
    sums = {name: s for i, m in enumerate(metrics) for name, s in _sums(units, i, m).items()}
    shapes = {
        i: _distributions(rows, units, i, metric, groups)
        for i, metric in enumerate(metrics)
        if not metric.summed
    }
    for group in units.group_by(groups).agg(**sums).to_pyarrow().to_pylist():
        key = tuple(str(group[name]) for name in groups)
        for i, metric in enumerate(metrics):
            empty = _shaped(metric, np.zeros(0), np.zeros(0, dtype=np.int64))
            yield Row(
                variation=group[VARIATION],
                segment=None if segment is None else (segment, key[1]),
                metric=metric.name,
                kind=metric.kind,
                sums=_moments(group, i, 1 + len(_others(i, metric)))
                if metric.summed
                else shapes[i].get(key, empty),
                n=group[f"n{i}"],
                n_missing=group[f"m{i}"],
                n_odd=group[f"odd{i}"],
                cap=caps[i][1] if i in caps else None,
            )


def _sums(units: Any, i: int, metric: MetricColumn) -> dict[str, Any]:
    """The sums of one metric over a group of units: products of its k values, outcome first."""
    value = units[f"v{i}"]
    sums = {f"n{i}": value.count(), f"m{i}": value.isnull().sum(), f"odd{i}": units[f"o{i}"].sum()}
    if not metric.summed:
        return sums
    values = [value, *(value.notnull().ifelse(units[name], None) for name in _others(i, metric))]
    for a, one in enumerate(values):
        sums[f"t{i}_{a}"] = fsum(one).fill_null(0.0)
        for b in range(a, len(values)):
            sums[f"p{i}_{a}_{b}"] = fsum(one * values[b]).fill_null(0.0)
    return sums


def _covariates(i: int, metric: MetricColumn) -> list[str]:
    return [f"c{i}_{j}" for j in range(len(metric.covariates))]


def _held(i: int, metric: MetricColumn) -> list[str]:
    """A metric's own columns of a unit."""
    return [f"v{i}", f"o{i}"] + ([f"w{i}"] if metric.other is not None else [])


def _others(i: int, metric: MetricColumn) -> list[str]:
    """The columns whose products with the value are wanted."""
    return [f"w{i}"] if metric.kind is Kind.RATIO else _covariates(i, metric)


def _distributions(
    rows: Any, units: Any, i: int, metric: MetricColumn, groups: list[str]
) -> dict[tuple[str, ...], Histogram | Events | Times]:
    """One metric's distribution in every group, by one query."""
    here = units.filter(units[f"v{i}"].notnull())
    if metric.kind is Kind.TIME:
        found = here.select(*groups, value=f"v{i}", beside=here[f"w{i}"].cast("int64"))
    elif metric.per_event:
        seen = rows.filter(rows[f"v{i}"].notnull()).select(UNIT, value=f"v{i}")
        found = seen.join(here.select(UNIT, "code", *groups), UNIT).rename(beside="code")
    else:
        found = here.group_by(*groups, value=f"v{i}").agg(beside=here.count())
    found = found.order_by(*groups, "value").select(*groups, "value", "beside").to_pyarrow()
    if found.num_rows == 0:
        return {}
    values, beside = (found[name].to_numpy() for name in ("value", "beside"))
    codes = [found[name].combine_chunks().dictionary_encode().indices.to_numpy() for name in groups]
    starts = np.flatnonzero(np.any([np.diff(code, prepend=-1) != 0 for code in codes], axis=0))
    ends = [*starts[1:], found.num_rows]
    return {
        tuple(str(found[name][int(start)]) for name in groups): _shaped(
            metric, values[start:end], beside[start:end]
        )
        for start, end in zip(starts, ends, strict=True)
    }


def _shaped(metric: MetricColumn, values: Any, beside: Any) -> Histogram | Events | Times:
    """Rising values with their counts, their units' codes or whether their event happened."""
    if metric.kind is Kind.TIME:
        return Times(values, beside == 1)
    return Events(values, beside) if metric.per_event else Histogram(values, beside)


def _moments(group: dict[str, Any], i: int, k: int) -> Summary | PairSummary | Moments:
    n, totals = group[f"n{i}"], [group[f"t{i}_{a}"] for a in range(k)]
    products = {(a, b): group[f"p{i}_{a}_{b}"] for a in range(k) for b in range(a, k)}
    if k == 1:
        return Summary(n, totals[0], products[0, 0])
    if k == 2:
        x, y = totals
        return PairSummary(n, x, y, products[0, 0], products[1, 1], products[0, 1])
    square = [[products[min(a, b), max(a, b)] for b in range(k)] for a in range(k)]
    return Moments(n, np.array(totals), np.array(square))
