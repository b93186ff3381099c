"""The hash chain: each entry's hash covers its content and the hash before it.

The form that is hashed is our own canonical JSON: keys sorted by code point, no white space,
UTF-8, floats as Python writes them, integers past 2**53 as text so that every reader of JSON
sees the same number. It differs from RFC 8785 in the order of keys beyond the basic plane and
in how floats are spelled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import msgspec

GENESIS = "0" * 64
LARGEST_EXACT = 2**53


def canonical(value: Any) -> bytes:
    """The one spelling of a value that is hashed.

    >>> canonical({"b": 1, "a": [True, None]})
    b'{"a":[true,null],"b":1}'
    """
    return _spelt(plain(value))


def _spelt(value: Any) -> bytes:
    text = json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return text.encode()


def plain(value: Any) -> Any:
    """The value as JSON can hold it and every store gives it back unchanged.

    >>> plain({"n": 2**53 + 1, "text": "a\\x00b"})
    {'n': '9007199254740993', 'text': 'a�b'}
    """
    return _tame(msgspec.to_builtins(value, str_keys=True))


def _tame(value: Any) -> Any:
    if isinstance(value, str):
        return _tame_text(value)
    if isinstance(value, dict):
        return {_tame_text(key): _tame(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_tame(item) for item in value]
    if isinstance(value, int) and abs(value) > LARGEST_EXACT:
        return str(value)
    if isinstance(value, float) and (value != value or abs(value) == float("inf")):
        return str(value)
    return value


def _tame_text(text: str) -> str:
    # PostgreSQL takes no NUL, and UTF-8 no lone surrogate.
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def chained_hash(previous_hash: str, content: Mapping[str, Any], *, is_plain: bool = False) -> str:
    """SHA-256, as 64 hex digits, over the hash before and the canonical content.

    is_plain: the content came from `plain`, so that making it so again changes nothing.
    """
    spelt = _spelt(content) if is_plain else canonical(content)
    return hashlib.sha256(previous_hash.encode() + spelt).hexdigest()
