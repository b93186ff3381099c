"""An experiment rule compiled: who is let in, and to which variation."""

from collections.abc import Mapping
from typing import NamedTuple

from .bandits import contexts_of, leaf_definition
from .conditions import Check, Conditions
from .evaluation import Evaluation, Met
from .hashing import Range, bucket_ranges, bucketer, choose
from .members import BadRule, Rule, hash_text, hash_version, items, mapping, number, pair, text
from .parts import Gate, filters, namespace, prerequisites, unit_of
from .results import Arm, ExperimentResult, Exposure, Leaf
from .sticky import NOTHING, Sticky
from .values import text_of, truthy

_COPIED = (
    *("hashAttribute", "fallbackAttribute", "hashVersion", "seed", "filters", "namespace"),
    *("disableStickyBucketing", "bucketVersion", "minBucketVersion"),
    *("meta", "ranges", "name", "phase", "condition"),
)
EXPERIMENT_MEMBERS = (
    *_COPIED,
    *("key", "coverage", "weights", "variations", "contextualVariations", "contextualBanditRef"),
)


class Split(NamedTuple):
    """How units are divided, and the definition that is reported with it."""

    ranges: list[Range]
    definition: Rule
    leaf: Leaf | None = None


class Experiment:
    """One experiment, ready to be asked about any user."""

    def __init__(
        self,
        rule: Rule,
        feature: str | None,
        gates: list[Gate],
        conditions: Conditions,
        bandits: Mapping[str, object],
    ) -> None:
        self.key = text(rule, "key", feature or "")
        self.arms = arms_of(rule)
        self._gates = gates  # what a unit without a sticky variation must pass, in order
        self._feature = feature
        self._unit = unit_of(rule)
        self._attribute = text(rule, "hashAttribute", "id")
        self._bucket = bucketer(text(rule, "seed", self.key), hash_version(rule, 1))
        self._sticky = None if rule.get("disableStickyBucketing") else Sticky(rule, self.key)
        self._default, self._contexts = _splits(rule, self.key, self.arms, conditions, bandits)
        self._inactive = rule.get("active") is False or rule.get("status") == "draft"
        self._closed = rule.get("status") == "stopped"
        self._told_by_rule = "force" in rule
        self._index_by_rule = rule.get("force")

    def assign(self, evaluation: Evaluation) -> Exposure | None:
        """The variation of a user and its experiment; None for who is not let in."""
        if evaluation.steered:
            if not evaluation.user.enabled:
                return None
            if 0 <= evaluation.overrides.get(self.key, -1) < len(self.arms):
                return self._told(evaluation, evaluation.overrides[self.key])
            if self.key in evaluation.user.forced_variations:
                return self._told(evaluation, evaluation.user.forced_variations[self.key])
        unit = self._unit(evaluation)
        return self._by_hash(evaluation, unit) if unit and not self._inactive else None

    def _told(self, evaluation: Evaluation, index: object) -> Exposure | None:
        """A variation that was asked for: no exposure, for nothing was left to chance."""
        if type(index) is not int or not 0 <= index < len(self.arms):
            return None
        attribute = self._attribute_of(evaluation)
        value = evaluation.attributes.get(attribute)
        told = ExperimentResult(
            self.arms[index], self._feature, attribute, value if truthy(value) else "", False
        )
        return Exposure(self._default.definition, told)

    def _by_hash(self, evaluation: Evaluation, unit: str) -> Exposure | None:
        sticky = None if evaluation.sticky is None else self._sticky
        kept = sticky.kept(evaluation) if sticky else NOTHING
        if kept.position < 0:
            for gate in self._gates:
                if not gate(evaluation):
                    return None
        n = self._bucket(unit)
        if n is None or kept.blocked:
            return None
        split = self._split(evaluation) if self._contexts else self._default
        index = choose(n, split.ranges) if kept.position < 0 else kept.position
        if not 0 <= index < len(self.arms):
            return None
        if self._told_by_rule:
            return self._told(evaluation, self._index_by_rule)
        if evaluation.user.qa_mode or self._closed:
            return None
        attribute = self._attribute_of(evaluation)
        result = ExperimentResult(
            self.arms[index],
            self._feature,
            attribute,
            evaluation.attributes.get(attribute),
            True,
            n,
            kept.position >= 0,
            True,
            split.leaf,
        )
        if sticky:
            sticky.keep(evaluation, attribute, unit, result.arm.key)
        exposure = Exposure(split.definition, result)
        evaluation.exposures.append(exposure)
        return exposure

    def _attribute_of(self, evaluation: Evaluation) -> str:
        """The attribute that was hashed: the fallback if it had to stand in."""
        sticky = self._sticky
        if evaluation.sticky is None or sticky is None or not sticky.fallback:
            return self._attribute
        attributes = evaluation.attributes
        if hash_text(attributes.get(self._attribute)):
            return self._attribute
        return sticky.fallback if hash_text(attributes.get(sticky.fallback)) else self._attribute

    def _split(self, evaluation: Evaluation) -> Split:
        for check, split in self._contexts:
            if check(evaluation.attributes):
                return split
        return self._default


def arms_of(rule: Rule) -> list[Arm]:
    """The variations of a rule with their names, which may be missing."""
    values = rule.get("contextualVariations")
    values = rule.get("variations") if values is None else values
    if not isinstance(values, list) or len(values) < 2:
        raise BadRule("there must be at least two variations")
    named = items(rule, "meta", mapping) or []
    return [
        _arm(index, value, named[index] if index < len(named) else {})
        for index, value in enumerate(values)
    ]


def _arm(index: int, value: object, meta: Rule) -> Arm:
    key, name = meta.get("key"), meta.get("name")
    return Arm(
        index,
        text_of(key) if truthy(key) else str(index),
        value,
        text_of(name) if truthy(name) else "",
        truthy(meta.get("passthrough")),
    )


def targeted(rule: Rule, conditions: Conditions) -> list[Gate]:
    """The gates of a namespace and a condition."""
    condition = rule.get("condition")
    check = conditions.compile(condition) if condition else None
    gates = namespace(rule, unit_of(rule))
    return [*gates, lambda evaluation: check(evaluation.attributes)] if check else gates


def inline(definition: Rule, conditions: Conditions, bandits: Mapping[str, object]) -> Experiment:
    """An experiment that stands by itself, outside any flag."""
    met = prerequisites(definition, conditions)
    gates = [*filters(definition), *targeted(definition, conditions)]
    if met:
        gates.append(lambda evaluation: met(evaluation) is Met.YES)
    return Experiment(definition, None, gates, conditions, bandits)


def _splits(
    rule: Rule,
    key: str,
    arms: list[Arm],
    conditions: Conditions,
    bandits: Mapping[str, object],
) -> tuple[Split, list[tuple[Check, Split]]]:
    """The split of the rule itself, and those of a contextual bandit's contexts."""
    coverage, ranges = number(rule, "coverage"), items(rule, "ranges", pair)
    definition = _definition(rule, key, arms)

    def divided(weights: object) -> list[Range]:
        if ranges is not None:
            return ranges
        listed = weights if isinstance(weights, list) else None
        return bucket_ranges(len(arms), 1.0 if coverage is None else coverage, listed)

    contexts = contexts_of(rule, len(arms), bandits, conditions)
    return Split(divided(rule.get("weights")), definition), [
        (check, Split(divided(leaf.weights), {**definition, **leaf_definition(leaf)}, leaf))
        for check, leaf in contexts
    ]


def _definition(rule: Rule, key: str, arms: list[Arm]) -> Rule:
    """The experiment as SDKs report it."""
    copied = {name: rule[name] for name in _COPIED if rule.get(name) not in (None, "", False)}
    out: Rule = {"key": key, "variations": [arm.value for arm in arms]}
    if rule.get("coverage") is not None:
        out["coverage"] = rule["coverage"]
    if rule.get("weights"):
        out["weights"] = rule["weights"]
    return out | copied
