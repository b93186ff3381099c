"""Users as a person pastes them: JSON, or `name=value` lines. What is wrong is named by its place."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from rollouts.flags.evaluation.limits import attributes_problem
from rollouts.flags.impact import MOST_GIVEN
from rollouts.reports.editor.texts import json_of

Json = dict[str, Any]

LONGEST = 400_000  # characters
WIDEST = 60  # characters of a line that is shown around a mistake


class Misread(ValueError):
    """Where the text ends to make sense, and what to do."""

    def __init__(self, line: int, column: int, problem: str, before: str, after: str) -> None:
        super().__init__(problem)
        self.line, self.column, self.problem = line, column, problem
        self.before = before  # of that line, up to the place
        self.after = after  # the rest of it


def user_of(text: str) -> Json:
    """One user's attributes. Raises Misread.

    >>> user_of('{"id": "u1", "age": 40}') == user_of('id = u1' + chr(10) + 'age: 40')
    True
    """
    user = _object(text, text, 1) if text.lstrip().startswith("{") else dict(_pairs(text))
    problem = attributes_problem(user)
    if problem is not None:
        raise Misread(1, 1, problem, "", "")
    return user


def users_of(text: str) -> list[Json]:
    """Many users: a JSON array, one object a line, or one id a line. Raises Misread.

    >>> users_of('u1' + chr(10) + '{"id": "u2"}')
    [{'id': 'u1'}, {'id': 'u2'}]
    """
    if text.lstrip().startswith("["):
        held = _json(text, text, 1)
        users = [_checked(item, 1, text) for item in held]
    else:
        users = [_of_line(line, number) for number, line in enumerate(text.splitlines(), 1)]
        users = [user for user in users if user]
    if len(users) > MOST_GIVEN:
        raise Misread(1, 1, f"at most {MOST_GIVEN:,} users at once, not {len(users):,}", "", "")
    return users


def _of_line(line: str, number: int) -> Json:
    if line.lstrip().startswith("{"):
        return _checked(_json(line, line, number), number, line)
    return {"id": line.strip()} if line.strip() else {}


def _checked(held: Any, number: int, line: str) -> Json:
    if not isinstance(held, dict):
        raise _at(line, number, 1, "each user must be an object, in braces")
    problem = attributes_problem(held)
    if problem is not None:
        raise _at(line, number, 1, problem)
    return held


def _object(text: str, whole: str, first: int) -> Json:
    held = _json(text, whole, first)
    if not isinstance(held, dict):
        raise Misread(first, 1, "this must be one object, in braces", "", text[:WIDEST])
    return held


def _json(text: str, whole: str, first: int) -> Any:
    """JSON as strictly as the API reads it; `first` is the number of the text's first line."""
    try:
        json.loads(text)
    except json.JSONDecodeError as wrong:
        line = whole.split("\n")[wrong.lineno - 1]
        raise _at(line, first + wrong.lineno - 1, wrong.colno, wrong.msg.lower()) from None
    except RecursionError:
        pass  # told below
    try:
        return json_of(text)
    except ValueError as wrong:
        raise Misread(first, 1, str(wrong), "", "") from None


def _at(line: str, number: int, column: int, problem: str) -> Misread:
    at = column - 1
    return Misread(
        number, column, problem, line[max(at - WIDEST, 0) : at], line[at : at + WIDEST].rstrip("\r")
    )


def _pairs(text: str) -> Iterator[tuple[str, Any]]:
    seen: set[str] = set()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name, value = _split(line, number)
        if name in seen:
            raise _at(line, number, 1, f"{name} is given twice")
        seen.add(name)
        yield name, value


def _split(line: str, number: int) -> tuple[str, Any]:
    """`name=value` or `name: value`, whichever sign comes first; a value may be JSON."""
    places = [place for place in (line.find("="), line.find(":")) if place >= 0]
    name = line[: min(places)].strip() if places else ""
    if not name:
        raise _at(line, number, 1, "write name=value, such as country=GB, or an object in braces")
    text = line[min(places) + 1 :].strip()
    try:
        return name, json_of(text)
    except ValueError:
        return name, text
