"""What could not be randomised: one series, two sides, or one group against a blend of others."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np

from analysis.clusters import Inference
from analysis.differences import difference_in_differences
from analysis.effect import Effect, Scale, Undecided
from analysis.inputs import NO_BASELINE
from analysis.interrupted import Interrupted, interrupted_time_series
from analysis.panels import Panel, panel
from analysis.quality import Check, State, evidence_grade
from analysis.synthetic import Synthetic, synthetic_control
from analysis.tables import check_columns, numeric
from rollouts.errors import Fault, Invalid
from rollouts.reports.one_off.question import INFERENCES, Asked, Question, Setup
from rollouts.reports.one_off.randomised import described
from rollouts.reports.one_off.shown import check_data, grade_data, pair_data
from rollouts.reports.one_off.verdicts import Compared, corrected, decision_data, finding_data
from rollouts.words import count, figures, percent

FEW_GROUPS = 10  # on a side, below which the number of groups is worth a warning
MUCH_MEMORY = 0.7
Pair = tuple[Effect | Undecided, Effect | Undecided]


@dataclass(frozen=True, slots=True)
class Studied:
    """One metric's effects by a design, what was checked, and what there is to draw."""

    pair: Pair
    checks: tuple[Check, ...]
    series: dict[str, Any]
    who: str
    left_out: int = 0


def answer(table: Any, question: Question) -> dict[str, Any]:
    """The report as plain data. Raises Invalid and ValueError for what does not fit."""
    study = {
        Setup.INTERRUPTED: _interrupted,
        Setup.DIFFERENCES: _differences,
        Setup.SYNTHETIC: _synthetic,
    }[question.setup]
    return assembled(table, question, study)


def assembled(
    table: Any, question: Question, study: Callable[[Any, Question, Asked], Studied]
) -> dict[str, Any]:
    """Every metric by one design, put together as a report."""
    wanted = [c for a in question.metrics for c in (a.column.column, a.column.other) if c]
    ready = numeric(table, wanted)
    studied = [(asked, study(ready, question, asked)) for asked in question.metrics]
    compared = [Compared(asked, found.who, found.pair) for asked, found in studied]
    metrics = [
        _metric(question, found, item) for (_, found), item in zip(studied, compared, strict=True)
    ]
    corrected(question, [effect for metric in metrics for effect in metric["effects"]])
    checks = _distinct(studied, len(studied) > 1)
    decision = decision_data(question, "the change", compared, {})
    return {
        "units": {"rows": table.count().to_pyarrow().as_py(), "by_variation": [], "crossed": 0}
        | {"unnamed": max(found.left_out for _, found in studied)},
        "split": None,
        "checks": [check_data(check) for check in checks],
        "grade": grade_data(
            evidence_grade(question.setup.design, checks, required=(), locked=False)
        ),
        "metrics": metrics,
        "decisions": [decision] if decision else [],
    }


def _distinct(studied: Sequence[tuple[Asked, Studied]], by_name: bool) -> list[Check]:
    """All checks once, named by their metric where there are several."""
    held: dict[tuple[str, str], Check] = {}
    for asked, found in studied:
        for check in found.checks:
            held.setdefault((check.name, check.reason), check)
            if by_name and check.p_value is not None:
                held[check.name, check.reason] = replace(check, name=f"{check.name}, {asked.name}")
    return list(held.values())


def _metric(question: Question, found: Studied, item: Compared) -> dict[str, Any]:
    limit = question.limits.get(item.asked.name)
    return {
        **described(question, item.asked),
        "arms": [],
        "effects": [
            {
                "variation": found.who,
                "counted": _counted(question, found.pair),
                **pair_data(*found.pair),
                "adjusted": None,
                "judged": "plain",
                "finding": finding_data(item, limit) if limit else None,
                "bounds": None,
                "could_show": None,
                "tests": [],
            }
        ],
        "segments": [],
        "series": found.series,
    }


COUNTED = {
    Setup.INTERRUPTED: "{0} periods before, {1} since",
    Setup.DIFFERENCES: "{0} groups without, {1} with",
    Setup.SYNTHETIC: "{1} group, {0} to blend",
    Setup.CLUSTER: "{0} old, {1} new groups",
    Setup.SWITCHBACK: "{0} old, {1} new periods",
}


def _counted(question: Question, pair: Pair) -> str | None:
    """What the evidence rests on, which is groups or periods and not customers."""
    held = next((effect for effect in pair if isinstance(effect, Effect)), None)
    if held is None:
        return None
    return COUNTED[question.setup].format(count(held.n_control), count(held.n_treatment))


def _panel(table: Any, question: Question, asked: Asked, group: str | None) -> tuple[Panel, int]:
    when = question.when
    held = panel(
        table,
        asked.column,
        time=str(when.time),
        group=group,
        every=when.every,
        empty_is_zero=when.empty_is_zero,
    )
    return held, held.since(str(when.start))


def _series(kind: str, held: Panel, start: int, **more: Any) -> dict[str, Any]:
    return {"kind": kind, "periods": list(held.periods), "start": start, **more}


def _interrupted(table: Any, question: Question, asked: Asked) -> Studied:
    held, start = _panel(table, question, asked, None)
    values = held.values[0]
    season = _season(question, held, start)
    found: list[Interrupted | Undecided] = [
        interrupted_time_series(values, start, season=season, scale=scale, level=question.level)
        for scale in (Scale.ABSOLUTE, Scale.RELATIVE)
    ]
    whole = found[0]
    checks = (
        _memory(whole),
        _pretended(values, start, season, question.level),
        _seasoned(season),
    )
    expected = list(whole.expected) if isinstance(whole, Interrupted) else []
    pair = tuple(f if isinstance(f, Undecided) else f.effect for f in found)
    series = _series("interrupted", held, start, values=values.tolist(), expected=expected)
    return Studied((pair[0], pair[1]), checks, series, "since the change", held.left_out)


def _season(question: Question, held: Panel, start: int) -> int | None:
    """A week for days, a day for hours, none where the past is too short; or as asked."""
    asked = question.when.season
    if asked is not None:
        return asked or None
    first, second = held.moments[0], held.moments[1]
    if isinstance(first, int) or isinstance(second, int):
        return None
    usual = {timedelta(days=1): 7, timedelta(hours=1): 24}.get(second - first)
    return usual if usual and start >= 2 * usual else None


def _memory(found: Interrupted | Undecided) -> Check:
    name = "memory"
    if isinstance(found, Undecided):
        return Check(name, State.UNKNOWN, found.reason, needs=found.needs)
    kept = percent(max(found.memory, 0.0))
    words = f"{kept} of a deviation is left in the next period; the errors allow for it"
    if found.memory > MUCH_MEMORY:
        return Check(name, State.WARNING, f"{words}, yet intervals on so slow a series are brittle")
    return Check(name, State.FINE, words)


def _pretended(values: Any, start: int, season: int | None, level: float) -> Check:
    """The same method on the past alone, with a change pretended at two thirds of it."""
    name = "pretended change"
    place = start * 2 // 3
    found = (
        interrupted_time_series(values[:start], place, season=season, level=level)
        if 1 <= place < start
        else Undecided("the past is too short to pretend a change in it")
    )
    if isinstance(found, Undecided):
        reason = f"could not be tried on the past: {found.reason}"
        return Check(name, State.UNKNOWN, reason, needs="a longer past")
    effect = found.effect
    words = f"a change pretended in the past shows {_interval(effect)}"
    if effect.low <= 0 <= effect.high:
        return Check(name, State.FINE, f"{words}: none, as it should", effect.p_value)
    return Check(name, State.WARNING, f"{words}, where nothing was changed", effect.p_value)


def _seasoned(season: int | None) -> Check:
    if season is None:
        reason = "no season was allowed for: one would be in the effect"
        return Check("season", State.WARNING, reason, needs="two cycles before the change")
    return Check("season", State.FINE, f"a season of {season} periods was allowed for")


def _interval(effect: Effect) -> str:
    return f"{figures(effect.estimate, 3)} ({figures(effect.low, 3)} to {figures(effect.high, 3)})"


def _sides(table: Any, question: Question, held: Panel) -> list[bool]:
    """Whether each group got the change, from --treated or from a column that says so."""
    treated = set(question.when.treated)
    if not treated:
        treated = _treated_by_column(table, question)
    unknown = treated - set(held.groups)
    if unknown:
        problem = f"{sorted(unknown)[0]!r} is not among the groups"
        raise Invalid(f"--treated: {problem}.", faults=(Fault("--treated", problem),))
    return [group in treated for group in held.groups]


def _treated_by_column(table: Any, question: Question) -> set[str]:
    group, variation = str(question.when.group), str(question.variation)
    check_columns(table, (variation,))
    arms = table.filter(table[group].notnull() & table[variation].notnull())
    arms = arms.select(group=arms[group].cast("string"), arm=arms[variation].cast("string"))
    rows = arms.distinct().to_pyarrow().to_pylist()
    seen: dict[str, set[str]] = {}
    for row in rows:
        seen.setdefault(row["group"], set()).add(row["arm"])
    mixed = sorted(name for name, held in seen.items() if len(held) > 1)
    if mixed:
        raise Invalid(f"--variation: the group {mixed[0]!r} has more than one, so it has no side.")
    return {name for name, held in seen.items() if held != {question.control}}


def _differences(table: Any, question: Question, asked: Asked) -> Studied:
    held, start = _panel(table, question, asked, question.when.group)
    treated = _sides(table, question, held)
    is_wild = INFERENCES[question.when.inference] is Inference.WILD
    found = [
        difference_in_differences(
            held.values, treated, start, scale=scale, level=question.level, wild=is_wild
        )
        for scale in (Scale.ABSOLUTE, Scale.RELATIVE)
    ]
    whole = found[0]
    arm = np.array(treated)
    checks: list[Check] = [enough_groups(int(arm.sum()), int((~arm).sum()))]
    points: list[dict[str, Any]] = []
    if isinstance(whole, Undecided):
        checks.append(Check("parallel trends", State.UNKNOWN, whole.reason, needs=whole.needs))
    else:
        checks.append(whole.trends)
        points = [
            {"period": p.period, "estimate": p.estimate, "low": p.low, "high": p.high}
            for p in whole.points
        ]
    sides = {
        name: held.values[side].mean(axis=0).tolist() if side.any() else []
        for name, side in (("treated", arm), ("others", ~arm))
    }
    pair = tuple(f if isinstance(f, Undecided) else f.effect for f in found)
    series = _series("differences", held, start, points=points, **sides)
    return Studied((pair[0], pair[1]), tuple(checks), series, "with the change", held.left_out)


def enough_groups(treated: int, others: int) -> Check:
    """Whether there are groups enough on both sides to rest an interval on."""
    words = f"{count(treated)} groups with the change and {count(others)} without"
    if min(treated, others) < 2:
        return Check("groups", State.UNKNOWN, words, needs="two or more on each side")
    if min(treated, others) < FEW_GROUPS:
        return Check("groups", State.WARNING, f"{words}: few to rest an interval on")
    return Check("groups", State.FINE, words)


def _synthetic(table: Any, question: Question, asked: Asked) -> Studied:
    held, start = _panel(table, question, asked, question.when.group)
    treated = [
        name for name, on in zip(held.groups, _sides(table, question, held), strict=True) if on
    ]
    if len(treated) != 1:
        problem = f"a synthetic control is of one group, not of {len(treated)}"
        raise Invalid(f"--treated: {problem}.", faults=(Fault("--treated", problem),))
    place = held.groups.index(treated[0])
    own = held.values[place]
    others = {g: held.values[i] for i, g in enumerate(held.groups) if i != place}
    found = synthetic_control(own, others, start, name=treated[0], level=question.level)
    if isinstance(found, Undecided):
        fit = Check("fit before the change", State.UNKNOWN, found.reason, needs=found.needs)
        series = _series("synthetic", held, start, own=own.tolist(), expected=[], placebos=[])
        return Studied((found, found), (fit,), series, treated[0], held.left_out)
    series = _series(
        "synthetic",
        held,
        start,
        own=own.tolist(),
        expected=list(found.expected),
        gaps=list(found.treated.gaps),
        placebos=[
            {"name": p.name, "gap": p.gap, "miss": p.miss, "ratio": p.ratio, "gaps": list(p.gaps)}
            for p in found.placebos
        ],
        weights={name: w for name, w in found.weights.items() if w > 1e-6},
        ratio_p_value=found.ratio_p_value,
    )
    pair = found.effect, _as_share(found.effect, float(np.mean(found.expected[start:])))
    return Studied(pair, _blend_checks(found), series, treated[0], held.left_out)


def _as_share(effect: Effect, base: float) -> Effect | Undecided:
    """The same effect as a share of what the blend would have been, which is taken as known."""
    if base <= 0:
        return NO_BASELINE
    return replace(
        effect,
        estimate=effect.estimate / base,
        low=effect.low / base,
        high=effect.high / base,
        scale=Scale.RELATIVE,
        method=f"{effect.method}, as a share of the blend",
    )


def _blend_checks(found: Synthetic) -> tuple[Check, ...]:
    before = found.before
    words = (
        f"a change pretended in the past shows {figures(before.gap, 3)}, where the blend misses by "
        f"{figures(before.miss, 3)}"
    )
    is_odd = abs(before.gap) > 2 * before.miss
    n = len(found.placebos)
    rank = sum(p.ratio >= found.treated.ratio for p in found.placebos)
    placebos = (
        f"{count(rank)} of {count(n)} other groups moved as much, or more, without the change"
    )
    return (
        found.fit,
        Check("pretended change", State.WARNING if is_odd else State.FINE, words),
        Check("placebos", State.FINE, placebos, found.ratio_p_value),
    )
