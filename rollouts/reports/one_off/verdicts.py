"""What limits and goals make of the effects: findings, corrected p-values, one decision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Any

from analysis.compare import AdjustedPair, Pair
from analysis.cuped import Adjusted
from analysis.decision import MetricEvidence, Risks, Role, decide
from analysis.effect import Effect, Finding, Scale, Undecided
from analysis.multiplicity import benjamini_hochberg, holm
from analysis.noninferiority import finding, p_values
from analysis.rows import Row
from rollouts.errors import Invalid
from rollouts.reports.one_off.question import Asked, Correction, Limit, Question
from rollouts.reports.one_off.shown import effect_data, undecided_data
from rollouts.words import count

BROKEN_SPLIT = 0.001
FAR = 1_000_000_000  # more customers than this settle nothing in practice


@dataclass(frozen=True, slots=True)
class Compared:
    """One metric of one variation against control. adjusted: where covariates were declared."""

    asked: Asked
    variation: str
    plain: Pair
    adjusted: AdjustedPair | None = None
    control: Row | None = None
    treatment: Row | None = None

    def judged(self, scale: Scale) -> Effect | Undecided:
        """The effect that decides: the adjusted one wherever there is one."""
        place = 0 if scale is Scale.ABSOLUTE else 1
        if self.adjusted is not None and isinstance(found := self.adjusted[place], Adjusted):
            return found.effect
        return self.plain[place]

    @property
    def either(self) -> Effect | Undecided:
        """The judged effect on the scale that has one, the metric's own unit first."""
        absolute = self.judged(Scale.ABSOLUTE)
        return absolute if isinstance(absolute, Effect) else self.judged(Scale.RELATIVE)

    @property
    def is_adjusted(self) -> bool:
        """Whether the adjusted effect decides."""
        held = self.adjusted or ()
        return any(isinstance(found, Adjusted) for found in held)


def finding_data(compared: Compared, limit: Limit) -> dict[str, Any]:
    """Harm shown, safe within the limit, or not yet known, with the reason."""
    effect = compared.judged(limit.scale)
    if isinstance(effect, Undecided):
        needs = effect.needs or "a limit on the other scale"
        return _finding(Finding.UNKNOWN, effect.reason, needs, None, None)
    state = finding(effect, limit.margin, higher_is_better=limit.higher_is_better)
    harm, safe = p_values(effect, limit.margin, higher_is_better=limit.higher_is_better)
    words = {
        Finding.HARM: f"the whole interval is worse than the limit of {limit.text}",
        Finding.SAFE: f"the whole interval is better than the limit of {limit.text}",
        Finding.UNKNOWN: f"the limit of {limit.text} lies inside the interval",
    }
    needs = _needs(effect, limit) if state is Finding.UNKNOWN else ""
    return _finding(state, words[state], needs, harm, safe)


def _finding(
    state: Finding, reason: str, needs: str, harm: float | None, safe: float | None
) -> dict[str, Any]:
    return {
        "state": state.value,
        "reason": reason,
        "needs": needs,
        "p_harm": harm,
        "p_safe": safe,
        "p_harm_corrected": None,
    }


def _needs(effect: Effect, limit: Limit) -> str:
    """How many more customers would move the limit out of the interval if the estimate held."""
    bound = -limit.margin if limit.higher_is_better else limit.margin
    distance = abs(bound - effect.estimate)
    reach = (
        effect.high - effect.estimate if bound > effect.estimate else effect.estimate - effect.low
    )
    units = effect.n_control + effect.n_treatment
    if distance <= 0 or units * (reach / distance) ** 2 > FAR:
        return "more customers than can be had: the effect is about as large as the limit"
    more = ceil(units * ((reach / distance) ** 2 - 1))
    return f"about {count(max(more, 1))} more customers, if the effect stays as it is"


def corrected(question: Question, effects: Sequence[dict[str, Any]]) -> None:
    """Write corrected p-values into the effects' data, over all metrics and variations."""
    known = [
        (item, held["p_value"])
        for item in effects
        if (held := deciding(item)) is not None and held["p_value"] is not None
    ]
    _write(known, question.correction, "p_value_corrected")
    harms = [
        (item["finding"], item["finding"]["p_harm"])
        for item in effects
        if item.get("finding") and item["finding"]["p_harm"] is not None
    ]
    _write(harms, question.correction, "p_harm_corrected")


def deciding(item: dict[str, Any]) -> dict[str, Any] | None:
    """The effect of a row that decides, as data: adjusted before plain, absolute before relative."""
    for source in (item.get("adjusted"), item):
        if source:
            held: dict[str, Any] | None = source["absolute"] or source["relative"]
            if held:
                return held
    return None


def _write(
    known: Sequence[tuple[dict[str, Any], float]], correction: Correction, name: str
) -> None:
    if not known or correction is Correction.NONE:
        return
    correct = holm if correction is Correction.HOLM else benjamini_hochberg
    for (item, _), p_value in zip(known, correct([p for _, p in known]), strict=True):
        item[name] = p_value


def decision_data(
    question: Question, variation: str, compared: Sequence[Compared], quality: dict[str, Any]
) -> dict[str, Any] | None:
    """What the risk-aware rule says of one variation; None without a limit and without a goal.

    quality: p-values (or Undecided) of the tests that may call the comparison broken.
    """
    evidence = [e for item in compared for e in _evidence(question, item)]
    evidence += [MetricEvidence(name, Role.QUALITY, broken=p) for name, p in quality.items()]
    numbers = {role: sum(e.role is role for e in evidence) for role in Role}
    if not numbers[Role.SUCCESS] + numbers[Role.GUARDRAIL]:
        return None
    try:
        risks = Risks(
            n_success=numbers[Role.SUCCESS],
            n_guardrail=numbers[Role.GUARDRAIL],
            n_deterioration=numbers[Role.DETERIORATION],
            n_quality=numbers[Role.QUALITY],
            alpha=question.alpha,
            beta=1 - question.power,
            alpha_quality=BROKEN_SPLIT * max(numbers[Role.QUALITY], 1),
        )
    except ValueError as wrong:
        raise Invalid(f"--power or --alpha does not fit the decision: {wrong}.") from None
    found = decide(evidence, risks, complete=True)
    return {
        "variation": variation,
        "outcome": found.outcome.value,
        "reasons": list(found.reasons),
        "alpha": question.alpha,
    }


def _evidence(question: Question, item: Compared) -> list[MetricEvidence]:
    name, held = item.asked.name, []
    if name in question.goals:
        held.append(_of(item, Role.SUCCESS, item.either, question.goals[name]))
    if (limit := question.limits.get(name)) is not None:
        effect = item.judged(limit.scale)
        held.append(_of(item, Role.GUARDRAIL, effect, limit.higher_is_better, limit.margin))
    if name in question.watched and not held:
        held.append(_of(item, Role.DETERIORATION, item.either, question.watched[name]))
    return held


def _of(
    item: Compared, role: Role, effect: Effect | Undecided, good: bool, margin: float = 0.0
) -> MetricEvidence:
    return MetricEvidence.of_effect(
        item.asked.name, role, effect, higher_is_better=good, margin=margin
    )


def adjusted_data(
    item: Compared, asked: Sequence[str], names: Sequence[str], how: str
) -> dict[str, Any] | None:
    """The adjusted effects with what the adjustment gained, or why there are none.

    asked: columns as they were asked for. names: of each weight, an attribute having several.
    """
    if item.adjusted is None:
        return None
    absolute, relative = item.adjusted
    shown = [a.effect if isinstance(a, Adjusted) else a for a in item.adjusted]
    first = next((a for a in item.adjusted if isinstance(a, Adjusted)), None)
    why = next((a for a in (absolute, relative) if isinstance(a, Undecided)), None)
    return {
        "how": how,
        "columns": list(asked),
        "absolute": effect_data(shown[0]),
        "relative": effect_data(shown[1]),
        "gain": first.gain if first else None,
        "weights": dict(zip(names, first.weights, strict=True)) if first and first.weights else {},
        "undecided": undecided_data(why),
    }
