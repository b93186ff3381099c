"""OFREP 0.3: what a flag is worth to a context, as every OpenFeature provider reads it."""

from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

from rollouts.flags.evaluation.limits import attributes_problem
from rollouts.flags.evaluation.members import hash_text
from rollouts.flags.evaluation.program import Program
from rollouts.flags.evaluation.results import Result, Source, StickyDocument, User

Json = dict[str, object]
Answer = tuple[int, Json]
Sticky = dict[str, StickyDocument]
Metadata = Mapping[str, str | float | bool]  # flat: providers refuse anything nested

DEFAULT_VARIANT: Final = "default"  # the Python provider fails without a variant


class InvalidContext(ValueError):
    """A context that cannot be evaluated; the text says why."""


def attributes_of(context: object) -> Json:
    """The attributes in a context, which may be absent. Raises InvalidContext.

    `targetingKey` is the attribute `id` unless the context has its own. Without either, rules
    that split users match nobody, which is no error: flags without such rules still answer.
    """
    if context is None:
        return {}
    if not isinstance(context, dict):
        raise InvalidContext("The context must be an object.")
    problem = attributes_problem(context)
    if problem:
        raise InvalidContext(problem)
    if "targetingKey" in context and "id" not in context:
        return {**context, "id": context["targetingKey"]}
    return context


def evaluate_one(
    program: Program,
    key: str,
    user: User,
    declared_type: str | None = None,
    metadata: Metadata | None = None,
) -> tuple[Answer, Sticky]:
    """Status and body for one flag, and the sticky documents that changed.

    declared_type: the flag's kind; "float" gives every number a fraction point, "integer" none,
    and "number" or None does as the flag's own values do.
    metadata: `contextId`, `flagSetId`, `version` for telemetry.
    """
    evaluation = program.start(user)
    result = evaluation.result(key)
    if result.source is Source.UNKNOWN_FEATURE:
        return (404, _failure(key, "FLAG_NOT_FOUND", "There is no such flag.")), {}
    item = _item(program, key, result, declared_type, metadata or {})
    return ((400 if "errorCode" in item else 200), item), evaluation.changed


def evaluate_bulk(
    program: Program,
    user: User,
    declared_types: Mapping[str, str] | None = None,
    metadata: Metadata | None = None,
    event_streams: Sequence[Json] = (),
) -> tuple[Json, Sticky]:
    """The body for all flags; a flag that cannot be evaluated fails alone. And what is sticky."""
    types, shared = declared_types or {}, metadata or {}
    evaluation = program.start_all(user)
    results = program.results_of(evaluation)
    body: Json = {
        "flags": [
            _item(program, key, result, types.get(key), shared) for key, result in results.items()
        ]
    }
    if shared:
        body["metadata"] = shared
    if event_streams:
        body["eventStreams"] = list(event_streams)
    return body, evaluation.changed


def etag_of(body: bytes) -> str:
    """A tag over the whole response.

    A tag over the configuration alone would answer 304 to a context that has changed, since
    the web provider keeps its tag until the targeting key changes.
    """
    return f'"{sha256(body).hexdigest()[:32]}"'


def context_id(attributes: Mapping[str, object]) -> dict[str, str]:
    """Whom a flag was asked for, in telemetry's word: the targeting key, or nothing.

    >>> context_id({"targetingKey": "u1"}), context_id({"id": 8}), context_id({"country": "NZ"})
    ({'contextId': 'u1'}, {'contextId': '8'}, {})
    """
    text = hash_text(attributes.get("targetingKey")) or hash_text(attributes.get("id"))
    return {"contextId": text} if text else {}


def refusal_of(refusal: InvalidContext) -> Json:
    """A context that cannot be evaluated, as providers read it."""
    return {"errorCode": "INVALID_CONTEXT", "errorDetails": str(refusal)}


def _failure(key: str, code: str, details: str) -> Json:
    return {"key": key, "errorCode": code, "errorDetails": details}


def _item(
    program: Program, key: str, result: Result, declared_type: str | None, shared: Metadata
) -> Json:
    """One flag of an answer; no value means that the caller's own default holds."""
    if result.source is Source.CYCLIC_PREREQUISITE:
        return _failure(key, "PARSE_ERROR", "The flag's prerequisites go round in a circle.")
    reason, variant = _reason(program, key, result)
    item: Json = {"key": key, "reason": reason, "variant": variant}
    if result.value is not None:
        item["value"] = _typed(result.value, _is_float(program, key, declared_type))
    metadata = _with_experiment(result, shared)
    if metadata:
        item["metadata"] = metadata
    return item


def _reason(program: Program, key: str, result: Result) -> tuple[str, str]:
    """Reason and variant. Any reason outside the specification's list fails in Python."""
    match result.source:
        case Source.EXPERIMENT if result.experiment_result:
            return "SPLIT", result.experiment_result.key
        case Source.FORCE:
            return "TARGETING_MATCH", result.rule_id or DEFAULT_VARIANT
        case Source.PREREQUISITE:
            return "DISABLED", DEFAULT_VARIANT
        case Source.DEFAULT_VALUE if program.has_rules(key):
            return "DEFAULT", DEFAULT_VARIANT
    return "STATIC", DEFAULT_VARIANT


def _is_float(program: Program, key: str, declared_type: str | None) -> bool | None:
    """Whether numbers are to have a fraction point; None where there is no telling of types."""
    match declared_type:
        case "float":
            return True
        case "integer":
            return False
        case "number" | None:
            return True if program.is_float(key) else None
    return None


def _typed(value: object, is_float: bool | None) -> object:
    """A number in its flag's type: Python's provider takes no `1` for a float."""
    if is_float is True and type(value) is int:
        return float(value)
    if is_float is False and type(value) is float and value.is_integer():
        return int(value)
    return value


def _with_experiment(result: Result, shared: Metadata) -> Metadata:
    """Of a split, the unit that was divided by is whom telemetry is to name: a company, say."""
    found, definition = result.experiment_result, result.experiment
    if found is None or definition is None:
        return shared
    told: Metadata = {"experimentKey": str(definition["key"]), "variationId": found.variation}
    unit = hash_text(found.hash_value)
    return {**shared, **told, **({"contextId": unit} if unit else {})}
