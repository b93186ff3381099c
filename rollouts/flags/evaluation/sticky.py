"""Sticky bucketing: a unit keeps the variation it first had, whatever the rule says later."""

from typing import NamedTuple

from rollouts.flags.evaluation.evaluation import Evaluation
from rollouts.flags.evaluation.members import (
    Rule,
    hash_text,
    items,
    mapping,
    number,
    text,
    version_text,
)
from rollouts.flags.evaluation.results import StickyDocument


class Kept(NamedTuple):
    """What the documents say about a unit."""

    position: int = -1  # of the variation kept, or -1
    blocked: bool = False  # the unit took part in a version that may not go on


def document_key(attribute: str, value: str) -> str:
    """Under which a unit's document is stored."""
    return f"{attribute}||{value}"


class Sticky:
    """The sticky side of one experiment rule."""

    def __init__(self, rule: Rule, experiment_key: str) -> None:
        self.attribute = text(rule, "hashAttribute", "id")
        self.fallback = text(rule, "fallbackAttribute")
        self._prefix = f"{experiment_key}__"
        self._name = self._prefix + version_text(rule, "bucketVersion")
        self._minimum = number(rule, "minBucketVersion") or 0
        named = items(rule, "meta", mapping) or []
        # The first of equal keys counts, so they are entered from the last.
        self._index = {meta.get("key"): at for at, meta in reversed(list(enumerate(named)))}

    def unit(self, evaluation: Evaluation) -> tuple[str, str]:
        """The attribute that counts and its text: the fallback's where the first is missing."""
        value = hash_text(evaluation.attributes.get(self.attribute))
        if value or not self.fallback:
            return self.attribute, value
        stand_in = hash_text(evaluation.attributes.get(self.fallback))
        return (self.fallback, stand_in) if stand_in else (self.attribute, "")

    def kept(self, evaluation: Evaluation) -> Kept:
        """The variation a unit has by its documents, the hash attribute's before the fallback's."""
        assignments = {
            **self._assignments(evaluation, self.fallback),
            **self._assignments(evaluation, self.attribute),
        }
        if self._minimum > 0 and any(map(self._is_blocked, assignments)):
            return Kept(blocked=True)
        return Kept(self._index.get(assignments.get(self._name, ""), -1))

    def _assignments(self, evaluation: Evaluation, attribute: str) -> dict[str, str]:
        value = hash_text(evaluation.attributes.get(attribute)) if attribute else ""
        if not value or evaluation.sticky is None:
            return {}
        document = evaluation.sticky.get(document_key(attribute, value))
        return document["assignments"] if document else {}

    def _is_blocked(self, name: str) -> bool:
        version = name.removeprefix(self._prefix)
        if version == name or not version.isdecimal() or len(version) > 9:
            return False
        return int(version) < self._minimum

    def keep(self, evaluation: Evaluation, attribute: str, value: str, arm_key: str) -> None:
        """Notes a variation in the unit's document, to be saved if that changes it."""
        if evaluation.sticky is None:
            return
        key = document_key(attribute, value)
        known = evaluation.sticky.get(key)
        before = known["assignments"] if known else {}
        if before.get(self._name) == arm_key:
            return
        document = StickyDocument(
            attributeName=attribute,
            attributeValue=value,
            assignments={**before, self._name: arm_key},
        )
        evaluation.sticky[key] = evaluation.changed[key] = document
