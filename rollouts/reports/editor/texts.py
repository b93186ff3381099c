"""Values as a person types them, and conditions as rows of a form. Both ways lose nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from math import isfinite
from typing import Any

from rollouts.flags.evaluation.limits import n_levels
from rollouts.flags.model import FlagKind

Row = dict[str, str]
DEEPEST = 50  # levels; what may be saved nests less, and this page can still tell it in words

# operator: (words, how its value is typed)
OPERATORS = {
    "is": ("is", "scalar"),
    "$ne": ("is not", "scalar"),
    "$in": ("is one of", "list"),
    "$nin": ("is none of", "list"),
    "$gt": ("is above", "scalar"),
    "$gte": ("is at least", "scalar"),
    "$lt": ("is below", "scalar"),
    "$lte": ("is at most", "scalar"),
    "$vgte": ("is version at least", "text"),
    "$vgt": ("is a version above", "text"),
    "$vlt": ("is a version below", "text"),
    "$vlte": ("is version at most", "text"),
    "$regex": ("matches", "text"),
    "$notRegex": ("does not match", "text"),
    "$inGroup": ("is in the saved group", "text"),
    "$notInGroup": ("is not in the saved group", "text"),
    "$exists": ("is given (true or false)", "flag"),
}
_PART = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[^,]*?)\s*(?:,|$)')


def value_of(kind: FlagKind, text: str) -> Any:
    """What a flag of this kind would serve. Raises ValueError that says what to type."""
    if kind is FlagKind.STRING:
        return text
    held = json_of(text)
    if kind is FlagKind.BOOLEAN and not isinstance(held, bool):
        raise ValueError("type true or false")
    if kind is FlagKind.NUMBER and (isinstance(held, bool) or not isinstance(held, int | float)):
        raise ValueError("type a number, such as 3 or 0.5")
    return held


def text_of(kind: FlagKind, value: Any) -> str:
    """The same as text for its field."""
    if kind is FlagKind.STRING:
        return str(value)
    return json.dumps(value, ensure_ascii=False, indent=2 if kind is FlagKind.JSON else None)


def json_of(text: str) -> Any:
    """Strict JSON. Raises ValueError that says where it ends to be any."""
    try:
        held = json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as wrong:
        raise ValueError(
            f"this is not JSON: {wrong.msg.lower()} at line {wrong.lineno}, column {wrong.colno}"
        ) from None
    except RecursionError:
        raise ValueError("this nests too deep") from None
    if n_levels(held, DEEPEST) > DEEPEST:
        raise ValueError("this nests too deep")
    if "\\u" in text and not _is_writable(held):
        raise ValueError("this holds half of a surrogate pair, which no text may have")
    return held


def _is_writable(held: Any) -> bool:
    try:
        json.dumps(held, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number that JSON has")


def share_of(text: str) -> float:
    """A share from per cent. Raises ValueError that says what to type."""
    try:
        held = float(Decimal(text.strip().removesuffix("%").strip().replace(",", ".")) / 100)
    except (InvalidOperation, OverflowError):
        raise ValueError("type per cent as a number, such as 12.5") from None
    if not isfinite(held):
        raise ValueError("type per cent as a number, such as 12.5")
    return held


def percent_of(share: float) -> str:
    """The share in per cent, every figure of it."""
    return format((Decimal(repr(float(share))) * 100).normalize(), "f")


def scalar_of(text: str) -> Any:
    """A number, true, false or null if it is written like one; else the text as it stands.

    >>> scalar_of("40"), scalar_of('"40"'), scalar_of("GB")
    (40, '40', 'GB')
    """
    bare = text.strip()
    try:
        held = json_of(bare)
    except ValueError:
        return bare
    return bare if isinstance(held, dict | list) else held


def scalar_text(value: Any) -> str:
    """The value so that `scalar_of` reads it again; quotes only where they are needed."""
    plain = (
        isinstance(value, str) and scalar_of(value) == value and isinstance(scalar_of(value), str)
    )
    return str(value) if plain else json.dumps(value, ensure_ascii=False)


def list_of(text: str) -> list[Any]:
    """Values between commas; one that holds a comma stands in quotes.

    >>> list_of('GB, IE, "a, b", 3')
    ['GB', 'IE', 'a, b', 3]
    """
    return [scalar_of(part) for part in _PART.findall(text.strip()) if part]


def list_text(values: Sequence[Any]) -> str:
    """The list so that `list_of` reads it again."""
    return ", ".join(_list_part(value) for value in values)


def _list_part(value: Any) -> str:
    text = scalar_text(value)
    needs = isinstance(value, str) and (
        "," in value or '"' in value or text != text.strip() or not text
    )
    return json.dumps(value, ensure_ascii=False) if needs else text


def rows_of(condition: Mapping[str, Any] | None) -> tuple[list[Row], dict[str, Any]]:
    """A condition as rows, and what of it only JSON can say."""
    rows: list[Row] = []
    rest: dict[str, Any] = {}
    for name, operand in (condition or {}).items():
        tests = operand if _is_tests(operand) else {"is": operand}
        is_attribute = name == name.strip() != "" and not name.startswith("$")
        if not is_attribute or not all(_fits(op, held) for op, held in tests.items()):
            rest[name] = operand
        else:
            rows += [_row(name, op, held) for op, held in tests.items()]
    return rows, rest


def _is_tests(operand: Any) -> bool:
    return isinstance(operand, dict) and bool(operand) and "is" not in operand


def _fits(operator: str, held: Any) -> bool:
    """Whether a row shows this test and reads it back as it was."""
    how = OPERATORS.get(operator, ("", ""))[1]
    match how:
        case "scalar":
            return not isinstance(held, dict | list) and scalar_of(scalar_text(held)) == held
        case "list":
            return isinstance(held, list) and list_of(list_text(held)) == held
        case "text":
            return isinstance(held, str) and held == held.strip() and "\n" not in held
        case "flag":
            return isinstance(held, bool)
    return False


def _row(name: str, operator: str, held: Any) -> Row:
    how = OPERATORS[operator][1]
    text = list_text(held) if how == "list" else held if how == "text" else scalar_text(held)
    return {"attribute": name, "operator": operator, "value": text}


def condition_of(rows: Sequence[Row], rest: Mapping[str, Any]) -> dict[str, Any] | None:
    """The condition that rows and JSON make together; None when nothing is asked."""
    whole: dict[str, Any] = {}
    more: list[dict[str, Any]] = []
    for row in rows:
        name, operator = row["attribute"].strip(), row["operator"]
        if not name and not row["value"].strip():
            continue
        _join(whole, more, name, operator, _operand(operator, row["value"]))
    for name, operand in rest.items():
        if name in whole:
            more.append({name: operand})
        else:
            whole[name] = operand
    if more:
        whole = {"$and": [whole, *more]}
    return whole or None


def _operand(operator: str, text: str) -> Any:
    how = OPERATORS.get(operator, ("", "text"))[1]
    if how == "list":
        return list_of(text)
    return text.strip() if how == "text" else scalar_of(text)


def _join(
    whole: dict[str, Any], more: list[dict[str, Any]], name: str, operator: str, held: Any
) -> None:
    """Several tests of one attribute stand in one object, unless the plain form is among them."""
    test = held if operator == "is" else {operator: held}
    if name not in whole:
        whole[name] = test
    elif _is_tests(whole[name]) and operator != "is" and operator not in whole[name]:
        whole[name] = {**whole[name], **test}
    else:
        more.append({name: test})
