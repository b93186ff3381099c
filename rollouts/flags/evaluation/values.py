"""Values as JavaScript sees them: truth, text, number, order and equality.

The browsers' SDK defines what a targeting condition means, so the server follows it even
where JavaScript is odd. Nothing here raises, whatever JSON is handed in.
"""

import re
from functools import lru_cache
from math import inf, isnan, nan
from typing import Final

_DEEPEST: Final = 64  # levels of nested lists turned into text; deeper ones become ""
_SAFE_INTEGER: Final = 2**53
_SHORT: Final = 100  # characters of a version worth remembering
_WHITESPACE: Final = " \t\n\v\f\r\u00a0\u1680\u2028\u2029\u202f\u205f\u3000\ufeff" + "".join(
    map(chr, range(0x2000, 0x200B))
)
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\Z")
_PREFIXED: Final = re.compile(r"0(?:[xX][0-9a-fA-F]+|[oO][0-7]+|[bB][01]+)\Z")
_BASES: Final = {"x": 16, "o": 8, "b": 2}


def is_numeric(value: object) -> bool:
    """Whether a value is a JSON number; Python's booleans are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def truthy(value: object) -> bool:
    """JavaScript's truth, in which empty arrays and objects are true."""
    if isinstance(value, (list, dict)):
        return True
    return bool(value) and value == value  # NaN is false


def type_name(value: object) -> str:
    """The name of a value's type as `$type` spells it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, (int, float)):
        return "number"
    if isinstance(value, str):
        return "string"
    return "array" if isinstance(value, list) else "object"


def text_of(value: object, level: int = 0) -> str:
    """`String(value)`."""
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return number_text(value)
    if isinstance(value, list):
        return _joined(value, level)
    return "[object Object]"


def _joined(items: list[object], level: int) -> str:
    if level >= _DEEPEST:
        return ""
    return ",".join("" if item is None else text_of(item, level + 1) for item in items)


def number_text(number: float) -> str:
    """`String(number)`: integers plain up to 21 digits, else the shortest digits that round-trip.

    >>> number_text(1.0), number_text(1e21), number_text(1.5e-7), number_text(0.000001)
    ('1', '1e+21', '1.5e-7', '0.000001')
    """
    if isinstance(number, int) and -_SAFE_INTEGER <= number <= _SAFE_INTEGER:
        return str(int(number))
    double = as_double(number)
    if isnan(double):
        return "NaN"
    if double in (inf, -inf):
        return "Infinity" if double > 0 else "-Infinity"
    if double == 0:
        return "0"
    return _laid_out(repr(double))


def _laid_out(shortest: str) -> str:
    """Python's shortest digits in JavaScript's layout."""
    sign = "-" if shortest.startswith("-") else ""
    mantissa, _, exponent = shortest.lstrip("-").partition("e")
    whole, _, fraction = mantissa.partition(".")
    significant = (whole + fraction).lstrip("0")
    point = int(exponent or 0) - len(fraction) + len(significant)
    digits = significant.rstrip("0")
    return sign + _placed(digits, point)


def _placed(digits: str, point: int) -> str:
    """Digits d1d2.. standing for 0.d1d2.. times ten to the point."""
    if len(digits) <= point <= 21:
        return digits.ljust(point, "0")
    if 0 < point <= 21:
        return f"{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return "0." + "0" * -point + digits
    tail = "." + digits[1:] if len(digits) > 1 else ""
    return f"{digits[0]}{tail}e{'+' if point > 0 else '-'}{abs(point - 1)}"


def as_double(number: float) -> float:
    """A number as the double JavaScript would hold; too large integers are infinite."""
    try:
        return float(number)
    except OverflowError:
        return inf if number > 0 else -inf


def number_of(value: object) -> float:
    """`Number(value)`, NaN included.

    >>> number_of("8"), number_of(" 0x10 "), number_of(None), number_of([]), number_of("1_0")
    (8.0, 16.0, 0.0, 0.0, nan)
    """
    if isinstance(value, (int, float)):  # booleans too
        return as_double(value)
    if value is None:
        return 0.0
    if isinstance(value, dict):
        return nan
    return _number_of_text(text_of(value).strip(_WHITESPACE))


def _number_of_text(text: str) -> float:
    if not text:
        return 0.0
    if _DECIMAL.match(text):
        return float(text)
    if _PREFIXED.match(text):
        return as_double(int(text[2:], _BASES[text[1].lower()]))
    sign = -1.0 if text.startswith("-") else 1.0
    return sign * inf if text.removeprefix("-").removeprefix("+") == "Infinity" else nan


def order(left: object, right: object) -> int | None:
    """-1, 0 or 1 as JavaScript's `<` and `>` order two values; None when they order neither way.

    >>> order("8", 5), order(None, 1), order("10", "9"), order("x", 1)
    (1, -1, -1, None)
    """
    if isinstance(left, (list, dict)):
        left = text_of(left)
    if isinstance(right, (list, dict)):
        right = text_of(right)
    if isinstance(left, str) and isinstance(right, str):
        return text_order(left, right)
    a, b = number_of(left), number_of(right)
    return (a > b) - (a < b) if a == a and b == b else None


def text_order(left: str, right: str) -> int:
    """Order by UTF-16 code units, in which an emoji comes before U+E000."""
    if left.isascii() and right.isascii():
        return (left > right) - (left < right)
    a, b = left.encode("utf-16-be", "surrogatepass"), right.encode("utf-16-be", "surrogatepass")
    return (a > b) - (a < b)


def same_json(left: object, right: object) -> bool:
    """Whether two values have equal JSON text, the order of object members included.

    As deep as the shallower of the two: callers bound one side.
    """
    if isinstance(left, dict) and isinstance(right, dict):
        names = member_order(left)
        return names == member_order(right) and all(
            same_json(left[name], right[name]) for name in names
        )
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same_json, left, right))
    return same_primitive(left, right)


def member_order(members: dict[str, object]) -> list[str]:
    """Names in the order JavaScript keeps them: array indices first, ascending."""
    indices = [name for name in members if _is_index(name)]
    if not indices:
        return list(members)
    return sorted(indices, key=int) + [name for name in members if not _is_index(name)]


def _is_index(name: str) -> bool:
    if not name.isascii() or not name.isdigit() or len(name) > 10:
        return False
    return (name == "0" or name[0] != "0") and int(name) < 2**32 - 1


def same_primitive(left: object, right: object) -> bool:
    """`left === right` for values that came out of two JSON texts: objects never are."""
    if isinstance(left, (list, dict)) or isinstance(right, (list, dict)):
        return False
    return isinstance(left, bool) == isinstance(right, bool) and left == right


def value_at(holder: object, path: list[str]) -> object:
    """The value at a dotted path through objects and arrays; None when there is none."""
    for name in path:
        if isinstance(holder, dict):
            holder = holder.get(name)
        elif isinstance(holder, list):
            holder = _item_at(holder, name)
        else:
            return None
    return holder


def _item_at(items: list[object], name: str) -> object:
    if name == "length":
        return len(items)
    return items[int(name)] if _is_index(name) and int(name) < len(items) else None


def padded_version(value: object) -> str:
    """A version as text whose order is the versions' order.

    >>> padded_version("v1.2.3+build") > padded_version("1.2.3-rc.1")
    True
    """
    text = number_text(value) if is_numeric(value) else value  # type: ignore[arg-type]
    if not isinstance(text, str) or not text:
        text = "0"
    return _padded_short(text) if len(text) <= _SHORT else _padded(text)


def _padded(text: str) -> str:
    parts = text.removeprefix("v").partition("+")[0].replace("-", ".").split(".")
    if len(parts) == 3:
        parts.append("~")  # the greatest character, so a release follows its candidates
    return "-".join(part.rjust(5) if part.isascii() and part.isdigit() else part for part in parts)


_padded_short = lru_cache(maxsize=2_000)(_padded)  # few versions of a product are in use
