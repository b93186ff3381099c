"""What an address asks of a list, made harmless before it reaches a query."""

from __future__ import annotations

from flask import request

LONGEST = 200


def text(name: str) -> str:
    """A short text from the address, without characters that a store cannot hold."""
    return "".join(c for c in request.args.get(name, "")[:LONGEST] if c.isprintable()).strip()


def number(name: str) -> int | None:
    """A whole number from the address; None if there is none, or none that an id can be."""
    given = request.args.get(name, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 16 else None
