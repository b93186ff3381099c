"""Which flags wait for which, and how deep that goes."""

from collections.abc import Mapping
from typing import Final

DEEPEST_ON_SAVE: Final = 10
DEEPEST_EVALUATED: Final = 50  # beyond it a flag is treated as part of a cycle


def parents_of(feature: object) -> set[str]:
    """Keys of the flags that a flag's rules wait for."""
    rules = feature.get("rules") if isinstance(feature, dict) else None
    conditions = [
        entry
        for rule in (rules if isinstance(rules, list) else [])
        if isinstance(rule, dict) and isinstance(rule.get("parentConditions"), list)
        for entry in rule["parentConditions"]
        if isinstance(entry, dict)
    ]
    return {entry["id"] for entry in conditions if isinstance(entry.get("id"), str)}


def depths(features: Mapping[str, object]) -> dict[str, int]:
    """How many flags stand above each flag; those on or below a cycle are left out.

    >>> depths({"a": {}, "b": {"rules": [{"parentConditions": [{"id": "a"}]}]}})
    {'a': 0, 'b': 1}
    """
    return _peeled(_waits(features))


def _waits(features: Mapping[str, object]) -> dict[str, set[str]]:
    return {key: parents_of(feature) & features.keys() for key, feature in features.items()}


def _peeled(waits: Mapping[str, set[str]]) -> dict[str, int]:
    """The length of the longest way up from each node; nodes on or below a cycle are left out."""
    below = _turned(waits)
    n_waiting = {key: len(parents) for key, parents in waits.items()}
    found = {key: 0 for key, parents in waits.items() if not parents}
    ready = list(found)
    for parent in ready:  # grows while it is walked, the shallow before the deep
        for child in below[parent]:
            n_waiting[child] -= 1
            if not n_waiting[child]:
                found[child] = found[parent] + 1
                ready.append(child)
    return found


def _turned(waits: Mapping[str, set[str]]) -> dict[str, set[str]]:
    below: dict[str, set[str]] = {key: set() for key in waits}
    for key, parents in waits.items():
        for parent in parents:
            below[parent].add(key)
    return below


def too_deep(features: Mapping[str, object]) -> set[str]:
    """Flags whose evaluation could call itself too many times over."""
    settled = depths(features)
    cyclic = features.keys() - settled.keys()
    deep = {key for key, depth in settled.items() if depth > DEEPEST_EVALUATED}
    longest = max(settled.values(), default=0) + len(cyclic)
    return deep | cyclic if longest > DEEPEST_EVALUATED else deep


def prerequisite_problem(features: Mapping[str, object]) -> str | None:
    """Why the prerequisites of a whole payload are refused on save, or None.

    >>> prerequisite_problem({"a": {"rules": [{"parentConditions": [{"id": "a"}]}]}})
    'Prerequisites go round in a circle: a.'
    """
    waits = _waits(features)
    settled = _peeled(waits)
    circle = sorted(features.keys() - settled.keys() - _peeled(_turned(waits)).keys())
    if circle:
        return f"Prerequisites go round in a circle: {', '.join(circle[:10])}."
    deep = sorted(key for key, depth in settled.items() if depth > DEEPEST_ON_SAVE)
    if deep:
        return f"Prerequisites nest deeper than {DEEPEST_ON_SAVE} flags: {', '.join(deep[:10])}."
    return None
