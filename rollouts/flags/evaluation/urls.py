"""Variations asked for in the address of a page: `?<experiment key>=<index>`."""

import re
from typing import Final

_INTEGER: Final = re.compile(r"\s*([+-]?)(?:0[xX]([0-9a-fA-F]{1,12})|([0-9]{1,12}))")


def url_overrides(url: str) -> dict[str, int]:
    """The index asked for by each name in a query; the first of a name counts.

    >>> url_overrides("https://shop.example/?a=1&b=x&a=2#c")
    {'a': 1, 'b': -1}
    """
    parts = url.split("?")
    if len(parts) < 2 or not parts[1]:
        return {}
    found: dict[str, int] = {}
    for pair in parts[1].partition("#")[0].split("&"):
        name, *values = pair.split("=")
        found.setdefault(name, _index(values[0]) if values else -1)
    return found


def _index(text: str) -> int:
    """`parseInt`; -1, which is no variation, for what is no number or far too large."""
    number = _INTEGER.match(text)
    if number is None:
        return -1
    sign, hexadecimal, decimal = number.groups()
    size = int(hexadecimal, 16) if hexadecimal else int(decimal)
    return -1 if sign == "-" and size else size
