"""Contextual bandits: weights that depend on which context a unit is in."""

from collections.abc import Mapping
from typing import NamedTuple

from rollouts.flags.evaluation.conditions import Check, Conditions
from rollouts.flags.evaluation.hashing import is_split, normal_weights
from rollouts.flags.evaluation.members import Rule
from rollouts.flags.evaluation.results import Leaf

_NO_CONTEXT = -1  # reported when the rule's own weights are used


class Context(NamedTuple):
    """A context and the weights in it."""

    check: Check
    leaf: Leaf


def contexts_of(
    rule: Rule, n_variations: int, bandits: Mapping[str, object], conditions: Conditions
) -> list[Context]:
    """Contexts in order, the last for everybody; empty for a rule that follows no bandit.

    Explicit ranges overrule weights, so a bandit beside them decides nothing.
    """
    reference = rule.get("contextualBanditRef")
    bandit = bandits.get(reference) if isinstance(reference, str) else None
    if bandit is None or rule.get("ranges") is not None:
        return []
    known = bandit if isinstance(bandit, dict) else {}
    version = _integer(known.get("banditVersion"))
    weights = rule.get("weights")
    otherwise = normal_weights(n_variations, weights if isinstance(weights, list) else None)
    fallback = Leaf(_NO_CONTEXT, otherwise, version)
    listed = known.get("contexts")
    found = [
        _context(entry, n_variations, fallback, conditions)
        for entry in (listed if isinstance(listed, list) else [])
        if isinstance(entry, dict)
    ]
    return [*found, Context(conditions.compile({}), fallback)]


def _context(entry: Rule, n_variations: int, fallback: Leaf, conditions: Conditions) -> Context:
    """A context whose weights or id are no weights or id counts with the rule's own weights."""
    check = conditions.compile(entry.get("condition") or {})
    leaf_id, weights = _integer(entry.get("leafId")), entry.get("weights")
    if leaf_id is None or not isinstance(weights, list) or not is_split(weights, n_variations):
        return Context(check, fallback)
    return Context(check, Leaf(leaf_id, weights, fallback.version))


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def leaf_definition(leaf: Leaf) -> Rule:
    """Members of an experiment's definition that tell of a leaf."""
    told: Rule = {"leafId": leaf.leaf_id, "variationWeights": leaf.weights}
    if leaf.version is not None:
        told["banditVersion"] = leaf.version
    return {"weights": leaf.weights, "contextualBandit": told}
