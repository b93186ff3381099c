"""JSON in and out: fast, strict, and never surprised by what people send."""

from __future__ import annotations

from typing import Any

import msgspec

from rollouts.errors import Malformed

MAX_DEPTH = 32


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
