"""How big a condition may be, so that neither compiling nor evaluating one can run away."""

from collections.abc import Collection, Iterable
from typing import Final

DEEPEST_CONDITION: Final = 20  # levels of objects and lists
MOST_NODES: Final = 1_000  # objects, lists of conditions and members of objects

Holder = dict[str, object] | list[object]


def condition_problem(condition: object) -> str | None:
    """Why a condition is refused on save, or None if it may be used.

    Plain values in lists are not counted: a list of ten thousand user ids is one node.

    >>> condition_problem({"country": {"$in": ["US"] * 10_000}})
    >>> condition_problem(["US"])
    'A condition must be an object.'
    """
    if not isinstance(condition, dict):
        return "A condition must be an object."
    if n_levels(condition) > DEEPEST_CONDITION:
        return f"A condition may nest at most {DEEPEST_CONDITION} levels."
    if n_nodes(condition) > MOST_NODES:
        return f"A condition may have at most {MOST_NODES:,} nodes."
    return None


def n_levels(value: object, most: int = DEEPEST_CONDITION) -> int:
    """Levels of objects and lists, the value's own included; stops counting past `most`.

    >>> n_levels({"a": [1]}), n_levels(1)
    (2, 0)
    """
    found, level = 0, _holders([value])
    while level and found <= most:
        found += 1
        level = [holder for outer in level for holder in _holders(_inside(outer))]
    return found


def n_nodes(value: object, most: int = MOST_NODES) -> int:
    """Objects, lists and members of objects at any depth; stops counting past `most`."""
    found, waiting = 0, _holders([value])
    while waiting and found <= most:
        holder = waiting.pop()
        found += 1 + (len(holder) if isinstance(holder, dict) else 0)
        waiting.extend(_holders(_inside(holder)))
    return found


def n_values(value: object, most: int) -> int:
    """Values inside an object or list at any depth; stops counting past `most`."""
    found, waiting = 0, _holders([value])
    while waiting and found <= most:
        inside = _inside(waiting.pop())
        found += len(inside)
        waiting.extend(_holders(inside))
    return found


def _inside(holder: Holder) -> Collection[object]:
    return holder.values() if isinstance(holder, dict) else holder


def _holders(values: Iterable[object]) -> list[Holder]:
    return [value for value in values if isinstance(value, (dict, list))]
