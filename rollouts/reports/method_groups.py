"""Methods by what they are for, so that a reader finds the one they came for."""

from __future__ import annotations

from collections.abc import Iterable

from rollouts.reports.method_designs import DESIGNS
from rollouts.reports.method_kinds import KINDS
from rollouts.reports.method_text import Method

FIRST = "Judging a rollout while it runs"
_PLACES = {
    "Kinds of measure": (*(item.anchor for item in KINDS), "other-kinds"),
    "Sharper comparisons": ("adjusted", "post-stratified"),
    "Can it be believed?": ("split", "quality", "segments"),
    "Before, beside and after": ("forecast", "over-rollouts", "one-file"),
    "Where nobody drew lots over customers": tuple(item.anchor for item in DESIGNS),
}


def grouped(methods: Iterable[Method]) -> dict[str, list[Method]]:
    """The methods under their heading, each once; what no heading names is about the judging.

    >>> [item.anchor for item in grouped(DESIGNS)["Where nobody drew lots over customers"]]
    ['groups', 'differences', 'synthetic', 'interrupted']
    """
    held: dict[str, list[Method]] = {FIRST: [], **{name: [] for name in _PLACES}}
    for method in methods:
        found = (name for name, anchors in _PLACES.items() if method.anchor in anchors)
        held[next(found, FIRST)].append(method)
    return {name: found for name, found in held.items() if found}
