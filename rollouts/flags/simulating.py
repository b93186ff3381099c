"""Who gets what, and why: one flag for one user, rule by rule.

The parts of a rule are asked one by one by the same compiled program that serves SDKs, each as a
flag of its own that says yes to whom the part lets pass.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from rollouts.errors import Fault, Invalid
from rollouts.flags import payload, store
from rollouts.flags.changes import get_flag
from rollouts.flags.environments import get_environment
from rollouts.flags.evaluation.evaluation import Evaluation
from rollouts.flags.evaluation.limits import attributes_problem
from rollouts.flags.evaluation.program import Program
from rollouts.flags.evaluation.results import Result, Source, User
from rollouts.flags.groups import list_groups
from rollouts.flags.growthbook_sections import BANDITS
from rollouts.flags.model import Flag, Rule

PROBE = "\0"  # begins the keys of flags that only ask: no real key has it
NO = "no"
YES = "yes"

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class RuleTold:
    """One rule, and whether it concerns the user."""

    id: str
    type: str
    description: str
    matches: bool
    decides: bool
    why: str

    def to_json(self) -> Json:
        """The rule as the API shows it."""
        return {name: getattr(self, name) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class Simulated:
    """What a flag is worth to a user, and how it came about."""

    value: Any
    source: str
    why: str
    variation: str | None
    rules: tuple[RuleTold, ...]

    def to_json(self) -> Json:
        """The answer as the API shows it."""
        return {
            "value": self.value,
            "source": self.source,
            "why": self.why,
            "variation": self.variation,
            "rules": [rule.to_json() for rule in self.rules],
        }


ARCHIVED = Simulated(None, "archived", "The flag is archived: no SDK is told of it.", None, ())


def simulate(
    session: Session, key: str, environment: str, attributes: Json, *, now: datetime
) -> Simulated:
    """What a user with these attributes gets, and why. Raises NotFound and Invalid."""
    return simulate_many(session, [get_flag(session, key)], environment, attributes, now=now)[0]


def simulate_many(
    session: Session,
    flags: Sequence[Flag],
    environment: str,
    attributes: Json,
    *,
    now: datetime,
) -> list[Simulated]:
    """What a user gets from each of these flags, and why. Raises NotFound and Invalid."""
    carried = get_environment(session, environment).carried
    problem = attributes_problem(attributes)
    if problem is not None:
        raise Invalid(problem, faults=(Fault("attributes", problem),))
    told = payload.build(store.list_live_flags(session), environment, list_groups(session), now)
    features = told["features"]
    probes = dict(
        probe for flag in flags if flag.key in features for probe in _probes(flag, features)
    )
    program = Program({**features, **probes}, told["savedGroups"], carried.get(BANDITS, {}))
    evaluation = program.start(User(attributes))
    return [
        _told(flag, environment, evaluation, now) if flag.key in features else ARCHIVED
        for flag in flags
    ]


def _told(flag: Flag, environment: str, evaluation: Evaluation, now: datetime) -> Simulated:
    result = evaluation.result(flag.key)
    state = flag.state(environment)
    rules = tuple(
        _rule_told(flag, rule, result, evaluation, state.is_enabled, now) for rule in state.rules
    )
    arm = result.experiment_result
    why = _why(result, rules, state.is_enabled)
    return Simulated(result.value, result.source.value, why, arm.key if arm else None, rules)


def _why(result: Result, rules: tuple[RuleTold, ...], is_enabled: bool) -> str:
    if not is_enabled:
        return "The flag is switched off here: everybody gets its off value."
    for number, rule in enumerate(rules, 1):
        if rule.decides:
            return f"Rule {number} decides: {rule.why}"
    if result.source is Source.CYCLIC_PREREQUISITE:
        return "Its prerequisites go round in a circle."
    return "No rule concerns this user: the default holds."


# The parts of a rule as flags that only ask


def _probes(flag: Flag, features: Json) -> Iterator[tuple[str, Json]]:
    for rule in features[flag.key].get("rules", ()):
        own = {"seed": flag.key, **rule} if "force" in rule else rule
        for part in ("condition", "parentConditions", "filters", "namespace"):
            if rule.get(part):
                yield _name(flag.key, rule["id"], part), _asking(_part(rule, part))
        share = {
            name: own[name]
            for name in ("coverage", "range", "seed", "hashAttribute", "hashVersion")
            if name in own
        }
        if "force" in rule and ("coverage" in rule or "range" in rule):
            yield _name(flag.key, rule["id"], "share"), _asking(share)
        yield _name(flag.key, rule["id"], "whole"), {"defaultValue": NO, "rules": [own]}


def _part(rule: Json, part: str) -> Json:
    """One limit of a rule; the old form of a namespace only means something to a split."""
    if part != "namespace":
        return {part: rule[part]}
    everybody = {"variations": [YES, YES], "coverage": 1, "hashVersion": rule.get("hashVersion", 1)}
    return {**everybody, "namespace": rule[part], "hashAttribute": rule.get("hashAttribute", "id")}


def _asking(rule: Json) -> Json:
    forced = {} if "variations" in rule else {"force": YES}
    return {"defaultValue": NO, "rules": [{**rule, **forced}]}


def _name(flag_key: str, rule_id: str, part: str) -> str:
    return PROBE + PROBE.join((part, flag_key, rule_id))


# What they answered

_PARTS = (
    ("parentConditions", "a prerequisite does not hold"),
    ("filters", "outside its part of the traffic"),
    ("namespace", "outside its part of the traffic"),
    ("condition", "the condition does not hold"),
    ("share", "outside its share of units"),
)


def _rule_told(
    flag: Flag, rule: Rule, result: Result, evaluation: Evaluation, is_enabled: bool, now: datetime
) -> RuleTold:
    reason = _not_served(rule, is_enabled, now)
    if reason is not None:
        return RuleTold(rule.id, rule.type, rule.description, False, False, reason)
    whole = evaluation.result(_name(flag.key, rule.id, "whole"))
    gated = whole.source in (Source.PREREQUISITE, Source.CYCLIC_PREREQUISITE)
    matches = gated or whole.source in (Source.FORCE, Source.EXPERIMENT)
    decides = _decides(rule, whole, result)
    why = _yes(rule, whole) if matches else _no(flag, rule, evaluation)
    return RuleTold(rule.id, rule.type, rule.description, matches, decides, why)


def _not_served(rule: Rule, is_enabled: bool, now: datetime) -> str | None:
    if not is_enabled:
        return "the flag is switched off here"
    if not rule.is_enabled:
        return "the rule is switched off"
    if not payload.holds_at(rule.schedule, now):
        return "not now, says its schedule"
    return None


def _decides(rule: Rule, whole: Result, result: Result) -> bool:
    """Whether this is the rule that gave the flag its value."""
    if result.source in (Source.FORCE, Source.EXPERIMENT):
        return result.rule_id == rule.id
    return result.source is whole.source is Source.PREREQUISITE


def _yes(rule: Rule, whole: Result) -> str:
    if whole.source is Source.PREREQUISITE:
        return "a prerequisite that gates the whole flag does not hold"
    if whole.source is Source.CYCLIC_PREREQUISITE:
        return "its prerequisites go round in a circle"
    if whole.experiment_result is not None:
        found = whole.experiment_result
        return (
            f"{found.hash_attribute} {found.hash_value!r} falls at {found.bucket:.4f},"
            f" in variation {found.key!r}"
        )
    return "inside its share of units" if rule.type == "percentage" else "everything it asks holds"


def _no(flag: Flag, rule: Rule, evaluation: Evaluation) -> str:
    """The first part that does not let the user pass, in the order SDKs ask."""
    for part, reason in _PARTS:
        name = _name(flag.key, rule.id, part)
        if name in evaluation.features and evaluation.result(name).value != YES:
            return reason
    unit = getattr(rule, "unit", None)
    if unit is not None and evaluation.attributes.get(unit) in (None, "", 0, False):
        return f"the user has no {unit}"
    if rule.type == "gate":
        return "its prerequisites hold: the rules after it decide"
    return "outside its share of units, or in an arm that the next rules decide for"
