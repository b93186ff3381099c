"""Whether the file can be believed: the split, crossings, gaps, and the time before."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analysis.cohorts import Exposures
from analysis.compare import covariates_of
from analysis.effect import Undecided
from analysis.quality import Check, State, judged, pre_exposure_bias
from analysis.rows import Row
from analysis.srm import Split, by_group, srm_p_value
from analysis.summary import Summary
from analysis.survey import survey_response
from rollouts.errors import Fault, Invalid
from rollouts.reports.one_off.question import Asked, Question
from rollouts.reports.one_off.verdicts import BROKEN_SPLIT
from rollouts.words import count, percent

TOLERATED_CROSSINGS = 0.01
SPLIT = "SRM"


def configured_shares(question: Question, names: Sequence[str]) -> list[float]:
    """The configured share of each variation, summing to 1. Raises Invalid for other names."""
    held = question.shares or dict.fromkeys(names, 1 / max(len(names), 1))
    if set(held) != set(names):
        problem = f"must name each variation of the file: {', '.join(names)}"
        raise Invalid(f"--shares {problem}.", faults=(Fault("--shares", problem),))
    total = sum(held.values())
    return [held[name] / total for name in names]


def split_data(question: Question, counts: dict[str, int], of: str = "") -> dict[str, Any]:
    """The split check, as a state with its words."""
    names = sorted(counts)
    shares = configured_shares(question, names)
    held = [counts[name] for name in names]
    text = " to ".join(f"{count(n)} {name}" for name, n in zip(names, held, strict=True)) + of
    if len(names) < 2:
        return {"state": "unknown", "p_value": None, "text": f"{text}: only one variation"}
    p_value = srm_p_value(held, shares)
    if isinstance(p_value, Undecided):
        return {"state": "unknown", "p_value": None, "text": f"{text}: {p_value.reason}"}
    state = "broken" if p_value < BROKEN_SPLIT else "ok"
    shown = "p < 0.001" if p_value < BROKEN_SPLIT else f"p = {p_value:.2g}"
    return {"state": state, "p_value": p_value, "text": f"{text}, {shown}"}


def split_check(split: dict[str, Any]) -> Check:
    """The same as a check among others."""
    p_value = split["p_value"]
    found = Undecided(split["text"], needs="more customers") if p_value is None else p_value
    return judged(
        SPLIT,
        found,
        alpha=BROKEN_SPLIT,
        broken=f"{split['text']}: the split is not what was set",
        fine=split["text"],
    )


def checks_of(
    question: Question, seen: Exposures, split: dict[str, Any], rows: Sequence[Row]
) -> list[Check]:
    """Every check that a file of customers allows."""
    whole = [row for row in rows if row.segment is None]
    held = [split_check(split), _crossings(seen)]
    held += [check for asked in question.metrics if (check := _gaps(asked, seen, whole))]
    held += _segments(question, rows)
    if question.covariates:
        held.append(_before(question, whole))
    return held


def _crossings(seen: Exposures) -> Check:
    total = sum(seen.counts.values()) + seen.crossed
    if not total:
        return Check("crossings", State.UNKNOWN, "no customers", needs="a first exposure")
    share = seen.crossed / total
    words = f"{count(seen.crossed)} of {count(total)} were seen in more than one version"
    if share <= TOLERATED_CROSSINGS:
        return Check("crossings", State.FINE, words)
    reason = f"{words} ({percent(share)}) and left out: if the change caused it, effects are biased"
    return Check("crossings", State.WARNING, reason)


def _gaps(asked: Asked, seen: Exposures, whole: Sequence[Row]) -> Check | None:
    """Whether the versions differ in how many have a usable value; None without any gap."""
    rows = {row.variation: row for row in whole if row.metric == asked.name}
    if len(rows) < 2 or not any(row.n_missing for row in rows.values()):
        return None
    names = sorted(rows)
    found = survey_response(
        [rows[name].n + rows[name].n_missing for name in names], [rows[name].n for name in names]
    )
    said = found.reason if found.state is not State.FINE else "as often missing in each version"
    return Check(f"gaps in {asked.name}", found.state, said, found.p_value, found.needs)


def _segments(question: Question, rows: Sequence[Row]) -> list[Check]:
    """The split within each value of each segment, corrected for looking at all of them."""
    groups: dict[str, dict[str, int]] = {}
    first = question.metrics[0].name
    for row in rows:
        if row.metric == first and row.segment and row.segment[0] in question.segments:
            name = f"{row.segment[0]} = {row.segment[1]}"
            groups.setdefault(name, {})[row.variation] = row.n + row.n_missing
    names = sorted({row.variation for row in rows})
    if not groups or len(names) < 2:
        return []
    shares = tuple(configured_shares(question, names))
    splits = {
        group: Split(tuple(held.get(name, 0) for name in names), shares)
        for group, held in groups.items()
    }
    found = {name: p for name, p in by_group(splits).items() if isinstance(p, float)}
    if not found:
        return []
    worst = min(found, key=lambda name: found[name])
    return [
        judged(
            "split by segment",
            found[worst],
            alpha=BROKEN_SPLIT,
            broken=f"in {worst} the split is not what was set",
            fine=f"as set in each of {len(found)} segments",
        )
    ]


def _before(question: Question, whole: Sequence[Row]) -> Check:
    """Whether the versions differed in a covariate, which was fixed before anybody was exposed."""
    asked = next((a for a in question.metrics if a.column.covariates), None)
    if asked is None:
        reason = "no metric that is compared by its mean: covariates were not used"
        return Check("pre-exposure bias", State.UNKNOWN, reason, needs="a mean, sum or proportion")
    rows = {row.variation: row for row in whole if row.metric == asked.name}
    control = rows.pop(str(question.control), None)
    arms = [row for row in (control, *rows.values()) if row is not None]
    if control is None or len(arms) < 2:
        return Check("pre-exposure bias", State.UNKNOWN, "only one version", needs="two versions")
    before: dict[str, list[Summary]] = {name: [] for name in asked.column.covariates}
    for row in arms:
        for name, summary in zip(before, covariates_of(row), strict=True):
            before[name].append(summary)
    return pre_exposure_bias(before)
