"""One grade for the evidence of a look, with every reason that led to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from analysis.effect import Undecided
from analysis.feeds import silent_arm
from analysis.quality import (
    Check,
    Design,
    State,
    crossings,
    evidence_grade,
    judged,
    pre_exposure_bias,
)
from analysis.srm import srm_p_value
from analysis.summary import PairSummary
from rollouts.metrics.model import Aggregation
from rollouts.results.split import always_p_value
from rollouts.results.surveys import response_check
from rollouts.results.work import Measuring
from rollouts.tolerances.model import Method
from rollouts.words import count, percent

FALSE_ALARM = 0.001  # of each check, over all looks where it can be asked so
MUCH = 0.01  # share of exposures lost or unproven from which it is worth a remark

STATES = {
    State.FINE: "ok",
    State.WARNING: "warn",
    State.BROKEN: "broken",
    State.UNKNOWN: "unknown",
}


@dataclass(frozen=True, slots=True)
class Seen:
    """What the checks look at beside the metrics. Sequences are by variation, control included."""

    units: Sequence[int]  # uncrossed
    shares: Sequence[float]  # as the plan set them, summing to 1
    crossed: Sequence[int]  # by the variation seen first
    refused: int
    untrusted: int  # customers known only by keys that browsers hold
    plan_versions: int = 1
    feeds: Mapping[str, Check] = field(default_factory=dict)  # by metric, where history suffices


def checks_of(work: Measuring, seen: Seen) -> dict[str, Check]:
    """Everything that was looked at, by the key of its line under "can we believe it"."""
    arms = list(range(len(seen.units)))
    found = {
        "split": _split(seen),
        "crossed": _crossings(seen),
        "exposures": _refused(seen),
        "untrusted": _untrusted(seen),
    }
    if seen.plan_versions > 1:
        found["plan"] = _replanned(seen.plan_versions)
    for key, metric in work.metrics.items():
        if key in work.last_event_at:
            found[f"silent:{key}"] = _silent(work, key, arms)
        elif key not in seen.feeds:
            name = f"feed of {metric.name}"
            reason = "no event has arrived since the start"
            found[f"feed:{key}"] = Check(name, State.UNKNOWN, reason, needs="a first event")
        if metric.definition.pre_period is not None:
            found[f"before:{key}"] = _before(work, key, arms)
        if metric.definition.survey is not None:
            found[f"response:{key}"] = response_check(work, key, FALSE_ALARM)
        if key in seen.feeds:
            found[f"feed:{key}"] = _of_metric(work, key, seen.feeds[key])
    return found


def test_checks(arms: Sequence[Mapping[str, Any]]) -> dict[str, Check]:
    """Guardrails that the plan wants judged exactly: whether they are."""
    found = {}
    for arm in arms:
        for metric in arm["metrics"]:
            test = metric["test"]
            if test is None or test["asked"] != Method.EXACT:
                continue
            name = f"exact test of {metric['name']}"
            if not test["instead"]:
                check = Check(name, State.FINE, "what it takes for granted was not refuted")
            else:
                reason = f"{test['instead']}; the share test judges in its place"
                check = Check(name, State.WARNING, reason)
            found[f"test:{arm['key']}:{metric['key']}"] = check
    return found


def evidence_shown(checks: Mapping[str, Check]) -> dict[str, Any]:
    """The grade (strong, fair, weak, none), its reasons, and each check."""
    graded = evidence_grade(Design.RANDOMISED, list(checks.values()))
    return {
        "grade": graded.grade.value,
        "reasons": list(graded.reasons),
        "checks": [
            {
                "key": key,
                "name": check.name,
                "state": STATES[check.state],
                "reason": check.reason,
                "p_value": check.p_value,
                "needs": check.needs,
            }
            for key, check in checks.items()
        ],
    }


def _split(seen: Seen) -> Check:
    """Broken only by the test that may be asked at every look; the one for one look warns."""
    fine = "customers arrived as the plan set it"
    found = judged(
        "SRM",
        always_p_value(seen.units, seen.shares),
        alpha=FALSE_ALARM,
        broken="customers did not arrive as the plan set it",
        fine=fine,
    )
    once = srm_p_value(seen.units, seen.shares)
    if found.state is not State.FINE:
        return found
    if isinstance(once, Undecided):
        return Check("SRM", State.UNKNOWN, once.reason, needs=once.needs)
    if once < FALSE_ALARM:
        reason = "the split looks uneven at this look, though not beyond doubt"
        return Check("SRM", State.WARNING, reason, once)
    return found


def _crossings(seen: Seen) -> Check:
    held = [n + m for n, m in zip(seen.units, seen.crossed, strict=True)]
    return crossings(list(seen.crossed), held, alpha=FALSE_ALARM)


def _refused(seen: Seen) -> Check:
    share = _share(seen.refused, sum(seen.units) + seen.refused)
    state = State.WARNING if share > MUCH else State.FINE
    reason = f"{count(seen.refused)} exposures ({percent(share)}) could not be counted"
    return Check("exposures", state, reason if seen.refused else "every exposure was counted")


def _untrusted(seen: Seen) -> Check:
    share = _share(seen.untrusted, sum(seen.units))
    name = "trust"
    if share <= MUCH:
        return Check(name, State.FINE, "exposures came from servers that hold a secret key")
    reason = f"{percent(share)} of customers are known only by keys that any browser holds"
    return Check(name, State.WARNING, reason)


def _replanned(versions: int) -> Check:
    times = "once" if versions == 2 else f"{versions - 1} times"
    return Check("plan", State.WARNING, f"the plan was changed {times} after the start")


def _silent(work: Measuring, key: str, arms: Sequence[int]) -> Check:
    totals = [work.counted[key].total(arm) for arm in arms]
    is_any = work.metrics[key].definition.aggregation is Aggregation.ANY
    events = [round(arm.x_total) if is_any else _at_least(arm) for arm in totals]
    found = silent_arm(events, [arm.n for arm in totals], alpha=FALSE_ALARM)
    return _of_metric(work, key, found)


def _at_least(arm: PairSummary) -> int:
    """The fewest units that can have a value, given its sum and sum of squares."""
    return min(int(arm.x_total**2 / arm.xx), arm.n) if arm.xx > 0 else 0


def _before(work: Measuring, key: str, arms: Sequence[int]) -> Check:
    held = work.before(work.metrics[key])
    ordered = [work.control, *(arm for arm in arms if arm != work.control)]
    sums = [held.get(arm, PairSummary()).y for arm in ordered]
    name = work.metrics[key].name
    return _of_metric(work, key, pre_exposure_bias({name: sums}, alpha=FALSE_ALARM))


def _of_metric(work: Measuring, key: str, found: Check) -> Check:
    name = f"{found.name} of {work.metrics[key].name}"
    return Check(name, found.state, found.reason, found.p_value, found.needs)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
