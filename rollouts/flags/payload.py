"""GrowthBook's payload: what the SDKs are told about an environment's flags.

`build` renders everything once per version, in the richest form; `adapt` takes away or spells
out what one connection should not get. Both are pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

from rollouts.flags.inlining import Inliner
from rollouts.flags.model import (
    Arm,
    Condition,
    ExperimentRule,
    Flag,
    ForceRule,
    GateRule,
    GroupForm,
    GroupTest,
    Namespace,
    Options,
    PercentageRule,
    Prerequisite,
    RolloutRule,
    Rule,
    RuleBase,
    SavedGroup,
    Schedule,
)

Payload = dict[str, Any]
CARRIED_BY_FLAGS = ("contextualBandits",)  # flags' rules refer to them


def build(
    flags: Iterable[Flag],
    environment: str,
    groups: Iterable[SavedGroup],
    now: datetime,
    carried: Mapping[str, Any] | None = None,
) -> Payload:
    """The features and saved groups of an environment as they are at that moment.

    carried: sections that are passed on as they were imported.
    """
    kept = sorted((flag for flag in flags if not flag.is_archived), key=lambda flag: flag.key)
    features = {flag.key: feature(flag, environment, now) for flag in kept}
    said = {g.key: _group(g) for g in _by_key(groups)}
    return {"features": features, "savedGroups": said, **(carried or {})}


def feature(flag: Flag, environment: str, now: datetime) -> Payload:
    """One flag as SDKs read it. Switched off, it is its off value and nothing else."""
    state = flag.state(environment)
    metadata = {} if flag.metadata is None else {"metadata": flag.metadata}
    if not state.is_enabled:
        return {"defaultValue": flag.off_value, **metadata}
    rules = [
        _rule(rule, flag.key)
        for rule in state.rules
        if rule.is_enabled and holds_at(rule.schedule, now)
    ]
    shown = {"rules": rules} if rules else {}
    return {"defaultValue": flag.default_in(environment), **shown, **metadata}


def holds_at(schedule: Schedule | None, now: datetime) -> bool:
    """Whether a schedule lets its rule hold at that moment."""
    if schedule is None:
        return True
    is_started = schedule.starts_at is None or schedule.starts_at <= now
    return is_started and (schedule.ends_at is None or now < schedule.ends_at)


def next_change(flags: Iterable[Flag], environment: str, now: datetime) -> datetime | None:
    """The first moment after `now` at which a schedule changes the payload by itself."""
    moments = [
        moment
        for flag in flags
        for rule in flag.state(environment).rules
        if rule.schedule is not None
        for moment in (rule.schedule.starts_at, rule.schedule.ends_at)
        if moment is not None and moment > now
    ]
    return min(moments, default=None)


def _rule(rule: Rule, flag_key: str) -> Payload:
    base = _base(rule)
    if isinstance(rule, ForceRule):
        return {**base, "force": rule.value}
    if isinstance(rule, PercentageRule):
        return {**base, **_percentage(rule)}
    if isinstance(rule, ExperimentRule):
        return {**base, **_experiment(rule, flag_key)}
    if isinstance(rule, RolloutRule):
        return {**base, **_rollout(rule)}
    return base


def _base(rule: RuleBase) -> Payload:
    """The members every rule may have, in so far as this one has them."""
    gates = isinstance(rule, GateRule)
    members: Payload = {
        "id": rule.id,
        "condition": _condition(rule),
        "parentConditions": [_parent(item, gates) for item in rule.prerequisites],
        "filters": [_filter(namespace) for namespace in rule.namespaces],
    }
    return {name: member for name, member in members.items() if member}


def _condition(rule: RuleBase) -> Condition | None:
    parts = [rule.condition] if rule.condition else []
    parts += [part for test in rule.saved_groups for part in _group_test(test)]
    if len(parts) > 1:
        return {"$and": parts}
    return parts[0] if parts else None


def _group_test(test: GroupTest) -> list[Condition]:
    references: list[Condition] = [{"$savedGroup": {"id": key}} for key in test.groups]
    if test.match == "all":
        return references
    return [{"$or" if test.match == "any" else "$nor": references}]


def _parent(prerequisite: Prerequisite, gates: bool) -> Payload:
    gate = {"gate": True} if gates or prerequisite.is_gate else {}
    return {"id": prerequisite.flag, "condition": prerequisite.condition, **gate}


def _filter(namespace: Namespace) -> Payload:
    return {
        "seed": namespace.seed,
        "ranges": [list(part) for part in namespace.ranges],
        "hashVersion": namespace.hash_version,
        "attribute": namespace.unit,
    }


def _percentage(rule: PercentageRule) -> Payload:
    return {
        "force": rule.value,
        **_covered(rule),
        "hashAttribute": rule.unit,
        "hashVersion": rule.hash_version,
        **({"seed": rule.seed} if rule.seed else {}),
        **({"fallbackAttribute": rule.fallback_unit} if rule.fallback_unit else {}),
    }


def _covered(rule: PercentageRule) -> Payload:
    """The share as a range, which all SDKs read alike, and beside it as those read it that
    know no ranges: they would let everybody in."""
    if rule.span is not None:
        return {"range": list(rule.span)}
    if rule.includes_border:
        return {"coverage": rule.share}
    return {"coverage": rule.share, "range": [0, rule.share]}


def _experiment(rule: ExperimentRule, flag_key: str) -> Payload:
    key = rule.key or flag_key
    optional: Payload = {
        "name": rule.name,
        "namespace": None if rule.layer is None else list(rule.layer),
        "fallbackAttribute": rule.fallback_unit,
        "bucketVersion": rule.bucket_version,
        "minBucketVersion": rule.min_bucket_version,
        "disableStickyBucketing": not rule.is_sticky,
        "contextualBanditRef": rule.bandit,
    }
    return {
        "key": key,
        "seed": rule.seed or key,
        "hashAttribute": rule.unit,
        "hashVersion": rule.hash_version,
        **_split(rule.variations, rule.coverage, rule.is_contextual),
        **({} if rule.is_keyed else _meta_without_keys(rule.variations)),
        **({} if rule.ranges is None else {"ranges": [list(part) for part in rule.ranges]}),
        "phase": rule.phase,
        **{name: member for name, member in optional.items() if member},
    }


def _rollout(rule: RolloutRule) -> Payload:
    """An experiment seeded by the rollout's key, or the decided variation for everybody."""
    if rule.decided is not None:
        return {"force": rule.arm(rule.decided).value}
    return {
        "key": rule.rollout,
        "seed": rule.rollout,
        "hashAttribute": rule.unit,
        "hashVersion": 2,
        **_split(rule.variations, rule.coverage),
        "phase": rule.phase,
    }


def _split(arms: Sequence[Arm], coverage: float, is_contextual: bool = False) -> Payload:
    return {
        "contextualVariations" if is_contextual else "variations": [arm.value for arm in arms],
        "weights": [arm.share for arm in arms],
        "coverage": coverage,
        "meta": [_meta(arm) for arm in arms],
    }


def _meta_without_keys(arms: Sequence[Arm]) -> Payload:
    return {"meta": [_without(_meta(arm), "key") for arm in arms]}


def _meta(arm: Arm) -> Payload:
    name = {"name": arm.name} if arm.name else {}
    return {"key": arm.key, **name, **({"passthrough": True} if arm.is_passthrough else {})}


def _by_key(groups: Iterable[SavedGroup]) -> list[SavedGroup]:
    return sorted(groups, key=lambda group: group.key)


def _group(group: SavedGroup) -> Payload:
    if group.is_list:
        return {"type": "list", "attributeKey": group.attribute, "values": list(group.values)}
    return {"type": "condition", "condition": group.condition}


def adapt(payload: Payload, options: Options) -> Payload:
    """A connection's own payload: groups in its form, and nothing it should not be told."""
    inliner = Inliner(payload["savedGroups"])
    is_inline = options.groups is GroupForm.INLINE
    features = {
        key: _adapt_feature(item, options, inliner if is_inline else None)
        for key, item in payload["features"].items()
    }
    carried = _carried(payload, options)
    if is_inline:
        return {"features": features, **inliner.spell_out_carried(carried)}
    return {"features": features, "savedGroups": inliner.needed_by(features, carried), **carried}


def _carried(payload: Payload, options: Options) -> Payload:
    names = ("experiments", "contextualBandits") if options.with_experiments else CARRIED_BY_FLAGS
    return {name: payload[name] for name in names if name in payload}


def _adapt_feature(item: Payload, options: Options, inliner: Inliner | None) -> Payload:
    if "metadata" in item and not options.with_metadata:
        item = _without(item, "metadata")
    if "rules" not in item:
        return item
    return {**item, "rules": [_adapt_rule(rule, options, inliner) for rule in item["rules"]]}


def _adapt_rule(rule: Payload, options: Options, inliner: Inliner | None) -> Payload:
    hidden = {"id"} if not options.with_rule_ids else set()
    hidden |= {"name"} if not options.with_names else set()
    shown = {name: member for name, member in rule.items() if name not in hidden}
    if "meta" in shown and not options.with_names:
        shown["meta"] = [_without(meta, "name") for meta in shown["meta"]]
    if inliner is not None:
        for name in ("condition", "parentConditions"):
            if name in shown:
                shown[name] = inliner.spell_out(shown[name])
    return shown


def _without(members: Mapping[str, Any], name: str) -> Payload:
    return {key: member for key, member in members.items() if key != name}
