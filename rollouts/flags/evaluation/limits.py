"""How big a condition may be, so that neither compiling nor evaluating one can run away."""

from collections.abc import Collection, Iterable, Iterator
from typing import Final

DEEPEST_CONDITION: Final = 20  # levels of objects and lists
MOST_NODES: Final = 1_000  # objects, lists of conditions and members of objects
MOST_ATTRIBUTES: Final = 1_000
MOST_ATTRIBUTE_VALUES: Final = 10_000  # at any depth: every condition may walk them all
DEEPEST_ATTRIBUTE: Final = 32
LONGEST_NAME: Final = 200
LONGEST_TEXT: Final = 10_000  # characters: every rule may hash them all

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


def attributes_problem(attributes: dict[str, object]) -> str | None:
    """Why a user's attributes are refused, or None: evaluation takes time in proportion to them.

    >>> attributes_problem({"id": "u1", "tags": ["a"]})
    >>> attributes_problem({"id": "u" * 20_000})
    'A text may have at most 10,000 characters.'
    """
    if len(attributes) > MOST_ATTRIBUTES:
        return f"There may be at most {MOST_ATTRIBUTES:,} attributes."
    if n_values(attributes, MOST_ATTRIBUTE_VALUES) > MOST_ATTRIBUTE_VALUES:
        return f"Attributes may hold at most {MOST_ATTRIBUTE_VALUES:,} values."
    if n_levels(attributes, DEEPEST_ATTRIBUTE) > DEEPEST_ATTRIBUTE:
        return f"Attributes may nest at most {DEEPEST_ATTRIBUTE} levels."
    if any(len(name) > LONGEST_NAME for name in attributes):
        return f"An attribute's name may have at most {LONGEST_NAME} characters."
    if any(len(text) > LONGEST_TEXT for text in texts_in(attributes)):
        return f"A text may have at most {LONGEST_TEXT:,} characters."
    return None


def texts_in(value: object) -> Iterator[str]:
    """Every text inside an object or list at any depth, names of members left out."""
    waiting = _holders([value])
    while waiting:
        inside = _inside(waiting.pop())
        yield from (text for text in inside if isinstance(text, str))
        waiting.extend(_holders(inside))


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
