"""Segments: whether they differ at all, what to expect in each, and the worst one against a limit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.compare import Pair, compare
from analysis.dispersion import worst_segment
from analysis.effect import Effect, Scale, Undecided
from analysis.estimate import Estimate
from analysis.heterogeneity import Heterogeneity, by_dimension
from analysis.multiplicity import holm
from analysis.rows import Row
from rollouts.reports.one_off.question import Asked, Question
from rollouts.reports.one_off.shown import effect_data, pair_data, undecided_data

NOBODY = Undecided("one of the two versions has no customers here", needs="customers in both")
Held = dict[tuple[str, str], Pair]  # by value and variation


def segments_data(
    question: Question, asked: Asked, rows: Sequence[Row], others: Sequence[str]
) -> list[dict[str, Any]]:
    """Every segment column: each value's own effect, and what they say together."""
    columns = {
        column: _pairs(question, asked, rows, others, column) for column in question.segments
    }
    together = {other: _together(question, asked, columns, other) for other in others}
    return [
        {
            "column": column,
            "values": _values(question, rows, pairs, column),
            "differences": [
                {"variation": other, **_difference(together[other][column])} for other in others
            ],
            "worst": _worst(question, asked, pairs, others),
        }
        for column, pairs in columns.items()
    ]


def _pairs(
    question: Question, asked: Asked, rows: Sequence[Row], others: Sequence[str], column: str
) -> Held:
    within = {
        (row.segment[1], row.variation): row
        for row in rows
        if row.segment is not None and row.segment[0] == column
    }
    values = sorted({value for value, _ in within})
    held: Held = {}
    for value in values:
        control = within.get((value, str(question.control)))
        for other in others:
            treatment = within.get((value, other))
            held[value, other] = (
                (NOBODY, NOBODY)
                if control is None or treatment is None
                else compare(
                    asked.ask.kind, control, treatment, level=question.level, ask=asked.ask
                )
            )
    return held


def _values(
    question: Question, rows: Sequence[Row], pairs: Held, column: str
) -> list[dict[str, Any]]:
    sizes = {
        (row.segment[1], row.variation): row.n
        for row in rows
        if row.segment is not None and row.segment[0] == column
    }
    held = [
        {
            "value": value,
            "variation": other,
            "n": sizes.get((value, str(question.control)), 0) + sizes.get((value, other), 0),
            **pair_data(*pair),
        }
        for (value, other), pair in pairs.items()
    ]
    _correct(held)
    return held


def _correct(held: list[dict[str, Any]]) -> None:
    """Holm's correction for looking at every value of the column."""
    known = []
    for item in held:
        effect = item["absolute"] or item["relative"]
        if effect and effect["p_value"] is not None:
            known.append((item, effect["p_value"]))
    if not known:
        return
    for (item, _), p_value in zip(known, holm([p for _, p in known]), strict=True):
        item["p_value_corrected"] = p_value


def _scale(question: Question, asked: Asked, pairs: Sequence[Pair]) -> Scale:
    """The scale segments are compared on: the limit's, else the one that more of them have."""
    limit = question.limits.get(asked.name)
    if limit is not None:
        return limit.scale
    absolute, relative = (sum(isinstance(p[i], Effect) for p in pairs) for i in (0, 1))
    return Scale.RELATIVE if relative >= absolute else Scale.ABSOLUTE


def _together(
    question: Question, asked: Asked, columns: dict[str, Held], other: str
) -> dict[str, Heterogeneity | Undecided]:
    """One treatment: the test of each column, corrected for all columns."""
    every = [pair for held in columns.values() for (_, name), pair in held.items() if name == other]
    place = 0 if _scale(question, asked, every) is Scale.ABSOLUTE else 1
    dimensions = {
        column: {
            value: _estimate(value, pair[place])
            for (value, name), pair in held.items()
            if name == other
        }
        for column, held in columns.items()
    }
    return by_dimension(dimensions, alpha=2 * question.alpha, level=question.level)


def _estimate(value: str, effect: Effect | Undecided) -> Estimate | Undecided:
    if isinstance(effect, Undecided):
        return effect
    try:
        return Estimate.of_effect(value, effect)
    except ValueError:
        return Undecided("the effect is too uncertain to compare", needs="more customers")


def _difference(found: Heterogeneity | Undecided) -> dict[str, Any]:
    if isinstance(found, Undecided):
        return {"reading": None, "undecided": undecided_data(found), "segments": []}
    return {
        "reading": found.reading,
        "differs": found.differs,
        "p_value": found.interaction.p_value,
        "p_value_corrected": found.p_value,
        "i_squared": found.interaction.i_squared,
        "scale": found.overall.scale.value,
        "overall": effect_data(found.overall),
        "segments": [
            {
                "value": segment.name,
                "shrunken": segment.shrunken.value,
                "low": segment.shrunken.low,
                "high": segment.shrunken.high,
                "kept": segment.shrunken.kept,
                "p_value_corrected": segment.p_value,
                "differs": segment.differs,
            }
            for segment in found.segments
        ],
        "left_out": dict(found.left_out),
        "undecided": None,
    }


def _worst(
    question: Question, asked: Asked, pairs: Held, others: Sequence[str]
) -> list[dict[str, Any]]:
    """Whether the worst segment keeps the limit, under Holm; nothing without a limit."""
    limit = question.limits.get(asked.name)
    if limit is None:
        return []
    place = 0 if limit.scale is Scale.ABSOLUTE else 1
    held = []
    for other in others:
        effects = {value: pair[place] for (value, name), pair in pairs.items() if name == other}
        found = worst_segment(
            effects,
            limit.margin,
            higher_is_better=limit.higher_is_better,
            alpha=(1 - question.level) / 2,
        )
        held.append(
            {
                "variation": other,
                "overall": found.overall.value,
                "worst": found.worst,
                "findings": {name: state.value for name, state in found.findings.items()},
            }
        )
    return held
