"""The report on a file of customers who were divided at random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from analysis import compare as comparing
from analysis.cohorts import Exposures, exposures, summarise
from analysis.compare import AdjustedPair
from analysis.cuped import Adjusted
from analysis.effect import Undecided
from analysis.quality import evidence_grade
from analysis.rows import MEANS, Events, Kind, Row, Times
from analysis.summary import PairSummary, Summary
from analysis.survey import survey_bounds
from analysis.tables import check_columns, indicators, is_text, numeric, values_of
from rollouts.errors import Fault, Invalid
from rollouts.reports.one_off import spelling
from rollouts.reports.one_off.checks import SPLIT, checks_of, split_data
from rollouts.reports.one_off.could_show import could_show
from rollouts.reports.one_off.parts import NOBODY, segments_data
from rollouts.reports.one_off.question import Asked, Question
from rollouts.reports.one_off.shown import check_data, grade_data, pair_data, test_data
from rollouts.reports.one_off.verdicts import (
    Compared,
    adjusted_data,
    corrected,
    decision_data,
    finding_data,
)

STRATUM = "stratum_"
MOST_VALUES = 100  # of a segment or stratum
MOST_VARIATIONS = 20


@dataclass(frozen=True, slots=True)
class Read:
    """A file, read: the question completed, who was seen, and the sums."""

    question: Question
    seen: Exposures
    rows: list[Row]
    others: list[str]
    covariates: tuple[str, ...]


def answer(table: Any, question: Question) -> dict[str, Any]:
    """The report as plain data. Raises Invalid and ValueError for what does not fit."""
    held = read(table, question)
    split = split_data(held.question, held.seen.counts)
    checks = checks_of(held.question, held.seen, split, held.rows)
    compared = [item for asked in held.question.metrics for item in _compared(held, asked)]
    metrics = [_metric(held, asked, compared) for asked in held.question.metrics]
    corrected(question, [effect for metric in metrics for effect in metric["effects"]])
    quality = {
        {SPLIT: "the split"}.get(check.name, check.name): check.p_value
        if check.p_value is not None
        else Undecided(check.reason, check.needs)
        for check in checks
        if check.name in (SPLIT, "pre-exposure bias")
    }
    decisions = [
        decision_data(question, other, [c for c in compared if c.variation == other], quality)
        for other in held.others
    ]
    return {
        "units": _units(held),
        "split": split,
        "checks": [check_data(check) for check in checks],
        "grade": grade_data(evidence_grade(question.setup.design, checks, locked=False)),
        "metrics": metrics,
        "decisions": [decision for decision in decisions if decision],
    }


def read(table: Any, question: Question) -> Read:
    """Sums per variation, segment and stratum. Raises Invalid if control is not in the file."""
    unit, variation = str(question.unit), str(question.variation)
    check_columns(table, (unit, variation, *question.segments))
    for column in question.segments:
        values_of(table, column, most=MOST_VALUES)
    values_of(table, variation, most=MOST_VARIATIONS)
    seen = exposures(table, unit=unit, variation=variation)
    _check_control(question, seen)
    table, question, covariates = _sharpened(_as_numbers(table, question), question)
    strata = (STRATUM,) if question.strata and not covariates else ()
    rows = summarise(
        table,
        unit=unit,
        variation=variation,
        metrics=[asked.column for asked in question.metrics],
        segments=(*question.segments, *strata),
    )
    others = sorted(name for name in seen.counts if name != question.control)
    return Read(_with_horizons(question, rows), seen, rows, others, covariates)


def _check_control(question: Question, seen: Exposures) -> None:
    if question.control in seen.counts:
        return
    names = ", ".join(repr(name) for name in sorted(seen.counts)) or "none"
    raise Invalid(
        f"No row has the variation {question.control!r}. The file has: {names}.",
        faults=(Fault("--control", f"{question.control!r} is not in the file"),),
    )


def _as_numbers(table: Any, question: Question) -> Any:
    wanted = [c for a in question.metrics for c in (a.column.column, a.column.other) if c]
    return numeric(table, wanted)


def _sharpened(table: Any, question: Question) -> tuple[Any, Question, tuple[str, ...]]:
    """Covariates as numbers beside each metric, strata as one column.

    With covariates the strata become indicators among them, so that there is one adjusted effect.
    """
    names: list[str] = []
    attributes = list(question.covariates) + (list(question.strata) if question.covariates else [])
    check_columns(table, (*attributes, *question.strata))
    for column in attributes:
        if column in question.strata or is_text(table, column):
            table, added = indicators(table, column)
            names += added
        else:
            table = numeric(table, [column])
            names.append(column)
    if question.strata and not question.covariates:
        whole = table[question.strata[0]].cast("string").fill_null("(none)")
        for column in question.strata[1:]:
            whole = whole + " / " + table[column].cast("string").fill_null("(none)")
        table = table.mutate(**{STRATUM: whole})
        values_of(table, STRATUM, most=MOST_VALUES)
    held = tuple(names)
    if held:
        question = replace(question, metrics=spelling.with_covariates(question.metrics, held))
    return table, question, held


def _with_horizons(question: Question, rows: Sequence[Row]) -> Question:
    """A horizon for times that came without one: the longest that every version allows."""
    return replace(
        question, metrics=tuple(_with_horizon(asked, rows) for asked in question.metrics)
    )


def _with_horizon(asked: Asked, rows: Sequence[Row]) -> Asked:
    if asked.ask.kind is not Kind.TIME or asked.ask.at is not None:
        return asked
    mine = [row for row in rows if row.metric == asked.name and row.segment is None]
    return replace(asked, ask=replace(asked.ask, at=comparing.common_horizon(mine)))


def _compared(held: Read, asked: Asked) -> list[Compared]:
    question = held.question
    mine = [row for row in held.rows if row.metric == asked.name]
    whole = {row.variation: row for row in mine if row.segment is None}
    control, found = whole.get(str(question.control)), []
    for other in held.others:
        treatment = whole.get(other)
        if control is None or treatment is None:
            found.append(Compared(asked, other, (NOBODY, NOBODY)))
            continue
        plain = comparing.compare(
            asked.ask.kind, control, treatment, level=question.level, ask=asked.ask
        )
        adjusted = _adjusted(held, asked, mine, control, treatment)
        found.append(Compared(asked, other, plain, adjusted, control, treatment))
    return found


def _adjusted(
    held: Read, asked: Asked, mine: Sequence[Row], control: Row, treatment: Row
) -> AdjustedPair | None:
    question = held.question
    if asked.ask.kind not in MEANS:
        return None
    if held.covariates:
        return comparing.adjusted(
            control, treatment, before_exposure=question.before_exposure, level=question.level
        )
    if not question.strata:
        return None
    arms = [
        {row.segment[1]: row for row in mine if _is_stratum(row, name) and row.segment}
        for name in (control.variation, treatment.variation)
    ]
    return comparing.stratified(arms[0], arms[1], level=question.level)


def _is_stratum(row: Row, variation: str) -> bool:
    return row.variation == variation and row.segment is not None and row.segment[0] == STRATUM


def _units(held: Read) -> dict[str, Any]:
    seen, control = held.seen, held.question.control
    return {
        "rows": seen.rows,
        "by_variation": [
            {"key": name, "n": n, "is_control": name == control}
            for name, n in sorted(seen.counts.items(), key=lambda pair: pair[0] != control)
        ],
        "crossed": seen.crossed,
        "unnamed": seen.unnamed,
    }


def _metric(held: Read, asked: Asked, compared: Sequence[Compared]) -> dict[str, Any]:
    question = held.question
    mine = [row for row in held.rows if row.metric == asked.name]
    whole = [row for row in mine if row.segment is None]
    return {
        **described(question, asked),
        "arms": [_arm(row, asked) for row in whole],
        "effects": [_effect(held, item) for item in compared if item.asked.name == asked.name],
        "segments": segments_data(question, asked, mine, held.others),
    }


def described(question: Question, asked: Asked) -> dict[str, Any]:
    """What a metric is, and what was asked of it."""
    limit = question.limits.get(asked.name)
    good = question.higher_is_better(asked.name)
    return {
        "name": asked.name,
        "spelt": asked.text,
        "kind": asked.ask.kind.value,
        "q": asked.ask.q if asked.ask.kind is Kind.QUANTILE else None,
        "form": asked.ask.form.value,
        "at": asked.ask.at,
        "other": asked.column.other,
        "per_event": asked.column.per_event,
        "good": None if good is None else "up" if good else "down",
        "is_goal": asked.name in question.goals,
        "limit": {"text": limit.text, "margin": limit.margin, "scale": limit.scale.value}
        if limit
        else None,
    }


def _effect(held: Read, item: Compared) -> dict[str, Any]:
    question, asked = held.question, item.asked
    limit = question.limits.get(asked.name)
    asked_for = (*question.covariates, *question.strata)
    how = "covariates" if held.covariates else "strata"
    gains = [a.gain for a in item.adjusted or () if isinstance(a, Adjusted)]
    known = item.control is not None and item.treatment is not None
    return {
        "variation": item.variation,
        **pair_data(*item.plain),
        "adjusted": adjusted_data(item, asked_for, held.covariates, how),
        "judged": "adjusted" if item.is_adjusted else "plain",
        "finding": finding_data(item, limit) if limit else None,
        "bounds": _bounds(question, item),
        "could_show": could_show(
            question, asked, item.control, item.treatment, gains[0] if gains else 0.0
        )
        if known and item.control and item.treatment
        else None,
        "tests": test_data(comparing.further_tests(item.control, item.treatment, asked.ask))
        if known and item.control and item.treatment
        else [],
    }


def _bounds(question: Question, item: Compared) -> dict[str, Any] | None:
    """What a share's difference can be, whatever those without a value would have had.

    None without gaps, and for kinds without a lowest and highest value.
    """
    control, treatment = item.control, item.treatment
    if item.asked.ask.kind is not Kind.PROPORTION or control is None or treatment is None:
        return None
    if not control.n_missing + treatment.n_missing:
        return None
    asked = control.n + control.n_missing, treatment.n + treatment.n_missing
    sums = comparing.summary_of(control), comparing.summary_of(treatment)
    found = survey_bounds(*sums, asked=asked, scale=(0.0, 1.0), level=question.level)
    if isinstance(found, Undecided):
        return None
    return {
        "low": found.low,
        "high": found.high,
        "outer_low": found.outer_low,
        "outer_high": found.outer_high,
        "level": found.level,
        "method": found.method,
    }


def _arm(row: Row, asked: Asked) -> dict[str, Any]:
    return {
        "variation": row.variation,
        "n": row.n,
        "total": _total(row),
        "mean": comparing.level_of(row, asked.ask),
        "n_events": row.sums.values.size
        if isinstance(row.sums, Events)
        else int(row.sums.happened.sum())
        if isinstance(row.sums, Times)
        else None,
        "n_missing": row.n_missing,
        "n_odd": row.n_odd,
        "cap": row.cap,
    }


def _total(row: Row) -> float | None:
    """The sum of a count or sum (a ratio's numerator); None for what has no sum."""
    if isinstance(row.sums, PairSummary):
        return row.sums.x_total
    if isinstance(row.sums, Summary) or row.kind in MEANS:
        return comparing.summary_of(row).total
    return None
