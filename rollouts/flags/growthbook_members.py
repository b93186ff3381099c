"""Single members of GrowthBook's rules read with their types; what is no such member is refused."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from rollouts.errors import Fault
from rollouts.flags.evaluation.hashing import is_number
from rollouts.flags.model import Layer, Range

Raw = dict[str, Any]
Tell = Callable[[str], None]  # of what is left out or read differently, and why that is the same

HASH_VERSIONS = (1, 2)


class Unreadable(Exception):  # named for the refusal
    """A member that our flags cannot express."""

    def __init__(self, member: str, problem: str) -> None:
        super().__init__(problem)
        self.member = member
        self.problem = problem

    def at(self, where: str) -> Fault:
        """The fault with the place of the whole it was found in."""
        return Fault(f"{where}.{self.member}" if self.member else where, self.problem)


class NeverServes(Exception):  # named for the finding
    """No SDK ever takes the value of this rule; the text says why."""


def refuse(member: str, problem: str) -> NoReturn:
    """Say that a member cannot be kept. Raises Unreadable."""
    raise Unreadable(member, problem)


def leave_out(raw: Raw, known: frozenset[str], where: str, tell: Tell) -> None:
    """Tell of members that no SDK looks at here."""
    unknown = sorted(name for name in raw if name not in known and raw[name] is not None)
    if unknown:
        tell(f"{where}{', '.join(unknown)} has no effect on evaluation here: left out")


def items(raw: Raw, name: str, where: str = "") -> list[Any]:
    """A list, empty if there is none."""
    member = raw.get(name)
    if member is not None and not isinstance(member, list):
        refuse(f"{where}.{name}".lstrip("."), "must be a list")
    return member or []


def text(raw: Raw, name: str, where: str = "") -> str:
    """A text, empty if there is none; whole numbers are read as JavaScript writes them."""
    member = raw.get(name)
    if isinstance(member, int) and not isinstance(member, bool):
        return str(member)
    if member is not None and not isinstance(member, str):
        refuse(f"{where}.{name}".lstrip("."), "must be a text")
    return member or ""


def whole(raw: Raw, name: str, where: str = "") -> int:
    """A whole number, 0 if there is none."""
    member = raw.get(name)
    if member is None:
        return 0
    if not is_number(member) or member != int(member):
        refuse(f"{where}.{name}".lstrip("."), "must be a whole number")
    return int(member)


def hash_version(raw: Raw, usual: int, where: str = "") -> int:
    """The hash version. Raises NeverServes for one that no SDK knows, for which no unit is in."""
    version = whole(raw, "hashVersion", where) or usual
    if version not in HASH_VERSIONS:
        raise NeverServes(f"no SDK knows hash version {version}")
    return version


def number(raw: Any, where: str) -> float:
    """A number."""
    if not is_number(raw):
        refuse(where, "must be a number")
    return float(raw)


def share(raw: Any, where: str) -> float:
    """Shares beyond 0 and 1 mean 0 and 1 to every SDK."""
    return min(max(number(raw, where), 0.0), 1.0)


def span(raw: Any, where: str) -> Range:
    """A range of buckets."""
    if not isinstance(raw, list) or len(raw) != 2:
        refuse(where, "must be two numbers")
    return within(number(raw[0], where), number(raw[1], where))


def within(start: float, end: float) -> Range:
    """The part of a range in which buckets lie, from 0 and below 1."""
    start, end = (min(max(bound, 0.0), 1.0) for bound in (start, end))
    return start, max(start, end)


def layer(raw: Raw) -> Layer | None:
    """The first form of a namespace, which filters replace even when there are none in the list."""
    told = raw.get("namespace")
    if not told or "filters" in raw:
        return None
    if not isinstance(told, list) or len(told) != 3 or not isinstance(told[0], str):
        refuse("namespace", "must be an id and two numbers")
    start, end = span(told[1:], "namespace")
    return told[0], start, end
