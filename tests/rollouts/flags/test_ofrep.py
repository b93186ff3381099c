import io
import json
from typing import Any

import pytest
from hypothesis import given
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import FlagNotFoundError, ParseError
from openfeature.flag_evaluation import Reason
from requests import Response
from requests.adapters import BaseAdapter

from rollouts.flags import ofrep
from rollouts.flags.evaluation.program import compile_payload
from rollouts.flags.evaluation.results import User
from rollouts.flags.ofrep import InvalidContext, attributes_of, etag_of, refusal_of

from .strategies import brief, json_values, payloads, steady, typed_users

GATE = {"parentConditions": [{"id": "plain", "condition": {"value": "no"}, "gate": True}]}
FEATURES: dict[str, Any] = {
    "plain": {"defaultValue": "v"},
    "ruled": {
        "defaultValue": 1,
        "rules": [{"id": "fr_1", "condition": {"country": "NZ"}, "force": 2}],
    },
    "unnamed": {"rules": [{"force": True}]},
    "split": {
        "defaultValue": "d",
        "rules": [
            {
                "key": "exp",
                "variations": ["c", "t"],
                "weights": [0, 1],
                "meta": [{"key": "control"}, {"key": "treatment"}],
            }
        ],
    },
    "gated": {"defaultValue": 1, "rules": [GATE]},
    "round": {"rules": [{"parentConditions": [{"id": "round", "condition": {}}], "force": 1}]},
    "ratio": {"defaultValue": 1, "rules": [{"condition": {"country": "NZ"}, "force": 0.5}]},
    "nothing": {"defaultValue": None},
}
PROGRAM = compile_payload(FEATURES)
USER = {"targetingKey": "u1"}


def evaluate_one(program: Any, key: str, context: Any, *more: Any, **told: Any) -> Any:
    """Status and body for one flag and a context as it is sent."""
    try:
        user = User(attributes_of(context))
    except InvalidContext as refusal:
        return 400, {"key": key, **refusal_of(refusal)}
    return ofrep.evaluate_one(program, key, user, *more, **told)[0]


def evaluate_bulk(program: Any, context: Any, *more: Any, **told: Any) -> Any:
    """Status and body for all flags and a context as it is sent."""
    try:
        user = User(attributes_of(context))
    except InvalidContext as refusal:
        return 400, refusal_of(refusal)
    return 200, ofrep.evaluate_bulk(program, user, *more, **told)[0]


@pytest.mark.parametrize(
    ("key", "context", "expected"),
    [
        ("plain", USER, {"reason": "STATIC", "variant": "default", "value": "v"}),
        ("ruled", USER, {"reason": "DEFAULT", "variant": "default", "value": 1}),
        (
            "ruled",
            {**USER, "country": "NZ"},
            {"reason": "TARGETING_MATCH", "variant": "fr_1", "value": 2},
        ),
        ("unnamed", USER, {"reason": "TARGETING_MATCH", "variant": "default", "value": True}),
        (
            "split",
            USER,
            {
                "reason": "SPLIT",
                "variant": "treatment",
                "value": "t",
                "metadata": {"experimentKey": "exp", "variationId": 1, "contextId": "u1"},
            },
        ),
        ("gated", USER, {"reason": "DISABLED", "variant": "default"}),
        ("nothing", USER, {"reason": "STATIC", "variant": "default"}),
    ],
)
def test_each_source_has_its_reason_and_variant(key, context, expected):
    """A null value is left out, so that the caller's default holds."""
    assert evaluate_one(PROGRAM, key, context) == (200, {"key": key, **expected})


def test_an_unknown_flag_is_not_found():
    """With the details that the Python provider cannot do without."""
    status, body = evaluate_one(PROGRAM, "no/such.flag", USER)

    assert status == 404
    assert body == {
        "key": "no/such.flag",
        "errorCode": "FLAG_NOT_FOUND",
        "errorDetails": "There is no such flag.",
    }


def test_a_circle_of_prerequisites_is_an_error_of_that_flag_alone():
    """A failure item in the bulk answer, a 400 alone."""
    status, body = evaluate_one(PROGRAM, "round", USER)
    bulk_status, bulk = evaluate_bulk(PROGRAM, USER)
    items = {item["key"]: item for item in bulk["flags"]}

    assert (status, body["errorCode"]) == (400, "PARSE_ERROR")
    assert bulk_status == 200
    assert items["round"] == body
    assert items["plain"]["value"] == "v"


@pytest.mark.parametrize("context", ["u1", 5, [USER], True, {"a": "x" * 10_001}])
def test_a_context_that_cannot_be_read_is_refused(context):
    """For one flag with its key, for all flags without."""
    status, body = evaluate_one(PROGRAM, "plain", context)

    assert (status, body["key"], body["errorCode"]) == (400, "plain", "INVALID_CONTEXT")
    assert evaluate_bulk(PROGRAM, context) == (
        400,
        {"errorCode": "INVALID_CONTEXT", "errorDetails": body["errorDetails"]},
    )


def test_without_a_targeting_key_flags_still_answer():
    """Splits match nobody; Python's provider sends no context at all."""
    for context in (None, {}):
        assert evaluate_one(PROGRAM, "plain", context)[1]["value"] == "v"
        assert evaluate_one(PROGRAM, "split", context)[1]["value"] == "d"


def test_the_targeting_key_is_the_unit_unless_the_context_has_its_own():
    """`id` in the context wins, whatever it is."""
    features = {"who": {"rules": [{"condition": {"id": "u1"}, "force": True}]}}
    program = compile_payload(features)

    assert evaluate_one(program, "who", USER)[1]["value"] is True
    assert "value" not in evaluate_one(program, "who", {**USER, "id": "u2"})[1]


@pytest.mark.parametrize(
    ("declared", "value", "text"),
    [
        ("number", 1, "1.0"),
        (None, 1, "1.0"),
        ("float", 1, "1.0"),
        ("integer", 1, "1"),
        ("string", 1, "1"),
    ],
)
def test_a_flag_of_fractions_sends_whole_numbers_as_fractions(declared, value, text):
    """`ratio` may be 0.5, so its 1 goes out as 1.0: Python tells them apart."""
    _, body = evaluate_one(PROGRAM, "ratio", USER, declared)

    assert body["value"] == value
    assert json.dumps(body["value"]) == text


@pytest.mark.parametrize(("declared", "text"), [("number", "1"), (None, "1"), ("float", "1.0")])
def test_a_flag_of_whole_numbers_sends_whole_numbers(declared, text):
    """Unless it is declared otherwise."""
    _, body = evaluate_one(PROGRAM, "ruled", USER, declared)
    _, bulk = evaluate_bulk(PROGRAM, USER, {"ruled": declared} if declared else {})
    items = {item["key"]: item for item in bulk["flags"]}

    assert json.dumps(body["value"]) == text
    assert json.dumps(items["ruled"]["value"]) == text


def test_metadata_tells_telemetry_where_a_value_came_from():
    """In every flag, since the web provider reads the set's own only for unknown flags."""
    given_ = {"contextId": "u1", "flagSetId": "production", "version": "47"}
    _, one = evaluate_one(PROGRAM, "split", USER, metadata=given_)
    _, bulk = evaluate_bulk(PROGRAM, USER, metadata=given_)

    assert one["metadata"] == {**given_, "experimentKey": "exp", "variationId": 1}
    assert bulk["metadata"] == given_
    assert [item for item in bulk["flags"] if item["key"] == "split"] == [one]


def test_a_split_names_the_unit_that_was_divided_by():
    """So that an exposure from telemetry is of the company where companies are divided."""
    split = {"variations": ["c", "t"], "hashAttribute": "company"}
    program = compile_payload({"f": {"rules": [split]}, "plain": {"defaultValue": 1}})
    told = {"contextId": "u1"}
    _, bulk = evaluate_bulk(program, {**USER, "company": 12}, metadata=told)

    assert {item["key"]: item["metadata"]["contextId"] for item in bulk["flags"]} == {
        "f": "12",
        "plain": "u1",
    }


def test_event_streams_are_named_in_the_bulk_answer():
    """And left out where there are none."""
    stream: dict[str, object] = {"type": "sse", "url": "https://flags.example/sub"}

    assert evaluate_bulk(PROGRAM, USER, event_streams=[stream])[1]["eventStreams"] == [stream]
    assert "eventStreams" not in evaluate_bulk(PROGRAM, USER)[1]


def test_the_tag_changes_with_the_context():
    """Since it is taken over the whole response, a changed attribute never meets a 304."""
    tags = {
        etag_of(json.dumps(evaluate_bulk(PROGRAM, {**USER, "country": country})[1]).encode())
        for country in ("NZ", "AU", "NZ", "US")
    }

    assert len(tags) == 2
    assert all(tag.startswith('"') and tag.endswith('"') for tag in tags)


@brief
@given(payloads(), typed_users)
def test_one_flag_and_all_flags_say_the_same(payload, attributes):
    """Item for item, errors included; and every reason is one that providers know."""
    program = compile_payload(payload["features"], payload["savedGroups"])
    _, bulk = evaluate_bulk(program, attributes)
    items = {item["key"]: item for item in bulk["flags"]}

    assert list(items) == list(payload["features"])
    for key, item in items.items():
        assert evaluate_one(program, key, attributes)[1] == item
        assert "errorCode" in item or Reason[item["reason"]]
        assert item.get("value") == program.evaluate(key, User(attributes)).value


@steady
@given(json_values)
def test_any_context_is_answered_or_refused(context):
    """Whatever JSON is sent."""
    assert evaluate_one(PROGRAM, "split", context)[0] in (200, 400)
    assert evaluate_bulk(PROGRAM, context)[0] in (200, 400)


class _InProcess(BaseAdapter):
    """Carries the provider's requests to the evaluation without a network."""

    def send(self, request: Any, **_: Any) -> Response:
        key = request.url.rpartition("/evaluate/flags/")[2]
        context = json.loads(request.body).get("context")
        response = Response()
        response.status_code, body = evaluate_one(PROGRAM, key, context)
        response.raw = io.BytesIO(json.dumps(body).encode())
        response.headers["Content-Type"] = "application/json"
        response.request, response.url = request, request.url
        return response

    def close(self) -> None:
        """Nothing is held open."""


@pytest.fixture
def provider():
    found = OFREPProvider("http://flags.example")
    found.session.mount("http://", _InProcess())
    yield found
    found.session.close()


def test_the_python_provider_reads_every_answer(provider):
    """Values in their types, reasons, variants; a missing value gives the caller's default."""
    context = EvaluationContext("u1")
    split = provider.resolve_string_details("split", "x", context)
    ratio = provider.resolve_float_details("ratio", 0.25, context)
    gated = provider.resolve_integer_details("gated", 9, context)

    assert (split.value, split.reason, split.variant) == ("t", Reason.SPLIT, "treatment")
    assert split.flag_metadata == {"experimentKey": "exp", "variationId": 1, "contextId": "u1"}
    assert (ratio.value, type(ratio.value)) == (1.0, float)
    assert (gated.value, gated.reason) == (9, Reason.DISABLED)
    assert provider.resolve_integer_details("ruled", 9, None).value == 1
    with pytest.raises(FlagNotFoundError):
        provider.resolve_string_details("missing", "x", context)
    with pytest.raises(ParseError):
        provider.resolve_string_details("round", "x", context)
