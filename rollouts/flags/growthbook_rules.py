"""One rule of GrowthBook's payload read as one of ours, or as none if it never does anything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from rollouts.errors import Fault
from rollouts.flags.evaluation.hashing import bucket_ranges, is_number
from rollouts.flags.growthbook_conditions import ConditionReader
from rollouts.flags.growthbook_members import (
    NeverServes,
    Raw,
    Tell,
    Unreadable,
    hash_version,
    items,
    layer,
    leave_out,
    number,
    refuse,
    share,
    span,
    text,
    whole,
    within,
)
from rollouts.flags.model import (
    Arm,
    ExperimentRule,
    ForceRule,
    GateRule,
    Namespace,
    PercentageRule,
    Prerequisite,
    Range,
    Rule,
)

COMMON = frozenset({"id", "condition", "parentConditions", "filters"})
HASHING = frozenset({"hashAttribute", "hashVersion", "seed"})
FORCED = (
    COMMON
    | HASHING
    | {"force", "coverage", "range", "tracks", "fallbackAttribute", "disableStickyBucketing"}
)
SPLIT = (
    COMMON
    | HASHING
    | {"variations", "weights", "key", "coverage", "ranges", "meta", "namespace", "name", "phase"}
    | {"fallbackAttribute", "disableStickyBucketing", "bucketVersion", "minBucketVersion"}
    | {"contextualVariations", "contextualBanditRef"}
)
WAITING = frozenset({"id", "parentConditions"})
NOBODY: Range = (1.0, 1.0)
LETS_NOBODY_PAST = Namespace("nobody", ())


class RuleReader:
    """Reads the rules of one feature; collects what is wrong, and what is read differently."""

    def __init__(
        self, key: str, conditions: ConditionReader, faults: list[Fault], notes: list[str]
    ) -> None:
        self._key = key
        self._conditions = conditions
        self._faults = faults
        self._notes = notes

    def read_all(self, raw: list[Any], default: Any) -> Iterator[Rule]:
        """The rules that do something, in their order. default: what the flag serves otherwise."""
        ids: set[str] = set()
        for index, item in enumerate(raw):

            def tell(text: str, at: int = index + 1) -> None:
                self._notes.append(f"{self._key}, rule {at}: {text}")

            try:
                rule = OneRule(self._conditions, tell, default).read(item)
            except Unreadable as refusal:
                self._faults.append(refusal.at(f"features.{self._key}.rules.{index}"))
                continue
            if rule is None:
                tell("never serves anything: left out")
                continue
            if rule.id in ids:
                tell(f"has the id {rule.id!r} of one before it, and gets another")
                rule = replace(rule, id="")
            ids |= {rule.id} - {""}
            yield rule


class OneRule:
    """Reads one rule: its own members here, what they consist of in `growthbook_members.py`."""

    def __init__(self, conditions: ConditionReader, tell: Tell, default: Any = None) -> None:
        self._conditions = conditions
        self._tell = tell
        self._default = default

    def read(self, raw: Any) -> Rule | None:
        """A rule of ours that means the same; None if no SDK ever acts on this one."""
        if not isinstance(raw, dict):
            refuse("", "must be an object")
        rule = {name: member for name, member in raw.items() if member is not None}
        try:
            return (
                self._force({**rule, "force": raw["force"]})
                if "force" in raw
                else self._split(rule)
            )
        except NeverServes as reason:
            self._tell(f"{reason}, so that it serves nobody")
            return self._valueless(rule)

    def _force(self, raw: Raw) -> Rule:
        leave_out(raw, FORCED, "", self._tell)
        if raw.get("tracks"):
            refuse("tracks", "is one user's answer: take the payload of a plain connection")
        base = self._base(raw)
        if "coverage" not in raw and "range" not in raw:
            return ForceRule(**base, value=raw["force"])
        return PercentageRule(
            **base,
            value=raw["force"],
            share=1.0 if "range" in raw else share(raw["coverage"], "coverage"),
            span=span(raw["range"], "range") if "range" in raw else None,
            includes_border="range" not in raw,
            unit=text(raw, "hashAttribute") or "id",
            seed=text(raw, "seed"),
            hash_version=hash_version(raw, 1),
            fallback_unit=_fallback(raw),
        )

    def _split(self, raw: Raw) -> Rule | None:
        is_contextual = "contextualVariations" in raw
        name = "contextualVariations" if is_contextual else "variations"
        if name not in raw:
            return self._valueless(raw)
        if is_contextual and "variations" in raw:
            self._tell(
                "variations beside contextualVariations are read by no current SDK: left out"
            )
        values = items(raw, name)
        return (
            self._experiment(raw, values, is_contextual)
            if len(values) > 1
            else self._valueless(raw)
        )

    def _valueless(self, raw: Raw) -> Rule | None:
        """Without a value a rule still asks its prerequisites, and nothing behind them."""
        parents = self._parents(raw)
        if not parents:
            return None
        leave_out(raw, WAITING, "", self._tell)
        if all(parent.is_gate for parent in parents):
            return GateRule(id=text(raw, "id"), prerequisites=tuple(parents))
        # Prerequisites that are no gates only skip the rule, but asking them exposes their units.
        self._tell("is kept as a rule whose filter lets nobody past its prerequisites")
        return ForceRule(
            id=text(raw, "id"),
            prerequisites=tuple(parents),
            namespaces=(LETS_NOBODY_PAST,),
            value=self._default,
        )

    def _experiment(self, raw: Raw, values: list[Any], is_contextual: bool) -> Rule:
        leave_out(raw, SPLIT, "", self._tell)
        shares, exact = _split_of(raw, len(values))
        return ExperimentRule(
            **self._base(raw),
            variations=tuple(self._arms(raw, values, shares)),
            key=text(raw, "key"),
            name=text(raw, "name"),
            unit=text(raw, "hashAttribute") or "id",
            fallback_unit=text(raw, "fallbackAttribute") or None,
            seed=text(raw, "seed"),
            hash_version=hash_version(raw, 1),
            coverage=share(raw.get("coverage", 1.0), "coverage"),
            ranges=exact,
            layer=layer(raw),
            phase=text(raw, "phase"),
            bucket_version=whole(raw, "bucketVersion"),
            min_bucket_version=whole(raw, "minBucketVersion"),
            is_sticky=not raw.get("disableStickyBucketing"),
            is_keyed=_is_keyed(raw),
            is_contextual=is_contextual,
            bandit=text(raw, "contextualBanditRef"),
        )

    def _arms(self, raw: Raw, values: list[Any], shares: list[float]) -> Iterator[Arm]:
        meta = items(raw, "meta")
        for index, value in enumerate(values):
            told = meta[index] if index < len(meta) else {}
            where = f"meta.{index}"
            if not isinstance(told, dict):
                refuse(where, "must be an object")
            leave_out(told, frozenset({"key", "name", "passthrough"}), f"{where}.", self._tell)
            key, name = (text(told, member, where) for member in ("key", "name"))
            is_passed = bool(told.get("passthrough"))
            yield Arm(key or str(index), name, value, shares[index], is_passed)

    def _base(self, raw: Raw) -> Raw:
        return {
            "id": text(raw, "id"),
            "condition": self._conditions.read(raw.get("condition"), "condition", self._tell),
            "prerequisites": tuple(self._parents(raw)),
            "namespaces": tuple(self._filters(raw)),
        }

    def _parents(self, raw: Raw) -> list[Prerequisite]:
        found = []
        for at, item in enumerate(items(raw, "parentConditions")):
            where = f"parentConditions.{at}"
            if not isinstance(item, dict) or not isinstance(item.get("id"), str):
                refuse(where, "must name a flag")
            leave_out(item, frozenset({"id", "condition", "gate"}), f"{where}.", self._tell)
            condition = self._conditions.read(
                item.get("condition"), f"{where}.condition", self._tell
            )
            found.append(Prerequisite(item["id"], condition or {}, bool(item.get("gate"))))
        return found

    def _filters(self, raw: Raw) -> list[Namespace]:
        found = []
        known = frozenset({"seed", "ranges", "hashVersion", "attribute"})
        for at, item in enumerate(items(raw, "filters")):
            where = f"filters.{at}"
            if not isinstance(item, dict):
                refuse(where, "must be an object")
            leave_out(item, known, f"{where}.", self._tell)
            spans = [span(part, f"{where}.ranges") for part in items(item, "ranges", where)]
            found.append(
                Namespace(
                    text(item, "seed", where),
                    tuple(spans),
                    text(item, "attribute", where) or "id",
                    hash_version(item, 2, where),
                )
            )
        return found


def _is_keyed(raw: Raw) -> bool:
    return any(isinstance(told, dict) and told.get("key") for told in items(raw, "meta"))


def _fallback(raw: Raw) -> str | None:
    """Who stands in where the unit has no id; only a rule that may be sticky has one."""
    return None if raw.get("disableStickyBucketing") else text(raw, "fallbackAttribute") or None


def _split_of(raw: Raw, n_arms: int) -> tuple[list[float], tuple[Range, ...] | None]:
    """Shares of the arms, and the exact buckets where shares alone would not say them."""
    weights = raw.get("weights")
    if weights is not None and not (isinstance(weights, list) and all(map(is_number, weights))):
        refuse("weights", "must be a list of numbers")
    equal = [1 / n_arms] * n_arms
    if "ranges" in raw:
        listed = items(raw, "ranges")
        spans = [span(item, f"ranges.{at}") for at, item in enumerate(listed)][:n_arms]
        # An arm without a range gets nobody, and a range without an arm lets nobody in.
        return equal, (*spans, *[NOBODY] * (n_arms - len(spans)))
    if weights is None or _is_plain(weights, n_arms):
        return weights or equal, None
    coverage = number(raw.get("coverage", 1.0), "coverage")
    found = bucket_ranges(n_arms, coverage, weights)
    return equal, tuple(within(start, end) for start, end in found)


def _is_plain(weights: list[float], n_arms: int) -> bool:
    """Whether weights are shares as we write them: each 0 to 1, together 1."""
    return (
        len(weights) == n_arms
        and all(0 <= weight <= 1 for weight in weights)
        and abs(sum(weights) - 1) <= 1e-6
    )
