"""Edits say which version they are meant for: `If-Match: "<revision>"`."""

from __future__ import annotations

from werkzeug.datastructures import Headers

from rollouts.errors import Malformed


def edited_revision(headers: Headers) -> int | None:
    """The revision an edit is meant for, None if it does not say. Raises Malformed."""
    given = headers.get("If-Match")
    if given is None:
        return None
    text = given.strip().removeprefix("W/").strip('"')
    if not text.isdecimal() or len(text) > 15:
        raise Malformed(f'If-Match must hold a revision such as "3", not {given[:50]!r}.')
    return int(text)
