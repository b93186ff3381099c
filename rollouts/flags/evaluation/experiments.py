"""An experiment rule compiled: who is let in, and to which variation."""

from typing import NamedTuple

from rollouts.flags.evaluation.bandits import contexts_of, leaf_definition
from rollouts.flags.evaluation.conditions import Check
from rollouts.flags.evaluation.evaluation import Evaluation, Met
from rollouts.flags.evaluation.hashing import Range, bucket_ranges, choose
from rollouts.flags.evaluation.members import BadRule, Rule, items, mapping, number, pair, text
from rollouts.flags.evaluation.parts import Gate, World, filters, hashed, namespace, prerequisites
from rollouts.flags.evaluation.results import Arm, ExperimentResult, Exposure, Leaf
from rollouts.flags.evaluation.sticky import Sticky
from rollouts.flags.evaluation.values import text_of, truthy

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

    def __init__(self, rule: Rule, feature: str | None, gates: list[Gate], world: World) -> None:
        self.key = text(rule, "key", feature or "")
        self.arms = arms_of(rule)
        self._gates = gates  # what a unit without a sticky variation must pass, in order
        self._feature = feature
        self._attribute = text(rule, "hashAttribute", "id")
        self._hash = hashed(rule, text(rule, "seed", self.key), world.hashes)
        self._sticky = None if rule.get("disableStickyBucketing") else Sticky(rule, self.key)
        self._default, self._contexts = _splits(rule, self.key, self.arms, world)
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
        if self._inactive:
            return None
        if evaluation.sticky is not None and self._sticky is not None:
            return self._kept_or_by_hash(evaluation, self._sticky)
        return self._by_hash(evaluation, self._attribute)

    def _told(self, evaluation: Evaluation, index: object) -> Exposure | None:
        """A variation that was asked for: no exposure, for nothing was left to chance."""
        if type(index) is not int or not 0 <= index < len(self.arms):
            return None
        attribute = self._attribute
        if evaluation.sticky is not None and self._sticky is not None:
            attribute = self._sticky.unit(evaluation)[0]
        value = evaluation.attributes.get(attribute)
        shown = value if truthy(value) else ""
        told = ExperimentResult(self.arms[index], self._feature, attribute, shown, False)
        return Exposure(self._default.definition, told)

    def _by_hash(self, evaluation: Evaluation, attribute: str) -> Exposure | None:
        for gate in self._gates:
            if not gate(evaluation):
                return None
        n = self._hash(evaluation)
        if n is None:
            return None
        split = self._split(evaluation) if self._contexts else self._default
        position = choose(n, split.ranges)
        if not 0 <= position < len(self.arms):
            return None
        return self._let_in(evaluation, position, attribute, n, split)

    def _kept_or_by_hash(self, evaluation: Evaluation, sticky: Sticky) -> Exposure | None:
        """A unit keeps its variation; a new one is noted."""
        kept = sticky.kept(evaluation)
        attribute, unit = sticky.unit(evaluation)
        if not unit or kept.blocked:
            return None
        if kept.position < 0:
            found = self._by_hash(evaluation, attribute)
        else:
            found = self._kept(evaluation, kept.position, attribute)
        if found and found.result.hash_used:
            sticky.keep(evaluation, attribute, unit, found.result.key)
        return found

    def _kept(self, evaluation: Evaluation, position: int, attribute: str) -> Exposure | None:
        n = self._hash(evaluation)
        if n is None or position >= len(self.arms):
            return None
        split = self._split(evaluation) if self._contexts else self._default
        return self._let_in(evaluation, position, attribute, n, split, kept=True)

    def _let_in(
        self,
        evaluation: Evaluation,
        position: int,
        attribute: str,
        n: float,
        split: Split,
        kept: bool = False,
    ) -> Exposure | None:
        if self._told_by_rule:
            return self._told(evaluation, self._index_by_rule)
        if evaluation.user.qa_mode or self._closed:
            return None
        arm, value = self.arms[position], evaluation.attributes.get(attribute)
        result = ExperimentResult(
            arm, self._feature, attribute, value, True, n, kept, True, split.leaf
        )
        exposure = Exposure(split.definition, result)
        evaluation.exposures.append(exposure)
        return exposure

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


def targeted(rule: Rule, world: World) -> list[Gate]:
    """The gates of a namespace and a condition."""
    condition = rule.get("condition")
    check = world.conditions.compile(condition) if condition else None
    gates = namespace(rule, world.hashes)
    return [*gates, lambda evaluation: check(evaluation.attributes)] if check else gates


def inline(definition: Rule, world: World) -> Experiment:
    """An experiment that stands by itself, outside any flag."""
    met = prerequisites(definition, world.conditions)
    gates = [*filters(definition, world.hashes), *targeted(definition, world)]
    if met:
        gates.append(lambda evaluation: met(evaluation) is Met.YES)
    return Experiment(definition, None, gates, world)


def _splits(
    rule: Rule, key: str, arms: list[Arm], world: World
) -> tuple[Split, list[tuple[Check, Split]]]:
    """The split of the rule itself, and those of a contextual bandit's contexts."""
    coverage, ranges = number(rule, "coverage"), items(rule, "ranges", pair)
    definition = _definition(rule, key, arms)

    def divided(weights: object) -> list[Range]:
        if ranges is not None:
            return ranges
        listed = weights if isinstance(weights, list) else None
        return bucket_ranges(len(arms), 1.0 if coverage is None else coverage, listed)

    contexts = contexts_of(rule, len(arms), world.bandits, world.conditions)
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
