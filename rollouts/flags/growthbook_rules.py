"""One rule of GrowthBook's payload read as one of ours, or as none if it never does anything."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NoReturn

from rollouts.errors import Fault
from rollouts.flags.condition_checks import condition_faults
from rollouts.flags.evaluation.hashing import bucket_ranges, is_number
from rollouts.flags.model import (
    Arm,
    ExperimentRule,
    ForceRule,
    GateRule,
    Layer,
    Namespace,
    PercentageRule,
    Prerequisite,
    Range,
    Rule,
)

Raw = dict[str, Any]

COMMON = frozenset({"id", "condition", "parentConditions", "filters"})
HASHING = frozenset({"hashAttribute", "hashVersion", "seed"})
FORCED = COMMON | HASHING | {"force", "coverage", "range"}
SPLIT = (
    COMMON
    | HASHING
    | {"variations", "weights", "key", "coverage", "ranges", "meta", "namespace", "name", "phase"}
    | {"fallbackAttribute", "disableStickyBucketing", "bucketVersion", "minBucketVersion"}
)
NOBODY: Range = (1.0, 1.0)


class Unreadable(Exception):  # named for the refusal
    """A member that our flags cannot express."""

    def __init__(self, member: str, problem: str) -> None:
        super().__init__(problem)
        self.member = member
        self.problem = problem

    def at(self, where: str) -> Fault:
        """The fault with the place of the whole it was found in."""
        return Fault(f"{where}.{self.member}" if self.member else where, self.problem)


class RuleReader:
    """Reads the rules of one feature; collects what is wrong, and what is left out."""

    def __init__(self, key: str, where: str, faults: list[Fault], notes: list[str]) -> None:
        self._key = key
        self._where = where
        self._faults = faults
        self._notes = notes

    def read_all(self, raw: list[Any]) -> Iterator[Rule]:
        """The rules that do something, in their order."""
        for index, item in enumerate(raw):
            try:
                rule = read_rule(item)
            except Unreadable as refusal:
                self._faults.append(refusal.at(f"{self._where}.rules.{index}"))
                continue
            if rule is None:
                self._notes.append(f"{self._key}: rule {index + 1} never serves anything: left out")
            else:
                yield rule


def read_rule(raw: Any) -> Rule | None:
    """A rule of ours that means the same; None if no SDK ever acts on this one."""
    if not isinstance(raw, dict):
        _refuse("", "must be an object")
    if "force" in raw:
        rule = {name: member for name, member in raw.items() if member is not None}
        return _force({**rule, "force": raw["force"]})
    rule = {name: member for name, member in raw.items() if member is not None}
    variations = rule.get("variations")
    if variations is None:
        return _valueless(rule)
    if not isinstance(variations, list):
        _refuse("variations", "must be a list")
    return _experiment(rule) if len(variations) > 1 else _valueless(rule)


def _force(raw: Raw) -> Rule:
    _only(raw, FORCED)
    base = _base(raw)
    if "coverage" not in raw and "range" not in raw:
        return ForceRule(**base, value=raw["force"])
    return PercentageRule(
        **base,
        value=raw["force"],
        share=1.0 if "range" in raw else _share(raw["coverage"], "coverage"),
        span=_range(raw["range"], "range") if "range" in raw else None,
        includes_border="range" not in raw,
        unit=_text(raw, "hashAttribute") or "id",
        seed=_text(raw, "seed"),
        hash_version=_whole(raw, "hashVersion") or 1,
    )


def _valueless(raw: Raw) -> Rule | None:
    """Without a value a rule can still be a gate; its other members are never looked at."""
    for name in ("contextualVariations", "contextualBanditRef", "tracks"):
        if name in raw:
            _refuse(name, "cannot be kept")
    parents = _parents(raw)
    gates = [parent.is_gate for parent in parents]
    if not any(gates):
        return None
    if not all(gates):
        _refuse("parentConditions", "a rule without a value must have gates only, or none")
    return GateRule(id=_text(raw, "id"), prerequisites=tuple(parents))


def _experiment(raw: Raw) -> Rule:
    _only(raw, SPLIT)
    n_arms = len(raw["variations"])
    shares, exact = _split(raw, n_arms)
    return ExperimentRule(
        **_base(raw),
        variations=tuple(_arms(raw, shares)),
        key=_text(raw, "key"),
        name=_text(raw, "name"),
        unit=_text(raw, "hashAttribute") or "id",
        fallback_unit=_text(raw, "fallbackAttribute") or None,
        seed=_text(raw, "seed"),
        hash_version=_whole(raw, "hashVersion") or 1,
        coverage=_share(raw.get("coverage", 1.0), "coverage"),
        ranges=exact,
        layer=_layer(raw),
        phase=_text(raw, "phase"),
        bucket_version=_whole(raw, "bucketVersion"),
        min_bucket_version=_whole(raw, "minBucketVersion"),
        is_sticky=not raw.get("disableStickyBucketing"),
    )


def _split(raw: Raw, n_arms: int) -> tuple[list[float], tuple[Range, ...] | None]:
    """Shares of the arms, and the exact buckets where shares alone would not say them."""
    weights = raw.get("weights")
    if weights is not None and not (isinstance(weights, list) and all(map(is_number, weights))):
        _refuse("weights", "must be a list of numbers")
    equal = [1 / n_arms] * n_arms
    if "ranges" in raw:
        listed = _list(raw, "ranges")
        spans = [_range(item, f"ranges.{at}") for at, item in enumerate(listed)][:n_arms]
        # An arm without a range gets nobody, and a range without an arm lets nobody in.
        return equal, (*spans, *[NOBODY] * (n_arms - len(spans)))
    if weights is None or _is_plain(weights, n_arms):
        return weights or equal, None
    coverage = _number(raw.get("coverage", 1.0), "coverage")
    found = bucket_ranges(n_arms, coverage, weights)
    return equal, tuple(_within(start, end) for start, end in found)


def _is_plain(weights: list[float], n_arms: int) -> bool:
    """Whether weights are shares as we write them: each 0 to 1, together 1."""
    return (
        len(weights) == n_arms
        and all(0 <= weight <= 1 for weight in weights)
        and abs(sum(weights) - 1) <= 1e-6
    )


def _arms(raw: Raw, shares: list[float]) -> Iterator[Arm]:
    meta = _list(raw, "meta")
    for index, value in enumerate(raw["variations"]):
        told = meta[index] if index < len(meta) else {}
        where = f"meta.{index}"
        if not isinstance(told, dict):
            _refuse(where, "must be an object")
        for name, member in told.items():
            if name not in ("key", "name", "passthrough") and member is not None:
                _refuse(f"{where}.{name}", "cannot be kept")
        key, name = (_text(told, member, where) for member in ("key", "name"))
        yield Arm(key or str(index), name, value, shares[index], bool(told.get("passthrough")))


def _layer(raw: Raw) -> Layer | None:
    """The first form of a namespace, which filters replace even when there are none in the list."""
    told = raw.get("namespace")
    if not told or "filters" in raw:
        return None
    if not isinstance(told, list) or len(told) != 3 or not isinstance(told[0], str):
        _refuse("namespace", "must be an id and two numbers")
    start, end = _range(told[1:], "namespace")
    return told[0], start, end


# Members


def _base(raw: Raw) -> Raw:
    return {
        "id": _text(raw, "id"),
        "condition": _condition(raw.get("condition"), "condition"),
        "prerequisites": tuple(_parents(raw)),
        "namespaces": tuple(_filters(raw)),
    }


def _condition(raw: Any, where: str) -> Raw | None:
    if not raw:
        return None
    for fault in condition_faults(raw, where):
        _refuse(fault.where, fault.problem)
    return dict(raw)


def _parents(raw: Raw) -> list[Prerequisite]:
    found = []
    for at, item in enumerate(_list(raw, "parentConditions")):
        where = f"parentConditions.{at}"
        if not isinstance(item, dict) or not isinstance(item.get("id"), str):
            _refuse(where, "must name a flag")
        for name, member in item.items():
            if name not in ("id", "condition", "gate") and member is not None:
                _refuse(f"{where}.{name}", "cannot be kept")
        condition = _condition(item.get("condition"), f"{where}.condition") or {}
        found.append(Prerequisite(item["id"], condition, bool(item.get("gate"))))
    return found


def _filters(raw: Raw) -> list[Namespace]:
    found = []
    for at, item in enumerate(_list(raw, "filters")):
        where = f"filters.{at}"
        if not isinstance(item, dict):
            _refuse(where, "must be an object")
        for name, member in item.items():
            if name not in ("seed", "ranges", "hashVersion", "attribute") and member is not None:
                _refuse(f"{where}.{name}", "cannot be kept")
        spans = [_range(part, f"{where}.ranges") for part in _list(item, "ranges", where)]
        found.append(
            Namespace(
                _text(item, "seed", where),
                tuple(spans),
                _text(item, "attribute", where) or "id",
                _whole(item, "hashVersion", where) or 2,
            )
        )
    return found


def _only(raw: Raw, known: frozenset[str]) -> None:
    for name in raw:
        if name not in known:
            _refuse(name, "cannot be kept beside the other members of this rule")


def _list(raw: Raw, name: str, where: str = "") -> list[Any]:
    member = raw.get(name)
    if member is not None and not isinstance(member, list):
        _refuse(f"{where}.{name}".lstrip("."), "must be a list")
    return member or []


def _text(raw: Raw, name: str, where: str = "") -> str:
    member = raw.get(name)
    if member is not None and not isinstance(member, str):
        _refuse(f"{where}.{name}".lstrip("."), "must be a text")
    return member or ""


def _whole(raw: Raw, name: str, where: str = "") -> int:
    member = raw.get(name)
    if member is None:
        return 0
    if not is_number(member) or member != int(member):
        _refuse(f"{where}.{name}".lstrip("."), "must be a whole number")
    return int(member)


def _number(raw: Any, where: str) -> float:
    if not is_number(raw):
        _refuse(where, "must be a number")
    return float(raw)


def _share(raw: Any, where: str) -> float:
    """Shares beyond 0 and 1 mean 0 and 1 to every SDK."""
    return min(max(_number(raw, where), 0.0), 1.0)


def _range(raw: Any, where: str) -> Range:
    if not isinstance(raw, list) or len(raw) != 2:
        _refuse(where, "must be two numbers")
    return _within(_number(raw[0], where), _number(raw[1], where))


def _within(start: float, end: float) -> Range:
    """The part of a range in which buckets lie, from 0 and below 1."""
    start, end = (min(max(bound, 0.0), 1.0) for bound in (start, end))
    return start, max(start, end)


def _refuse(member: str, problem: str) -> NoReturn:
    raise Unreadable(member, problem)
