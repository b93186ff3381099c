import json
from typing import Any

import pytest
from growthbook import GrowthBook
from hypothesis import given
from hypothesis import strategies as st

from rollouts.errors import Malformed
from rollouts.flags.evaluation.program import compile_payload
from rollouts.flags.remote import RemoteRequest, evaluate_remote

from .sdk import Sdk
from .strategies import FLAGS, brief, json_values, payloads, steady, typed_users

PARTS = {
    "status": 200,
    "dateUpdated": "2026-11-30T10:00:00.000Z",
    "savedGroups": {"staff": ["u1"]},
    "experiments": [{"key": "visual"}],
    "contextualBandits": {"cb": {}},
}
EXPERIMENT = {
    "key": "exp",
    "variations": ["c", "t"],
    "weights": [0.5, 0.5],
    "meta": [{"key": "0"}, {"key": "1"}],
    "seed": "exp",
    "hashVersion": 2,
    "hashAttribute": "id",
    "phase": "0",
    "condition": {"id": {"$inGroup": "staff"}},
}
FEATURES: dict[str, Any] = {
    "simple": {"defaultValue": True},
    "in-exp": {"defaultValue": "d", "rules": [EXPERIMENT]},
    "child": {
        "defaultValue": "off",
        "rules": [
            {"parentConditions": [{"id": "in-exp", "condition": {"value": "t"}}], "force": "on"},
            {"parentConditions": [{"id": "in-exp", "condition": {"value": "c"}}], "force": "on"},
        ],
    },
}
GROUPS = {"staff": [f"u{n}" for n in range(50)]}


def answer(
    features: dict[str, Any] = FEATURES, sticky: Any = None, **members: Any
) -> dict[str, Any]:
    program = compile_payload(features, GROUPS)
    body = evaluate_remote(program, PARTS, RemoteRequest.of_json(members), sticky).body
    found: dict[str, Any] = json.loads(json.dumps(body))
    return found


def test_each_flag_is_reduced_to_one_value():
    """With the exposure to report when the app reads the flag, in the shape of the protocol."""
    features = answer(attributes={"id": "u1"})["features"]
    (rule,) = features["in-exp"]["rules"]
    (track,) = rule["tracks"]
    value = rule["force"]
    arm = "ct".index(value)

    assert features["simple"] == {"defaultValue": True}
    assert features["in-exp"]["defaultValue"] == value
    assert track["experiment"] == {
        "key": "exp",
        "variations": ["c", {}] if arm == 0 else [{}, "t"],
        "weights": [0.5, 0.5],
        "hashAttribute": "id",
        "hashVersion": 2,
        "seed": "exp",
        "meta": [{"key": "0"}, {"key": "1"}],
        "phase": "0",
    }
    assert track["result"] == {
        "key": str(arm),
        "featureId": "in-exp",
        "inExperiment": True,
        "hashUsed": True,
        "variationId": arm,
        "value": value,
        "hashAttribute": "id",
        "hashValue": "u1",
        "bucket": track["result"]["bucket"],
        "stickyBucketUsed": False,
    }


def test_exposures_of_prerequisites_come_with_the_flag_that_waits():
    """Once, though two of its rules wait for the same flag."""
    child = answer(attributes={"id": "u1"})["features"]["child"]

    assert [track["experiment"]["key"] for track in child["rules"][0]["tracks"]] == ["exp"]


def test_nothing_of_others_is_in_the_answer():
    """No members of saved groups, conditions, other values, bandits or page experiments."""
    text = json.dumps(answer(attributes={"id": "outsider"}))

    assert answer(attributes={"id": "outsider"}).keys() == {
        "status",
        "dateUpdated",
        "features",
        "experiments",
    }
    assert not any(part in text for part in ("u1", "staff", "condition", '"t"', "visual", "cb"))


def test_a_forced_variation_is_no_exposure():
    """Neither by the request nor by the page's address."""
    for members in ({"forcedVariations": {"exp": 1}}, {"url": "https://a.example/?exp=1"}):
        found = answer(attributes={"id": "u1"}, **members)["features"]["in-exp"]

        assert found == {"defaultValue": "t"}


def test_a_forced_feature_has_its_value():
    """And flags that wait for it see it; the last of two pairs counts."""
    found = answer(forcedFeatures=[["in-exp", "x"], ["in-exp", "t"]])["features"]

    assert found["in-exp"] == {"defaultValue": "t"}
    assert found["child"] == {"defaultValue": "on"}


def test_sticky_documents_come_in_and_go_out():
    """A unit keeps its variation; what has changed is handed back to be stored."""
    program = compile_payload(FEATURES, GROUPS)
    request = RemoteRequest.of_json({"attributes": {"id": "u1"}})
    first = evaluate_remote(program, PARTS, request, {})
    (key,) = first.sticky
    kept = first.sticky[key]["assignments"]["exp__0"]
    swapped = {**first.sticky[key], "assignments": {"exp__0": "1" if kept == "0" else "0"}}
    second = evaluate_remote(program, PARTS, request, {key: swapped})  # type: ignore[dict-item]

    assert key == "id||u1"
    assert program.sticky_keys(request.attributes) == [key]
    assert second.sticky == {}
    assert first.body["features"] != second.body["features"]


@brief
@given(payloads(), typed_users)
def test_the_sdk_gets_the_values_and_exposures_it_would_compute(payload, attributes):
    """Its own engine on the reduced payload says the same as on the whole one."""
    program = compile_payload(payload["features"], payload["savedGroups"])
    body = evaluate_remote(program, {}, RemoteRequest.of_json({"attributes": attributes})).body
    reduced, whole = Sdk(json.loads(json.dumps(body))), Sdk(payload)
    for key in payload["features"]:
        value = whole.evaluate(key, attributes).value

        assert reduced.evaluate(key, {}).value == value
        if value is not None:  # Python passes over a forced null, and its tracks with it
            assert reduced.tracked(key, {}) == whole.tracked(key, attributes)


def test_the_python_client_takes_the_answer():
    """As features of its public class, tracking callback included."""
    seen = []
    client = GrowthBook(
        features=answer(attributes={"id": "u1"})["features"],
        on_experiment_viewed=lambda experiment, result, **_: seen.append(
            (experiment.key, result.key)
        ),
    )
    value = client.get_feature_value("in-exp", None)

    assert seen == [("exp", str("ct".index(value)))]


@pytest.mark.parametrize("member", ["attributes", "forcedVariations", "forcedFeatures", "url"])
def test_every_member_may_be_absent_or_null(member):
    """Current SDKs send all four, older ones and people do not."""
    assert RemoteRequest.of_json({}) == RemoteRequest()
    assert RemoteRequest.of_json({member: None}) == RemoteRequest()


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "text",
        {"attributes": []},
        {"attributes": "id"},
        {"attributes": {f"a{n}": 1 for n in range(1_001)}},
        {"attributes": {"a": list(range(10_001))}},
        {"attributes": {"a": nested(40)}},
        {"attributes": {"a" * 201: 1}},
        {"attributes": {"a": ["x" * 10_001]}},
        {"forcedVariations": [["exp", 1]]},
        {"forcedVariations": {f"e{n}": 1 for n in range(1_001)}},
        {"forcedFeatures": {"flag": 1}},
        {"forcedFeatures": ["flag"]},
        {"forcedFeatures": [["flag"]]},
        {"forcedFeatures": [[1, 2]]},
        {"forcedFeatures": [["flag", 1]] * 1_001},
        {"url": 5},
        {"url": "x" * 10_001},
    ],
)
def test_wrong_types_and_sizes_are_refused(body):
    """By one kind of error, which becomes a 400."""
    with pytest.raises(Malformed):
        RemoteRequest.of_json(body)


@steady
@given(
    st.dictionaries(
        st.sampled_from(["attributes", "forcedVariations", "forcedFeatures", "url"]),
        json_values | st.dictionaries(st.sampled_from([*FLAGS, "exp", "id"]), json_values),
    )
)
def test_any_body_is_answered_or_refused(body):
    """Whatever JSON is sent, nothing else happens."""
    try:
        request = RemoteRequest.of_json(body)
    except Malformed:
        return
    answered = evaluate_remote(compile_payload(FEATURES, GROUPS), PARTS, request, {}).body

    assert list(answered["features"]) == list(FEATURES)  # type: ignore[call-overload]
