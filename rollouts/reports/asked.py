"""What an address asks of a list, made harmless before it reaches a query."""

from __future__ import annotations

from datetime import date

from flask import request

LONGEST = 200


def text(name: str) -> str:
    """A short text from the address, without characters that a store cannot hold."""
    return "".join(c for c in request.args.get(name, "")[:LONGEST] if c.isprintable()).strip()


def number(name: str) -> int | None:
    """A whole number from the address; None if there is none, or none that an id can be."""
    given = request.args.get(name, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 16 else None


def day(name: str) -> date | None:
    """A day from the address, as `2026-05-14`; None if there is none, or none that exists."""
    try:
        return date.fromisoformat(request.args.get(name, "")[:10])
    except ValueError:
        return None
