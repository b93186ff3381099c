"""What is wrong with a flag, by name, before it is saved."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from math import isclose
from typing import Any, TypeVar

from rollouts.errors import Fault, Invalid
from rollouts.flags.condition_checks import condition_faults
from rollouts.flags.model import (
    KEY,
    KEY_MAX,
    KEY_PATTERN,
    Arm,
    Condition,
    ExperimentRule,
    Flag,
    FlagKind,
    ForceRule,
    GateRule,
    Namespace,
    PercentageRule,
    Range,
    RolloutRule,
    Rule,
    RuleBase,
    Schedule,
)
from rollouts.flags.value_checks import Values, json_problem

RULES_MAX = 100
ARMS_MAX = 50
TAGS_MAX = 50
NAME_MAX = 200
TEXT_MAX = 10_000
HASH_VERSIONS = (1, 2)

Faults = Iterator[Fault]
Item = TypeVar("Item")


def refuse(what: str, faults: Iterable[Fault]) -> None:
    """Raise Invalid if there is any fault."""
    found = tuple(faults)
    if found:
        first = found[0]
        raise Invalid(f"{what} cannot be saved: {first.where}: {first.problem}", faults=found)


def flag_faults(flag: Flag) -> Faults:
    """All that is wrong with a flag, its states and rules included."""
    yield from key_faults(flag.key, "key")
    yield from text_faults(flag.description, "description", TEXT_MAX)
    yield from text_faults(flag.owner, "owner", NAME_MAX)
    yield from _tag_faults(flag.tags)
    values = Values(flag.kind, flag.schema)
    yield from values.schema_faults()
    yield from values.faults(flag.default, "default")
    if flag.off is not None:
        yield from values.faults(flag.off.value, "off")
    problem = None if flag.metadata is None else json_problem(dict(flag.metadata))
    if problem is not None:
        yield Fault("metadata", problem)
    for environment in flag.states:
        yield from _state_faults(flag, environment, values)


def _state_faults(flag: Flag, environment: str, values: Values) -> Faults:
    state, where = flag.states[environment], f"environments.{environment}"
    if state.default is not None:
        yield from values.faults(state.default.value, f"{where}.default")
    if len(state.rules) > RULES_MAX:
        yield Fault(f"{where}.rules", f"at most {RULES_MAX} rules, not {len(state.rules)}")
    yield from _repeats([rule.id for rule in state.rules if rule.id], f"{where}.rules", "rule id")
    for index, rule in enumerate(state.rules):
        yield from rule_faults(rule, values, f"{where}.rules.{index}", flag.key)


def rule_faults(rule: Rule, values: Values, where: str, flag_key: str) -> Faults:
    """All that is wrong with one rule of the flag of that key."""
    yield from _common_faults(rule, where, flag_key)
    if isinstance(rule, ForceRule):
        yield from values.faults(rule.value, f"{where}.value")
    elif isinstance(rule, PercentageRule):
        yield from _percentage_faults(rule, values, where)
    elif isinstance(rule, ExperimentRule):
        yield from _experiment_faults(rule, values, where)
    elif isinstance(rule, RolloutRule):
        yield from rollout_faults(rule, values, where)
    else:
        yield from _gate_faults(rule, where)


def _common_faults(rule: RuleBase, where: str, flag_key: str) -> Faults:
    yield from text_faults(rule.id, f"{where}.id", NAME_MAX)
    yield from text_faults(rule.description, f"{where}.description", TEXT_MAX)
    if rule.condition is not None:
        yield from condition_faults(rule.condition, f"{where}.condition")
    for index, test in enumerate(rule.saved_groups):
        if not test.groups:
            yield Fault(f"{where}.saved_groups.{index}.groups", "names no saved group")
    for index, prerequisite in enumerate(rule.prerequisites):
        place = f"{where}.prerequisites.{index}"
        if prerequisite.flag == flag_key:
            yield Fault(f"{place}.flag", "a flag cannot be its own prerequisite")
        yield from condition_faults(prerequisite.condition, f"{place}.condition")
    if rule.schedule is not None:
        yield from _schedule_faults(rule.schedule, f"{where}.schedule")
    for index, namespace in enumerate(rule.namespaces):
        yield from _namespace_faults(namespace, f"{where}.namespaces.{index}")


def _schedule_faults(schedule: Schedule, where: str) -> Faults:
    starts, ends = schedule.starts_at, schedule.ends_at
    if starts is not None and ends is not None and ends <= starts:
        yield Fault(f"{where}.ends_at", "must be after starts_at")


def _namespace_faults(namespace: Namespace, where: str) -> Faults:
    yield from _hash_faults(namespace.unit, namespace.hash_version, where)
    yield from text_faults(namespace.seed, f"{where}.seed", NAME_MAX)
    yield from _range_faults(namespace.ranges, f"{where}.ranges")


def _percentage_faults(rule: PercentageRule, values: Values, where: str) -> Faults:
    yield from values.faults(rule.value, f"{where}.value")
    yield from _share_faults(rule.share, f"{where}.share")
    yield from _hash_faults(rule.unit, rule.hash_version, where)
    yield from text_faults(rule.seed, f"{where}.seed", NAME_MAX)
    if rule.span is not None:
        yield from _range_faults([rule.span], f"{where}.span")


def _experiment_faults(rule: ExperimentRule, values: Values, where: str) -> Faults:
    yield from arm_faults(rule.variations, values, f"{where}.variations", any_key=True)
    yield from _share_faults(rule.coverage, f"{where}.coverage")
    yield from _hash_faults(rule.unit, rule.hash_version, where)
    texts = ("key", "name", "seed", "phase", "bandit")
    for name, text in ((name, getattr(rule, name)) for name in texts):
        yield from text_faults(text, f"{where}.{name}", NAME_MAX)
    if rule.layer is not None:
        yield from text_faults(rule.layer[0], f"{where}.layer.0", NAME_MAX)
        yield from _range_faults([rule.layer[1:]], f"{where}.layer")
        if rule.namespaces:
            yield Fault(f"{where}.layer", "is ignored beside namespaces: take one of the two")
    if rule.ranges is not None:
        yield from _range_faults(rule.ranges, f"{where}.ranges")
        if len(rule.ranges) != len(rule.variations):
            yield Fault(f"{where}.ranges", "there must be one range per variation")


def _gate_faults(rule: GateRule, where: str) -> Faults:
    if not rule.prerequisites:
        yield Fault(f"{where}.prerequisites", "a gate needs at least one")
    if rule.condition is not None or rule.saved_groups or rule.namespaces:
        yield Fault(where, "a gate concerns everybody: it takes prerequisites only")


def rollout_faults(rule: RolloutRule, values: Values, where: str) -> Faults:
    """All that is wrong with a rollout's own part of its rule."""
    yield from key_faults(rule.rollout, f"{where}.rollout")
    yield from arm_faults(rule.variations, values, f"{where}.variations")
    yield from _share_faults(rule.coverage, f"{where}.coverage")
    yield from _hash_faults(rule.unit, 2, where)
    keys = [arm.key for arm in rule.variations]
    for name, key in (("control", rule.control), ("decided", rule.decided)):
        if key is not None and key not in keys:
            yield Fault(f"{where}.{name}", f"{key!r} is none of the variations {keys}")


def arm_faults(arms: Sequence[Arm], values: Values, where: str, *, any_key: bool = False) -> Faults:
    """What is wrong with the variations: their number, keys, values and shares.

    any_key: a key may be any text, as in GrowthBook.
    """
    if not 2 <= len(arms) <= ARMS_MAX:
        yield Fault(where, f"between 2 and {ARMS_MAX} variations are needed, not {len(arms)}")
    for index, arm in enumerate(arms):
        yield from (_text_needed if any_key else key_faults)(arm.key, f"{where}.{index}.key")
        yield from text_faults(arm.name, f"{where}.{index}.name", NAME_MAX)
        yield from values.faults(arm.value, f"{where}.{index}.value")
        yield from _share_faults(arm.share, f"{where}.{index}.share")
    yield from _repeats([arm.key for arm in arms], where, "key")
    total = sum(arm.share for arm in arms)
    if arms and not isclose(total, 1, abs_tol=1e-6):
        yield Fault(where, f"the shares must sum to 1, not {total:g}")


def check_variations(
    kind: FlagKind, schema: Any, variations: Sequence[Arm], condition: Condition | None
) -> Faults:
    """What is wrong with the variations and condition of a rollout that is to run on a flag."""
    yield from arm_faults(variations, Values(kind, schema), "variations")
    if condition is not None:
        yield from condition_faults(condition, "condition")


def key_faults(key: str, where: str) -> Faults:
    """Whether a text may be a key."""
    if not KEY.fullmatch(key):
        yield Fault(where, f"must match {KEY_PATTERN}, not {key[:50]!r}")
    elif len(key) > KEY_MAX:
        yield Fault(where, f"at most {KEY_MAX} characters, not {len(key)}")


def text_faults(text: str, where: str, longest: int) -> Faults:
    """Whether a text can be kept: not too long, and nothing a store would refuse."""
    if len(text) > longest:
        yield Fault(where, f"at most {longest:,} characters, not {len(text):,}")
    if "\0" in text:
        yield Fault(where, "must not hold a NUL character")


def _text_needed(text: str, where: str) -> Faults:
    if not text:
        yield Fault(where, "must not be empty")
    yield from text_faults(text, where, NAME_MAX)


def _tag_faults(tags: Sequence[str]) -> Faults:
    if len(tags) > TAGS_MAX:
        yield Fault("tags", f"at most {TAGS_MAX} tags, not {len(tags)}")
    for index, tag in enumerate(tags):
        yield from _text_needed(tag, f"tags.{index}")


def _hash_faults(unit: str, version: int, where: str) -> Faults:
    yield from _text_needed(unit, f"{where}.unit")
    if version not in HASH_VERSIONS:
        yield Fault(f"{where}.hash_version", f"must be 1 or 2, not {version}")


def _share_faults(share: float, where: str) -> Faults:
    if not 0 <= share <= 1:
        yield Fault(where, f"must be between 0 and 1, not {share:g}")


def _range_faults(ranges: Sequence[Range], where: str) -> Faults:
    for index, (start, end) in enumerate(ranges):
        if not 0 <= start <= end <= 1:
            yield Fault(f"{where}.{index}", f"must be 0 <= start <= end <= 1, not [{start}, {end}]")


def _repeats(keys: Sequence[str], where: str, what: str) -> Faults:
    seen: set[str] = set()
    for key in keys:
        if key in seen:
            yield Fault(where, f"the {what} {key!r} occurs twice")
        seen.add(key)
