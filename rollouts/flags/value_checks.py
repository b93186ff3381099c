"""Whether a value may be served by a flag: by its kind, and by its JSON Schema if it has one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import isfinite
from typing import Any

import msgspec
from jsonschema import Draft202012Validator, SchemaError
from jsonschema.exceptions import ValidationError
from jsonschema.validators import extend
from referencing import Registry
from referencing.exceptions import Unresolvable

from rollouts.errors import Fault
from rollouts.flags.evaluation.limits import n_levels, n_values
from rollouts.flags.evaluation.patterns import (
    BadPattern,
    compile_pattern,
    pattern_problem,
    subject_of,
)
from rollouts.flags.model import FlagKind

DEEPEST_VALUE = 20  # levels
LARGEST_VALUE = 200_000  # bytes of JSON
LARGEST_WHOLE = 2**53
LARGEST_SCHEMA = 2_000  # values inside

Faults = Iterator[Fault]


class Values:
    """The values that a flag of this kind and schema may have."""

    def __init__(self, kind: FlagKind, schema: Mapping[str, Any] | None = None) -> None:
        self.kind = kind
        self.schema = schema
        self._refusal = None if schema is None else _schema_problem(schema)

    def schema_faults(self) -> Faults:
        """What is wrong with the schema itself."""
        if self._refusal is not None:
            yield Fault("schema", self._refusal)

    def faults(self, value: Any, where: str) -> Faults:
        """Why the flag may not serve this value."""
        problem = json_problem(value) or kind_problem(self.kind, value)
        if problem is None and self.schema is not None and self._refusal is None:
            problem = _mismatch(self.schema, value)
        if problem is not None:
            yield Fault(where, problem)


def kind_problem(kind: FlagKind, value: Any) -> str | None:
    """Why a value is not of the kind, or None if it is.

    >>> kind_problem(FlagKind.BOOLEAN, "true")
    "a boolean flag serves true or false, not 'true'"
    >>> kind_problem(FlagKind.NUMBER, 1.5)
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind is FlagKind.BOOLEAN and not isinstance(value, bool):
        return f"a boolean flag serves true or false, not {_short(value)}"
    if kind is FlagKind.STRING and not isinstance(value, str):
        return f"a string flag serves texts, not {_short(value)}"
    if kind is FlagKind.NUMBER and not is_number:
        return f"a number flag serves numbers, not {_short(value)}"
    return None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 50 else text[:49] + "…"


def json_problem(value: Any) -> str | None:
    """Why a value cannot travel: too deep, too big, or beyond what JSON or a double can hold."""
    if n_levels(value) > DEEPEST_VALUE:
        return f"a value may nest at most {DEEPEST_VALUE} levels"
    if not all(map(_is_safe, _leaves(value))):
        return "numbers must be finite, and whole ones within 2^53, or browsers change them"
    try:
        size = len(msgspec.json.encode(value))
    except (ValueError, TypeError, UnicodeEncodeError):
        return "a value must be JSON in whole characters"
    if size > LARGEST_VALUE:
        return f"a value may have at most {LARGEST_VALUE:,} bytes of JSON, not {size:,}"
    return None


def _leaves(value: Any) -> Iterator[Any]:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict | list):
            waiting.extend(item.values() if isinstance(item, dict) else item)
        else:
            yield item


def _is_safe(leaf: Any) -> bool:
    if isinstance(leaf, float):
        return isfinite(leaf)
    return not isinstance(leaf, int) or abs(leaf) <= LARGEST_WHOLE


def _pattern(_validator: Any, pattern: str, instance: Any, _schema: Any) -> Iterator[Any]:
    """`pattern` run by RE2, so that no schema can stall the service."""
    subject = subject_of(instance) if isinstance(instance, str) else b""
    if subject is None:
        yield ValidationError("is too long to be searched")
    elif isinstance(instance, str) and not compile_pattern(pattern, ignore_case=False)(subject):
        yield ValidationError(f"does not match {pattern!r}")


_Validator = extend(Draft202012Validator, {"pattern": _pattern})


def _schema_problem(schema: Mapping[str, Any]) -> str | None:
    if n_values(schema, LARGEST_SCHEMA) > LARGEST_SCHEMA:
        return f"a schema may have at most {LARGEST_SCHEMA:,} values"
    try:
        Draft202012Validator.check_schema(schema)
    except SchemaError as wrong:
        return f"is no JSON Schema: {wrong.message[:200]}"
    return next(_schema_texts(schema), None)


def _schema_texts(schema: Any) -> Iterator[str]:
    """Why parts of a schema are refused: patterns RE2 cannot run, and references elsewhere."""
    for name, part in schema.items() if isinstance(schema, dict) else enumerate(schema):
        if name == "patternProperties":
            yield "`patternProperties` is not supported"
        if name == "pattern" and isinstance(part, str) and (why := pattern_problem(part)):
            yield f"pattern {part!r}: {why}"
        if name in ("$ref", "$dynamicRef") and isinstance(part, str) and not part.startswith("#"):
            yield f"a reference must stay inside the schema, not {part!r}"
        if isinstance(part, dict | list):
            yield from _schema_texts(part)


def _mismatch(schema: Mapping[str, Any], value: Any) -> str | None:
    """The first way in which a value does not meet the schema."""
    registry: Registry[Any] = Registry()  # empty, so nothing is ever fetched
    try:
        wrong = next(_Validator(schema, registry=registry).iter_errors(value), None)
    except (Unresolvable, RecursionError, BadPattern) as refusal:
        return f"the schema cannot be applied: {refusal}"[:300]
    if wrong is None:
        return None
    place = "".join(f"[{part!r}]" for part in wrong.absolute_path)
    return (
        f"does not meet the flag's schema{' at ' + place if place else ''}: {wrong.message[:200]}"
    )
