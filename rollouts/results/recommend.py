"""What one rule over all metrics recommends. Shown, never acted upon: people ship.

Ship where a goal is shown to be better, every guardrail within its limit, nothing worse, and the
split is sound. Every number is valid at every look, so there is no need to wait for the end to
recommend; only "not shown" is said at the end alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analysis.decision import Decision, MetricEvidence, Outcome, Risks, Role, decide
from analysis.effect import Effect, Scale, Undecided, Validity
from analysis.quality import Check

SPLIT = "the split"
NOTHING = Decision(Outcome.UNDECIDED, ("the plan names neither a goal nor a guardrail",))
ORDER = (Outcome.SHIP, Outcome.UNDECIDED, Outcome.NOT_SHOWN, Outcome.HARM, Outcome.INVALID)


def recommendation(body: Mapping[str, Any], split: Check, *, complete: bool) -> dict[str, Any]:
    """The rule's outcome and reasons: over all arms, and for each.

    complete: whether the plan's end is reached. Of several arms the best outcome is told, with
    the arm it belongs to: ship, undecided, not shown, harm, invalid.
    """
    alpha = body["plan"]["alpha"]
    held = [(arm, _of_arm(arm, split, alpha, complete)) for arm in body["arms"]]
    best, found = min(held, key=lambda pair: ORDER.index(pair[1].outcome))
    return {
        "outcome": found.outcome.value,
        "arm": best["key"],
        "reasons": list(found.reasons),
        "complete": complete,
        "arms": [
            {"key": arm["key"], "outcome": item.outcome.value, "reasons": list(item.reasons)}
            for arm, item in held
        ],
    }


def _of_arm(arm: Mapping[str, Any], split: Check, alpha: float, complete: bool) -> Decision:
    metrics = arm["metrics"]
    if not metrics:
        return NOTHING
    evidence = [_evidence(item) for item in metrics]
    broken = split.p_value if split.p_value is not None else Undecided(split.reason, split.needs)
    evidence.append(MetricEvidence(SPLIT, Role.QUALITY, broken=broken))
    risks = Risks(
        n_success=sum(item["role"] == "goal" for item in metrics),
        n_guardrail=sum(item["role"] == "guardrail" for item in metrics),
        n_quality=1,
        alpha=alpha,
    )
    found = decide(evidence, risks, complete=True)
    if found.outcome is Outcome.SHIP:
        return _as_strict_as_the_guard(metrics, found)
    if found.outcome is Outcome.NOT_SHOWN and not complete:
        return Decision(Outcome.UNDECIDED, found.reasons)
    return found


def _as_strict_as_the_guard(metrics: list[dict[str, Any]], found: Decision) -> Decision:
    """The rule divides no alpha among guardrails; the plan does, and the plan was promised."""
    open_ones = [
        f"{item['name']} was not shown to stay within its tolerance"
        for item in metrics
        if item["role"] == "guardrail" and item["finding"] != "safe"
    ]
    return Decision(Outcome.UNDECIDED, tuple(open_ones)) if open_ones else found


def _evidence(metric: Mapping[str, Any]) -> MetricEvidence:
    is_goal = metric["role"] == "goal"
    name = metric["name"]
    if metric["finding"] == "nodata":
        missing = Undecided("there are no data", metric["needs"])
        role = Role.SUCCESS if is_goal else Role.GUARDRAIL
        return MetricEvidence(name, role, better=missing, not_worse=missing, worse=missing)
    return MetricEvidence.of_effect(
        name,
        Role.SUCCESS if is_goal else Role.GUARDRAIL,
        _effect(metric),
        higher_is_better=metric["direction"] == "up",
        margin=0.0 if is_goal else metric["limit"],
    )


def _effect(metric: Mapping[str, Any]) -> Effect | Undecided:
    """The effect on the scale the metric is judged on."""
    scales = [metric["limit_scale"]] if metric["limit_scale"] else ["relative", "absolute"]
    for scale in scales:
        held = metric[scale]
        if held is not None:
            return Effect(
                estimate=held["estimate"],
                low=held["low"],
                high=held["high"],
                scale=Scale(scale),
                validity=Validity(held["validity"]),
                level=held["level"],
                n_control=metric["control"]["n"],
                n_treatment=metric["treatment"]["n"],
                method=held["method"],
            )
    why = metric["undecided"] or {"reason": metric["reason"], "needs": metric["needs"]}
    return Undecided(why["reason"], why["needs"])
