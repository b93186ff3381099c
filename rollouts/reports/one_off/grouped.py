"""Groups or stretches of time that were randomised as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import ibis

from analysis.clusters import (
    carryover,
    cluster_randomised,
    intracluster_correlation,
    switchback,
)
from analysis.cohorts import summarise
from analysis.compare import summary_of
from analysis.effect import Scale, Undecided
from analysis.panels import MOST_GROUPS, periods
from analysis.quality import Check, State
from analysis.rows import MEANS
from analysis.summary import Summary
from analysis.tables import check_columns, values_of
from rollouts.errors import Fault, Invalid
from rollouts.reports.one_off.checks import split_check, split_data
from rollouts.reports.one_off.designs import Pair, Studied, assembled, enough_groups
from rollouts.reports.one_off.question import INFERENCES, Asked, Question, Setup
from rollouts.words import count, figures

ROW = "row_"
NO_SHARE = Undecided("a switchback gives no relative effect here", needs="the absolute difference")


def answer(table: Any, question: Question) -> dict[str, Any]:
    """The report as plain data. Raises Invalid and ValueError for what does not fit."""
    check_columns(table, (str(question.variation),))
    names = values_of(table, str(question.variation), most=20)
    if question.control not in names:
        there = ", ".join(repr(name) for name in names) or "none"
        raise Invalid(
            f"No row has the variation {question.control!r}. The file has: {there}.",
            faults=(Fault("--control", f"{question.control!r} is not in the file"),),
        )
    if len(names) > 2:
        raise Invalid(
            f"--variation: a {question.setup} design compares two versions, not {len(names)}."
        )
    return assembled(
        table, question, _switchback if question.setup is Setup.SWITCHBACK else _cluster
    )


def _cluster(table: Any, question: Question, asked: Asked) -> Studied:
    arms, mixed, left_out = _groups_of(table, question, asked)
    control = list(arms.pop(str(question.control), {}).values())
    name, held = next(iter(arms.items()), ("the new version", {}))
    treatment = list(held.values())
    inference = INFERENCES[question.when.inference]
    pair: Pair = (
        cluster_randomised(
            control, treatment, scale=Scale.ABSOLUTE, level=question.level, inference=inference
        ),
        cluster_randomised(
            control, treatment, scale=Scale.RELATIVE, level=question.level, inference=inference
        ),
    )
    checks = [
        _split(question, {str(question.control): len(control), name: len(treatment)}, " groups"),
        _counted(len(treatment), len(control), "groups"),
        _mixed(mixed, "groups"),
        _likeness(control),
    ]
    return Studied(pair, tuple(checks), {"kind": "cluster"}, name, left_out)


def _groups_of(
    table: Any, question: Question, asked: Asked
) -> tuple[dict[str, dict[str, Summary]], int, int]:
    """Each version's groups, how many were seen in both, and the units left out."""
    if asked.ask.kind not in MEANS:
        raise ValueError(
            f"a {asked.ask.kind} cannot be compared between groups: take a mean or sum"
        )
    group = str(question.when.group)
    check_columns(table, (group,))
    values_of(table, group, most=MOST_GROUPS)
    if question.unit is None:
        table = table.mutate(**{ROW: ibis.row_number()})
    rows = summarise(
        table,
        unit=question.unit or ROW,
        variation=str(question.variation),
        metrics=[asked.column],
        segments=(group,),
    )
    inside = [(row.variation, row.segment[1], row) for row in rows if row.segment is not None]
    seen: dict[str, set[str]] = {}
    for variation, name, _ in inside:
        seen.setdefault(name, set()).add(variation)
    arms: dict[str, dict[str, Summary]] = {}
    for variation, name, row in inside:
        if len(seen[name]) == 1 and row.n:
            arms.setdefault(variation, {})[name] = summary_of(row)
    mixed = sum(len(held) > 1 for held in seen.values())
    return arms, mixed, sum(row.n_missing for *_, row in inside)


def _switchback(table: Any, question: Question, asked: Asked) -> Studied:
    if len(question.strata) > 1:
        raise Invalid("--stratify: a switchback design takes one stratum, such as the city.")
    found, mixed = periods(
        table,
        asked.column,
        time=str(question.when.time),
        variation=str(question.variation),
        control=str(question.control),
        stratum=question.strata[0] if question.strata else None,
        every=question.when.every,
    )
    inference = INFERENCES[question.when.inference]
    pair: Pair = switchback(found, level=question.level, inference=inference), NO_SHARE
    treated = sum(period.treated for period in found)
    counts = {str(question.control): len(found) - treated, "the other version": treated}
    checks = [
        _split(question, counts, " periods"),
        _counted(treated, len(found) - treated, "periods"),
        _mixed(mixed, "periods"),
        carryover(found),
    ]
    return Studied(pair, tuple(checks), {"kind": "switchback"}, _other(table, question))


def _other(table: Any, question: Question) -> str:
    names = values_of(table, str(question.variation), most=20)
    return next((name for name in names if name != question.control), "the new version")


def _split(question: Question, counts: Mapping[str, int], of: str) -> Check:
    equal = (
        replace(question, shares=None)
        if set(question.shares or counts) != set(counts)
        else question
    )
    return split_check(split_data(equal, dict(counts), of))


def _counted(treated: int, control: int, what: str) -> Check:
    check = enough_groups(treated, control)
    words = check.reason.replace("groups", what)
    return Check(what, check.state, words, needs=check.needs)


def _mixed(mixed: int, what: str) -> Check:
    if not mixed:
        return Check(f"mixed {what}", State.FINE, f"no {what} saw both versions")
    reason = f"{count(mixed)} {what} saw both versions and were left out"
    return Check(f"mixed {what}", State.WARNING, reason)


def _likeness(control: Sequence[Summary]) -> Check:
    found = intracluster_correlation(control)
    name = "likeness within groups"
    if isinstance(found, Undecided):
        return Check(name, State.UNKNOWN, found.reason, needs=found.needs)
    return Check(name, State.FINE, f"correlation within a group is {figures(found)}; allowed for")
