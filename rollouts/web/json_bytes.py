"""JSON in and out: fast, strict, and never surprised by what people send."""

from __future__ import annotations

from typing import Any

import msgspec
from flask.json.provider import JSONProvider

from rollouts.errors import Malformed

MAX_DEPTH = 32


class Provider(JSONProvider):
    """What views return as plain values goes out in the same form: times as ISO 8601."""

    def dumps(self, obj: Any, **_: Any) -> str:
        """Encode; keyword arguments of the standard library's encoder mean nothing here."""
        return dumps(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        """Decode what somebody sent. Raises Malformed."""
        return loads(s.encode() if isinstance(s, str) else s)


def dumps(value: object) -> bytes:
    """Compact UTF-8 JSON; times as ISO 8601."""
    return msgspec.json.encode(value)


def loads(data: bytes) -> Any:
    """Parse what somebody sent. Raises Malformed with the place where it went wrong."""
    try:
        value = msgspec.json.decode(data)
    except RecursionError:
        raise Malformed(f"The body is nested deeper than {MAX_DEPTH} levels.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError) as wrong:
        raise Malformed(f"The body is not valid JSON: {wrong}") from None
    check_depth(value)
    return value


def check_depth(value: Any) -> None:
    """Refuse nesting that would trip up whatever reads the value later."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        level = [
            child
            for item in level
            if isinstance(item, dict | list)
            for child in (item.values() if isinstance(item, dict) else item)
        ]
        if not level:
            return
    raise Malformed(f"The body is nested deeper than {MAX_DEPTH} levels.")
