"""From a table of units to sums, against a plain-Python reference."""

import csv
import gzip
import math
from collections import defaultdict

import ibis
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis import cohorts, cuped, mean, proportion, survival
from analysis.histogram import Histogram
from analysis.moments import Moments
from analysis.rows import Kind, MetricColumn
from analysis.summary import PairSummary, Summary

METRICS = (
    MetricColumn("won", Kind.PROPORTION, "won"),
    MetricColumn("visits", Kind.COUNT, "visits"),
    MetricColumn("spend", Kind.SUM, "spend"),
    MetricColumn("mean spend", Kind.MEAN, "spend"),
    MetricColumn("per visit", Kind.RATIO, "spend", "visits"),
)

numbers = st.none() | st.integers(-3, 5).map(float) | st.sampled_from([math.inf, math.nan])
rows = st.lists(
    st.fixed_dictionaries(
        {
            "who": st.none() | st.integers(1, 12),
            "arm": st.none() | st.sampled_from(["a", "b", "c"]),
            "land": st.none() | st.sampled_from(["nl", "de"]),
            "won": st.none() | st.sampled_from([0.0, 1.0, 2.0]),
            "visits": numbers,
            "spend": numbers,
        }
    ),
    min_size=1,
    max_size=40,
)


def table(given_rows):
    """An Ibis table of these rows."""
    kinds = {"who": "int64", "arm": "string", "land": "string"}
    names = given_rows[0].keys()
    return ibis.memtable(given_rows, schema={n: kinds.get(n, "float64") for n in names})


def usable(metric, row):
    """The row's values of a metric, None if missing, and whether one cannot be."""
    values = [row[c] for c in (metric.column, metric.other) if c is not None]
    values = [None if v is None or math.isnan(v) else v for v in values]
    odd = any(v is not None and math.isinf(v) for v in values)
    if metric.kind is Kind.PROPORTION:
        odd |= values[0] is not None and values[0] not in (0, 1)
    if metric.kind is Kind.COUNT:
        odd |= values[0] is not None and values[0] < 0
    if metric.kind is Kind.RATIO:
        odd |= values[1] is not None and values[1] < 0
    return (None if odd or None in values else values), odd


def reference(given_rows, metric, segment):
    """What `summarise` should say, by plain loops."""
    units = defaultdict(list)
    for row in given_rows:
        if row["who"] is not None and row["arm"] is not None:
            units[row["who"]].append(row)
    found = defaultdict(lambda: {"values": [], "missing": 0, "odd": 0})
    for seen in units.values():
        if len({row["arm"] for row in seen}) > 1:
            continue
        lands = sorted(row["land"] for row in seen if row["land"] is not None)
        key = (seen[0]["arm"], (lands or [cohorts.NO_SEGMENT])[0] if segment else None)
        kept, odd = zip(*(usable(metric, row) for row in seen), strict=True)
        kept = [values for values in kept if values is not None]
        found[key]["odd"] += any(odd)
        if not kept:
            found[key]["missing"] += 1
            continue
        columns = list(zip(*kept, strict=True))
        gather = {Kind.PROPORTION: max, Kind.MEAN: lambda v: sum(v) / len(v)}.get(metric.kind, sum)
        found[key]["values"].append([gather(column) for column in columns])
    return found


@settings(max_examples=25)
@given(rows, st.sampled_from([None, "land"]))
def test_sums_are_those_of_plain_loops(given_rows, segment):
    """Gathering, crossing, missing and impossible values: the query does what it says."""
    found = cohorts.summarise(
        table(given_rows),
        unit="who",
        variation="arm",
        metrics=METRICS,
        segments=[segment] if segment else [],
    )
    for metric in METRICS:
        here = [r for r in found if r.metric == metric.name and bool(r.segment) == bool(segment)]
        expected = reference(given_rows, metric, segment)
        assert {(r.variation, r.segment[1] if r.segment else None) for r in here} == set(expected)
        for row in here:
            other = expected[row.variation, row.segment[1] if row.segment else None]
            values = other["values"]
            assert (row.n, row.n_missing, row.n_odd) == (
                len(values),
                other["missing"],
                other["odd"],
            )
            if metric.kind is Kind.RATIO:
                sums = PairSummary.of([v[0] for v in values], [v[1] for v in values])
                assert row.sums.xy == pytest.approx(sums.xy)
                assert (row.sums.x_total, row.sums.yy) == pytest.approx((sums.x_total, sums.yy))
            else:
                sums = Summary.of(v[0] for v in values)
                assert row.sums.n == sums.n
                assert (row.sums.total, row.sums.squares) == pytest.approx(
                    (sums.total, sums.squares)
                )


@settings(max_examples=15)
@given(rows)
def test_every_unit_is_counted_once(given_rows):
    """In an arm, as crossed, or not at all without a name."""
    seen = cohorts.exposures(table(given_rows), unit="who", variation="arm")
    named = [r for r in given_rows if r["who"] is not None and r["arm"] is not None]

    assert sum(seen.counts.values()) + seen.crossed == len({r["who"] for r in named})
    assert (seen.rows, seen.unnamed) == (len(given_rows), len(given_rows) - len(named))


def plain(**columns):
    """A table of one row per unit, half of them in each arm."""
    n = len(next(iter(columns.values())))
    return ibis.memtable(
        {"who": list(range(n)), "arm": ["a", "b"] * (n // 2) + ["a"] * (n % 2), **columns}
    )


def sums(found, variation, metric):
    return next(
        r for r in found if (r.variation, r.metric) == (variation, metric) and not r.segment
    )


def test_distributions_leave_as_counts_or_sorted_arrays():
    """Quantiles, grades and spread need more than sums; times need who was still watched."""
    source = plain(
        grade=[1, 2, 5, 5, 5, 4], left=[3.0, 4.0, 2.0, 9.0, 7.0, 1.0], done=[1, 0, 1, 1, 0, 1]
    )
    found = cohorts.summarise(
        source,
        unit="who",
        variation="arm",
        metrics=[
            MetricColumn("grade", Kind.ORDINAL, "grade"),
            MetricColumn("median", Kind.QUANTILE, "left"),
            MetricColumn("spread", Kind.DISPERSION, "left"),
            MetricColumn("time", Kind.TIME, "left", "done"),
        ],
    )

    assert sums(found, "a", "grade").sums.counts.tolist() == [1, 2]
    assert sums(found, "b", "median").sums.values.tolist() == [1, 4, 9]
    assert isinstance(sums(found, "b", "spread").sums, Histogram)
    times = sums(found, "a", "time").sums
    assert sorted(zip(times.durations.tolist(), times.happened.tolist(), strict=True)) == [
        (2, True), (3, True), (7, False)
    ]  # fmt: skip


def test_events_keep_their_unit():
    """For a quantile over events, a unit's events stay together, those of crossed units leave."""
    source = ibis.memtable(
        {
            "who": [1, 1, 2, 2, 3, 4, 4],
            "arm": ["a", "a", "a", "a", "a", "a", "b"],
            "wait": [5.0, 3.0, 4.0, 9.0, 1.0, 7.0, 8.0],
        }
    )
    metric = MetricColumn("wait", Kind.QUANTILE, "wait", per_event=True)
    (row,) = cohorts.summarise(source, unit="who", variation="arm", metrics=[metric])

    assert row.sums.values.tolist() == [1, 3, 4, 5, 9]
    assert row.sums.units[1] == row.sums.units[3] != row.sums.units[2] == row.sums.units[4]


def test_the_first_event_of_several_rows_ends_a_units_time():
    """A row per day: the event's own time if it came, the last day watched if not."""
    source = ibis.memtable(
        {
            "who": [1, 1, 1, 2, 2],
            "arm": ["a"] * 5,
            "day": [1.0, 2.0, 3.0, 1.0, 2.0],
            "came": [0, 1, 1, 0, 0],
        }
    )
    metric = MetricColumn("t", Kind.TIME, "day", "came")
    (row,) = cohorts.summarise(source, unit="who", variation="arm", metrics=[metric])

    assert sorted(zip(row.sums.durations, row.sums.happened, strict=True)) == [
        (2, False),
        (2, True),
    ]


def test_covariates_come_as_products_and_gaps_as_the_common_mean():
    """A unit without history neither leaves nor counts as zero."""
    draw = np.random.default_rng(1)
    before = draw.normal(50, 10, 400)
    after = before + draw.normal(0, 5, 400)
    history = [None if i % 10 == 0 else float(v) for i, v in enumerate(before)]
    source = plain(after=after.tolist(), before=history, other=before.tolist())
    one = MetricColumn("one", Kind.MEAN, "after", covariates=("before",))
    two = MetricColumn("two", Kind.MEAN, "after", covariates=("before", "other"))
    found = cohorts.summarise(source, unit="who", variation="arm", metrics=[one, two])
    pair = sums(found, "a", "one").sums
    known = [v for v in history if v is not None]

    assert isinstance(pair, PairSummary)
    assert pair.n == 200
    filled = [np.mean(known) if v is None else v for v in history][::2]
    assert pair.y_total == pytest.approx(sum(filled))
    assert pair.xy == pytest.approx(float(np.dot(after[::2], filled)))
    both = [sums(found, arm, "two").sums for arm in "ab"]
    assert isinstance(both[0], Moments)
    assert cuped.difference(*both, before_exposure=True).gain > 0.7


def test_long_tails_are_cut_at_one_limit_for_all():
    """A cap is as declared; a quantile is that of all units together, in every segment too."""
    values = [float(v) for v in range(100)] + [1e6, -1e6]
    source = plain(spend=values, land=["x", "y"] * 51)
    capped = MetricColumn("cap", Kind.SUM, "spend", cap=10)
    cut = MetricColumn("cut", Kind.SUM, "spend", cap_quantile=0.95)
    found = cohorts.summarise(
        source, unit="who", variation="arm", metrics=[capped, cut], segments=["land"]
    )

    assert sums(found, "a", "cap").sums.total == sum(min(v, 10) for v in values[::2])
    limits = np.quantile(values, [0.05, 0.95])
    assert sums(found, "b", "cut").cap == pytest.approx(limits[1])
    assert sums(found, "b", "cut").sums.total == pytest.approx(np.clip(values[1::2], *limits).sum())
    assert {row.cap for row in found if row.metric == "cut"} == {sums(found, "a", "cut").cap}


def test_compensated_sums_do_not_depend_on_the_order_of_rows():
    """A million small values beside a huge one are not lost."""
    values = [1e16, *[1.0] * 100_000, -1e16]
    source = ibis.memtable({"who": range(len(values)), "arm": ["a"] * len(values), "v": values})
    metric = MetricColumn("v", Kind.SUM, "v")
    (row,) = cohorts.summarise(source, unit="who", variation="arm", metrics=[metric])

    assert row.sums.total == 100_000


def test_kinds_are_guessed_from_what_a_column_holds(tmp_path):
    """Yes and no make a proportion, anything else a mean; gaps do not count."""
    path = tmp_path / "some.csv"
    path.write_text("who,arm,yes,flag,n\n1,a,1,true,3\n2,b,0,false,1\n3,b,,true,0\n")

    assert cohorts.guess_kind(path, "yes") is Kind.PROPORTION
    assert cohorts.guess_kind(path, "flag") is Kind.PROPORTION
    assert cohorts.guess_kind(path, "n") is Kind.MEAN


@pytest.mark.parametrize("name", ["units.csv", "units.csv.gz", "units.parquet", "units.tsv"])
def test_files_say_the_same_whatever_their_format(tmp_path, name):
    """CSV, compressed or not, and Parquet."""
    path = tmp_path / name
    columns = {"who": ["x1", "x2", "x3"], "arm": ["a", "b", "b"], "n": [1, 2, 5]}
    text = "\n".join(
        ("\t" if "tsv" in name else ",").join(map(str, line))
        for line in [columns.keys(), *zip(*columns.values(), strict=True)]
    )
    if name.endswith("parquet"):
        ibis.memtable(columns).to_parquet(path)
    elif name.endswith("gz"):
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)
    found = cohorts.summarise(
        path, unit="who", variation="arm", metrics=[MetricColumn("n", Kind.COUNT, "n")]
    )

    assert [(row.variation, row.sums) for row in found] == [
        ("a", Summary(1, 1, 1)),
        ("b", Summary(2, 7, 29)),
    ]


def test_wrong_requests_are_refused_by_name(tmp_path):
    """An absent column, one of words, two metrics of one name, another kind of file."""
    source = plain(v=[1.0, 2.0], word=["x", "y"])
    ask = {"unit": "who", "variation": "arm"}
    with pytest.raises(ValueError, match="no column 'nope'"):
        cohorts.summarise(source, **ask, metrics=[MetricColumn("m", Kind.MEAN, "nope")])
    with pytest.raises(ValueError, match="'word' does not hold numbers"):
        cohorts.summarise(source, **ask, metrics=[MetricColumn("m", Kind.MEAN, "word")])
    with pytest.raises(ValueError, match="same name"):
        cohorts.summarise(source, **ask, metrics=[MetricColumn("m", Kind.MEAN, "v")] * 2)
    with pytest.raises(ValueError, match="no column 'team'"):
        cohorts.exposures(source, unit="team", variation="arm")
    (tmp_path / "sheet.xlsx").write_text("")
    with pytest.raises(ValueError, match="neither CSV nor Parquet"):
        cohorts.read(tmp_path / "sheet.xlsx")
    with pytest.raises(FileNotFoundError):
        cohorts.read(tmp_path / "absent.csv")


def test_an_empty_table_has_no_rows():
    """No units, no answers, no error."""
    source = ibis.memtable(
        {"who": [None], "arm": ["a"], "v": [1.0]},
        schema={"who": "int64", "arm": "string", "v": "float64"},
    )
    assert (
        cohorts.summarise(
            source, unit="who", variation="arm", metrics=[MetricColumn("v", Kind.MEAN, "v")]
        )
        == []
    )


def test_cookie_cats(shared):
    """The real data set: sums by Python's csv, and the effects everyone knows of it."""
    path = shared / "data" / "cookie_cats.csv.gz"
    with gzip.open(path, "rt") as lines:
        players = list(csv.DictReader(lines))
    retained = MetricColumn("kept", Kind.PROPORTION, "retention_7")
    rounds = MetricColumn("rounds", Kind.COUNT, "sum_gamerounds", cap_quantile=0.999)
    found = cohorts.summarise(path, unit="userid", variation="version", metrics=[retained, rounds])
    arms = [sums(found, version, "kept").sums for version in ("gate_30", "gate_40")]

    for version, arm in zip(("gate_30", "gate_40"), arms, strict=True):
        kept = [int(p["retention_7"]) for p in players if p["version"] == version]
        assert arm == Summary(len(kept), sum(kept), sum(kept))
    effect = proportion.difference(*arms)
    assert effect.estimate == pytest.approx(-0.0082, abs=5e-5)
    assert effect.high < 0
    assert mean.difference(*(sums(found, v, "rounds").sums for v in ("gate_30", "gate_40")))


def test_hillstrom(shared):
    """Three arms and a past to adjust for: men's e-mail raises visits by 0.077."""
    path = shared / "data" / "hillstrom.csv.gz"
    visit = MetricColumn("visit", Kind.MEAN, "visit", covariates=("history", "recency"))
    found = cohorts.summarise(path, unit="customer_id", variation="segment", metrics=[visit])
    control, treatment = (sums(found, arm, "visit").sums for arm in ("No E-Mail", "Mens E-Mail"))
    adjusted = cuped.difference(control, treatment, before_exposure=True)

    assert adjusted.effect.estimate == pytest.approx(0.0766, abs=1e-3)
    assert 0 < adjusted.gain < 0.1


def test_times_of_a_file_make_a_curve():
    """The duration and flag columns reach Kaplan-Meier as they are."""
    source = ibis.memtable(
        {"who": range(4), "arm": ["a"] * 4, "weeks": [6.0, 6.0, 7.0, 10.0], "back": [1, 1, 0, 1]}
    )
    metric = MetricColumn("t", Kind.TIME, "weeks", "back")
    (row,) = cohorts.summarise(source, unit="who", variation="arm", metrics=[metric])

    assert survival.kaplan_meier(row.sums).surviving.tolist() == [0.5, 0.0]
