"""What an ended rollout did to a metric, read from its last snapshot, with an error for one look.

The snapshot's own intervals hold at every look and are wider than the error of one: combined as
if they were errors they would make history look surer of nothing than it is. So means are taken
anew from the snapshot's sums, stage by stage, and for other kinds the widening is taken back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from math import log1p
from typing import Any

from analysis.effect import Effect, Scale, Undecided, Validity
from analysis.estimate import Estimate
from analysis.sequence import error_behind
from analysis.stoploss import Stratum
from analysis.stratified import difference_of_means, ratio_of_means
from rollouts.metrics.model import Definition, Statistic

Body = Mapping[str, Any]

NO_RATIO = (Statistic.GRADE, Statistic.NPS)
USUAL_BAR = 1.96  # errors beyond which an effect counts as shown where a snapshot does not say
FARTHEST = 1e6
BROKEN = "its split was broken, so no effect can be believed"
NO_LOOK = "no look was taken"
WHICH = "which of its versions was shipped is not recorded"


@dataclass(frozen=True, slots=True)
class Moved:
    """What one version of one ended rollout did to one metric.

    estimate: None where `why_not` says why. bar: how many errors to the better side of zero its
    effect had to lie for the plan's own rule to let it stay; below zero for a guardrail with room.
    level: control's, per customer (a ratio's: per denominator). units: of both versions.
    """

    rollout: str
    name: str
    environment: str
    state: str
    arm: str
    arm_name: str
    metric: str
    definition: Definition
    snapshot: str
    ended_at: datetime
    is_shipped: bool
    role: str
    estimate: Estimate | None
    bar: float
    level: float | None
    units: int
    grade: str
    why_not: str

    @property
    def place(self) -> str:
        """What points at it in a list: no key holds a slash."""
        return f"{self.rollout}/{self.arm}"


def scale_of(definition: Definition) -> Scale:
    """In what effects of this metric are combined: per cent, where a percentage means something."""
    if definition.allow_negative or definition.statistic in NO_RATIO:
        return Scale.ABSOLUTE
    return Scale.RELATIVE


def moved_of(body: Body, definitions: Mapping[str, Definition]) -> Iterator[Moved]:
    """All that a last snapshot says. definitions: of its plan, by metric."""
    versions = [item for item in body["arms"] if item["metrics"]]
    for arm in versions:
        is_shipped, unclear = _shipped(body, arm["key"], len(versions))
        for metric in arm["metrics"]:
            if metric["key"] in definitions:
                definition = definitions[metric["key"]]
                yield _moved(body, arm, metric, definition, is_shipped, unclear)


def _shipped(body: Body, arm: str, n_versions: int) -> tuple[bool, str]:
    rollout = body["rollout"]
    if rollout["state"] != "shipped":
        return False, ""
    if "shipped" in rollout:
        return rollout["shipped"] == arm, ""
    return n_versions == 1, "" if n_versions == 1 else WHICH


def _moved(
    body: Body, arm: Body, metric: Body, definition: Definition, is_shipped: bool, unclear: str
) -> Moved:
    rollout, evidence = body["rollout"], body.get("evidence") or {}
    why_not = unclear or _unbelievable(body, evidence)
    found = Undecided(why_not) if why_not else estimate_of(body, metric, definition)
    known = None if isinstance(found, Undecided) else found
    return Moved(
        rollout=rollout["key"],
        name=rollout["name"],
        environment=rollout["environment"],
        state=rollout["state"],
        arm=arm["key"],
        arm_name=arm["name"],
        metric=metric["key"],
        definition=definition,
        snapshot=body["id"],
        ended_at=datetime.fromisoformat(rollout["ended_at"] or body["look"]["taken_at"]),
        is_shipped=is_shipped,
        role=metric["role"],
        estimate=known,
        bar=USUAL_BAR if known is None else bar_of(metric, known),
        level=metric["control"]["mean"],
        units=metric["control"]["n"] + metric["treatment"]["n"],
        grade=evidence.get("grade", ""),
        why_not=found.reason if isinstance(found, Undecided) else "",
    )


def _unbelievable(body: Body, evidence: Body) -> str:
    if body["srm"]["state"] == "broken":
        return BROKEN
    if evidence.get("grade") == "none":
        reasons = "; ".join(evidence.get("reasons", ()))
        return "its evidence is not to be used" + (f": {reasons}" if reasons else "")
    return ""


def estimate_of(body: Body, metric: Body, definition: Definition) -> Estimate | Undecided:
    """The effect with its standard error; relative ones as logarithms."""
    name, scale = body["rollout"]["key"], scale_of(definition)
    if definition.statistic is not Statistic.MEAN:
        return _taken_back(name, metric, scale, body["plan"].get("planned_units"))
    held = metric["strata"]
    if definition.aggregation.has_denominator and not all("nv0" in item for item in held):
        return Undecided("its snapshot keeps no scatter between customers")
    strata = [_stratum(item) for item in held]
    combine = ratio_of_means if scale is Scale.RELATIVE else difference_of_means
    return combine(name, strata)


def _stratum(item: Body) -> Stratum:
    names = ("n0", "s0", "q0", "n1", "s1", "q1", "nv0", "nv1", "m0", "m1")
    return Stratum(**{name: item[name] for name in names if name in item})


def _taken_back(name: str, metric: Body, scale: Scale, planned: int | None) -> Estimate | Undecided:
    held = metric[scale.value]
    if held is None or not planned or held.get("validity") != Validity.ANYTIME:
        said = metric["undecided"] or {}
        return Undecided(said.get("reason") or "its effect was not known at the end")
    effect = Effect(
        held["estimate"],
        held["low"],
        held["high"],
        scale,
        Validity.ANYTIME,
        held["level"],
        held.get("n_control", metric["control"]["n"]),
        held.get("n_treatment", metric["treatment"]["n"]),
        held["method"],
    )
    try:
        error = error_behind(effect, planned=planned)
        value = log1p(effect.estimate) if scale is Scale.RELATIVE else effect.estimate
        return Estimate(name, value, error, scale, effect.n_control, effect.n_treatment)
    except ValueError:  # its interval reaches -100 %, or has no width
        return Undecided("its effect is too uncertain to have a standard error")


def bar_of(metric: Body, found: Estimate) -> float:
    """Where the plan's own rule would have let it stay: its goal shown, or its guardrail safe."""
    held, sign = metric[found.scale.value], int(metric["sign"])
    try:
        ends = [_placed(float(held[end]), found.scale) for end in ("low", "estimate", "high")]
        low, middle, high = (-sign * end for end in ends)  # up is better from here on
        reach = middle - min(low, high)
        room = _room(metric, found.scale) if metric["role"] == "guardrail" else 0.0
    except (TypeError, ValueError, ZeroDivisionError):
        return USUAL_BAR
    return max(-FARTHEST, min((reach - room) / found.error, FARTHEST))


def _placed(value: float, scale: Scale) -> float:
    return log1p(value) if scale is Scale.RELATIVE else value


def _room(metric: Body, scale: Scale) -> float:
    """How much worse the limit lets it be, on the estimate's scale, 0 or more."""
    limit, level = float(metric["limit"]), float(metric["control"]["mean"])
    is_same = metric["limit_scale"] == scale.value
    if scale is Scale.ABSOLUTE:
        return limit if is_same else limit * abs(level)
    share = limit if is_same else limit / level
    return log1p(share) if int(metric["sign"]) > 0 else -log1p(-share)
