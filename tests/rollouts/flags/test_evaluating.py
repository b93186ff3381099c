"""Evaluation over HTTP: what is answered to whom, and what is kept."""

from __future__ import annotations

import json
from typing import Any

import pytest
from growthbook import GrowthBook
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from rollouts.flags import evaluating, service
from rollouts.flags.model import (
    Arm,
    ExperimentRule,
    FlagState,
    ForceRule,
    GroupTest,
    Mode,
    Options,
    PercentageRule,
)
from rollouts.flags.sticky_store import StickyDocumentRow
from rollouts.runtime import Runtime
from tests.rollouts.flags.calling import Caller
from tests.rollouts.flags.makers import (
    EDITOR,
    ENVIRONMENT,
    NOW,
    make_connection,
    make_flag,
    make_group,
)
from tests.rollouts.flags.test_delivery import lost

ARMS = (Arm("old", "Old", False, 0.5), Arm("new", "New", True, 0.5))


def connect(parts: Runtime, mode: Mode = Mode.REMOTE, **options: Any) -> str:
    """A new connection's client key."""
    with parts.db.transaction() as session:
        key = make_connection(session, mode, options=Options(**options)).client_key
    parts.delivery.refresh()
    return key


def with_flags(parts: Runtime) -> None:
    """A flag for members of a secret group, and one that divides everybody."""
    with parts.db.transaction() as session:
        make_group(session, "staff", values=("secret-1", "secret-2"))
        test = GroupTest("any", ("staff",))
        make_flag(session, "inside", ForceRule(value=True, saved_groups=(test,)))
        make_flag(session, "split", ExperimentRule(id="r", key="exp", variations=ARMS))


def evaluate(api: Caller, key: str, body: Any, status: int = 200) -> dict[str, Any]:
    """What remote evaluation answers."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    answer = api.client.post(f"/api/eval/{key}", data=data)
    assert answer.status_code == status, answer.text
    return dict(answer.json)


def test_a_remote_answer_holds_one_users_flags_and_no_rule(parts: Runtime, api: Caller):
    """Neither members of groups, nor conditions, nor other variations leave the server."""
    with_flags(parts)
    body = evaluate(api, connect(parts), {"attributes": {"id": "secret-1"}})

    assert body["features"]["inside"] == {"defaultValue": True}
    assert body.keys() == {"features", "experiments", "dateUpdated"}
    text = json.dumps(body)
    assert "secret-2" not in text
    assert "savedGroups" not in text
    (track,) = body["features"]["split"]["rules"][0]["tracks"]
    assert {} in track["experiment"]["variations"]
    assert "Old" not in text  # names are told only where the connection says so


def test_a_remote_answer_works_in_the_sdk(parts: Runtime, api: Caller):
    """It evaluates to what the SDK finds by itself, and tracks the same."""
    with_flags(parts)
    local = connect(parts, Mode.PLAIN)
    remote = connect(parts)
    whole = api.anyone(f"/api/features/{local}").json

    for number in range(20):
        seen: list[list[Any]] = [[], []]
        values = []
        for place, payload in enumerate(
            (whole, evaluate(api, remote, {"attributes": {"id": f"u{number}"}}))
        ):
            book = GrowthBook(
                attributes={"id": f"u{number}"},
                features=payload["features"],
                on_experiment_viewed=lambda experiment, result, user_context, told=seen[place]: (
                    told.append((experiment.key, result.key, result.variationId))
                ),
            )
            values.append(book.get_feature_value("split", None))
            book.destroy()
        assert values[0] == values[1]
        assert seen[0] == seen[1] != []


def test_forced_variations_are_not_tracked(parts: Runtime, api: Caller):
    """Whoever looks at a variation on purpose is no evidence."""
    with_flags(parts)
    body = evaluate(
        api, connect(parts), {"attributes": {"id": "u1"}, "forcedVariations": {"exp": 1}}
    )

    assert body["features"]["split"] == {"defaultValue": True}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"[" * 100_000,
        b'{"attributes":[]}',
        b'{"attributes":{"id":' + b"9" * 5_000 + b"}}",
        b'{"forcedFeatures":{"a":1}}',
        b'{"url":1}',
        json.dumps({"attributes": {f"a{n}": n for n in range(1_001)}}).encode(),
        b"\xff\xfe",
        b'{"attributes":{"id":"\\ud800"}}',
    ],
)
def test_wrong_input_is_refused_in_growthbooks_words(parts: Runtime, api: Caller, body: bytes):
    """400 and never more than that, whatever is sent."""
    with_flags(parts)

    refused = api.client.post(f"/api/eval/{connect(parts)}", data=body)

    assert (refused.status_code, refused.json) == (400, {"status": 400, "error": "Invalid input"})


def test_evaluation_is_refused_where_it_is_not_offered(parts: Runtime, api: Caller):
    """To unknown keys, and on connections that hand out rules instead."""
    with_flags(parts)

    assert evaluate(api, "sdk-nothing", {}, 400)["error"] == "Invalid API Key"
    plain = connect(parts, Mode.PLAIN)
    refused = evaluate(api, plain, {}, 400)
    assert refused["error"] == "Remote evaluation disabled for this connection"
    assert evaluate(api, connect(parts), b" " * 1_000_001, 413)["error"] == "Invalid input"


def give_all_to_new(parts: Runtime) -> None:
    """From now on everybody who is divided gets the second variation."""
    with parts.db.transaction() as session:
        shifted = tuple(Arm(a.key, a.name, a.value, float(a.value)) for a in ARMS)
        rule = ExperimentRule(id="r", key="exp", variations=shifted)
        service.set_state(
            session, "split", ENVIRONMENT, FlagState(True, rules=(rule,)), actor=EDITOR, now=NOW
        )
    parts.delivery.refresh()


def test_a_unit_keeps_its_variation_where_that_is_wanted(parts: Runtime, api: Caller):
    """The shares may change as they like: whoever was in an arm stays in it."""
    with_flags(parts)
    sticky, fresh = connect(parts, is_sticky=True), connect(parts)
    units = [f"u{number}" for number in range(30)]

    def arms(key: str) -> list[Any]:
        bodies = [evaluate(api, key, {"attributes": {"id": unit}}) for unit in units]
        return [body["features"]["split"]["defaultValue"] for body in bodies]

    before = arms(sticky)
    assert set(before) == {False, True}
    give_all_to_new(parts)

    assert arms(fresh) == [True] * 30
    assert arms(sticky) == before


def test_kept_variations_hold_no_ids(parts: Runtime, api: Caller):
    """The store knows a hash of the unit, and what it was given."""
    with_flags(parts)
    evaluate(api, connect(parts, is_sticky=True), {"attributes": {"id": "personal-name"}})

    with parts.db.reading() as session:
        (row,) = session.scalars(select(StickyDocumentRow))
    assert "personal-name" not in f"{row.unit_hash} {row.assignments}"
    assert list(row.assignments) == ["exp__0"]


def test_evaluation_goes_on_without_a_store(parts: Runtime, api: Caller):
    """Nobody is remembered meanwhile, and nobody sees an error."""
    with_flags(parts)
    key = connect(parts, is_sticky=True)
    body = {"attributes": {"id": "u1"}}
    with_store = evaluate(api, key, body)
    with lost(parts.db):
        assert evaluate(api, key, body)["features"] == with_store["features"]


# OFREP


def ask(api: Caller, key: str | None, path: str, body: Any = None, **headers: str) -> Any:
    """An answer of OFREP."""
    if key is not None:
        headers["Authorization"] = f"Bearer {key}"
    data = body if isinstance(body, bytes) else json.dumps(body or {})
    return api.client.post(f"/ofrep/v1/evaluate/flags{path}", data=data, headers=headers)


USER = {"context": {"targetingKey": "u1"}}
UNITS = [f"u{number}" for number in range(20)]


@pytest.mark.parametrize("first", ["one flag", "all flags", "remotely"])
def test_a_unit_keeps_its_variation_whichever_way_it_is_asked_for(
    parts: Runtime, api: Caller, first: str
):
    """One store for single flags, all flags and remote evaluation; a unit met later is not held."""
    with_flags(parts)
    remote = connect(parts, is_sticky=True)

    def one(unit: str) -> Any:
        return ask(api, remote, "/split", {"context": {"targetingKey": unit}}).json["value"]

    def bulk(unit: str) -> Any:
        found = ask(api, remote, "", {"context": {"targetingKey": unit}}).json["flags"]
        return next(item["value"] for item in found if item["key"] == "split")

    def whole(unit: str) -> Any:
        body = evaluate(api, remote, {"attributes": {"id": unit}})
        return body["features"]["split"]["defaultValue"]

    ways = {"one flag": one, "all flags": bulk, "remotely": whole}
    before = [ways[first](unit) for unit in UNITS]
    assert set(before) == {False, True}
    give_all_to_new(parts)

    for way in ways.values():
        assert [way(unit) for unit in UNITS] == before
        assert way("met-later") is True


def test_a_tag_is_of_what_is_answered_to_those_who_keep_theirs_too(parts: Runtime, api: Caller):
    """The same again: 304. After a change: 200, with the variation that is kept or the new one."""
    with_flags(parts)
    keys = {is_sticky: connect(parts, is_sticky=is_sticky) for is_sticky in (True, False)}
    asked = [{"context": {"targetingKey": unit}} for unit in UNITS]
    first = {key: [ask(api, key, "", who) for who in asked] for key in keys.values()}
    for key, answers in first.items():
        for who, answer in zip(asked, answers, strict=True):
            tag = answer.headers["ETag"]
            assert ask(api, key, "", who, **{"If-None-Match": tag}).status_code == 304
    give_all_to_new(parts)

    for is_sticky, key in keys.items():
        values = [answer.json["flags"][1]["value"] for answer in first[key]]
        for who, answer, value in zip(asked, first[key], values, strict=True):
            again = ask(api, key, "", who, **{"If-None-Match": answer.headers["ETag"]})
            assert again.status_code == 200  # the version in the metadata is a new one
            assert again.json["flags"][1]["value"] is (value if is_sticky else True)


def test_one_flag_is_evaluated(parts: Runtime, api: Caller):
    """With reason, variant and what telemetry wants to know."""
    with_flags(parts)
    answer = ask(api, connect(parts, Mode.PLAIN), "/split", USER)

    found = answer.json
    assert answer.status_code == 200
    assert (found["key"], found["reason"]) == ("split", "SPLIT")
    assert found["variant"] == ("new" if found["value"] else "old")
    held = parts.delivery.list_held()[0]
    assert found["metadata"] == {
        "contextId": "u1",
        "flagSetId": "production",
        "version": str(held.served.source.version),
        "experimentKey": "exp",
        "variationId": int(found["value"]),
    }
    unnamed = ask(api, held.connection.client_key, "/inside", {}).json
    assert unnamed["metadata"].keys() == {"flagSetId", "version"}


def test_a_key_may_come_either_way(parts: Runtime, api: Caller):
    """As a Bearer token or in X-API-Key; without one nothing is evaluated."""
    with_flags(parts)
    key = connect(parts, Mode.ENCRYPTED)

    assert ask(api, None, "/split", USER, **{"X-API-Key": key}).status_code == 200
    for wrong in (None, "sdk-nothing", ""):
        refused = ask(api, wrong, "/split", USER)
        assert (refused.status_code, refused.json["errorCode"]) == (401, "GENERAL")
        assert ask(api, wrong, "", USER).status_code == 401


@pytest.mark.parametrize("flag", ["nothing", "a/b", "a.b:c", "ä", "a%2Fb"])
def test_an_unknown_flag_is_told_as_such(parts: Runtime, api: Caller, flag: str):
    """Whatever characters its key has, encoded or not."""
    with_flags(parts)
    answer = ask(api, connect(parts), f"/{flag}", USER)

    assert (answer.status_code, answer.json["errorCode"]) == (404, "FLAG_NOT_FOUND")
    assert answer.json["key"] == flag.replace("%2F", "/")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PARSE_ERROR"),
        (b"[]", "PARSE_ERROR"),
        (b"[" * 100_000, "PARSE_ERROR"),
        (b"\xff", "PARSE_ERROR"),
        (b'{"context":[]}', "INVALID_CONTEXT"),
    ],
)
def test_what_cannot_be_read_is_named(parts: Runtime, api: Caller, body: bytes, code: str):
    """With the details that Python's provider insists on."""
    with_flags(parts)
    key = connect(parts)
    for path in ("/split", ""):
        answer = ask(api, key, path, body)
        assert (answer.status_code, answer.json["errorCode"]) == (400, code)
        assert answer.json["errorDetails"]


def test_no_context_is_no_error(parts: Runtime, api: Caller):
    """Python's provider sends none at times; flags that need none answer."""
    with_flags(parts)
    key = connect(parts)
    for body in (b"", b"{}", b'{"context":null}', b'{"context":{}}'):
        answer = ask(api, key, "/split", body)
        assert (answer.status_code, answer.json["value"]) == (200, False)


def test_all_flags_come_with_a_tag_over_the_whole_answer(parts: Runtime, api: Caller):
    """The same user and configuration: 304. Another user: never, whatever tag is sent."""
    with_flags(parts)
    key = connect(parts)
    first = ask(api, key, "", USER)
    tag = first.headers["ETag"]

    assert [item["key"] for item in first.json["flags"]] == ["inside", "split"]
    assert first.json["eventStreams"] == [
        {"type": "sse", "endpoint": {"requestUri": f"/ofrep/v1/stream/{key}"}}
    ]
    again = ask(api, key, "", USER, **{"If-None-Match": tag})
    assert (again.status_code, again.data, again.headers["ETag"]) == (304, b"", tag)
    staff = {"context": {"targetingKey": "secret-1"}}
    assert ask(api, key, "", staff, **{"If-None-Match": tag}).status_code == 200


def test_a_client_that_knows_of_a_newer_configuration_never_gets_304(parts: Runtime, api: Caller):
    """And a process that is behind catches up before it answers."""
    with_flags(parts)
    key = connect(parts)
    first = ask(api, key, "", USER)
    held = parts.delivery.current(key)
    assert held is not None
    tag = {"If-None-Match": first.headers["ETag"]}

    same = ask(api, key, f"?flagConfigEtag={held.served.event_id}", USER, **tag)
    assert same.status_code == 304
    assert ask(api, key, "?flagConfigEtag=999-new", USER, **tag).status_code == 200
    with parts.db.transaction() as session:
        service.kill(session, "split", environment=None, reason="x", actor=EDITOR, now=NOW)
    answer = ask(api, key, "?flagConfigEtag=999-new", USER, **tag)
    assert answer.json["flags"][1]["value"] is False
    assert answer.json["flags"][1]["reason"] == "STATIC"


def test_an_event_says_to_evaluate_again(parts: Runtime, api: Caller):
    """By the type that providers know, with the configuration's tag."""
    with_flags(parts)
    key = connect(parts)
    answer = api.client.get(f"/ofrep/v1/stream/{key}", buffered=False)
    chunks = answer.iter_encoded()
    next(chunks)
    lines = next(chunks).decode().split("\n")
    answer.close()

    held = parts.delivery.current(key)
    assert held is not None
    assert lines[:2] == [f"id: {held.served.event_id}", "event: message"]
    told = json.loads(lines[2].removeprefix("data: "))
    assert (told["type"], told["etag"]) == ("refetchEvaluation", held.served.event_id)
    assert told["lastModified"] == int(held.served.source.updated_at.timestamp())
    assert api.anyone("/ofrep/v1/stream/sdk-nothing").status_code == 400


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)
people = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("id", "targetingKey", "country", "tags", "staff", "version"), anything),
)


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(people | anything, anything)
def test_whatever_is_asked_has_an_answer(parts: Runtime, api: Caller, who: Any, other: Any):
    """No body makes an evaluation fail: it is answered, or refused by a defined word."""
    key = KEYS.setdefault(str(parts.settings.var_dir), "") or _prepared(parts)
    asked = {"attributes": who, "forcedVariations": other, "url": "https://x/?exp=1"}
    bodies = (json.dumps(body).encode() for body in (asked, {"context": who}, who, other))
    for body in bodies:
        for path in (f"/api/eval/{key}", "/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/f"):
            answer = api.client.post(path, data=body, headers={"X-API-Key": key})
            assert answer.status_code in (200, 400), answer.text
            json.loads(answer.data)


KEYS: dict[str, str] = {}


def _prepared(parts: Runtime) -> str:
    """A connection to flags with every kind of rule."""
    deep = {"$or": [{"tags": {"$elemMatch": {"$regex": "^a+$"}}}, {"version": {"$vgt": "1.2"}}]}
    with parts.db.transaction() as session:
        make_group(session, "staff", values=("u1", 2))
        make_flag(
            session,
            "f",
            ForceRule(value=True, condition={"id": {"$inGroup": "staff"}, "$not": deep}),
            PercentageRule(value=True, share=0.5, unit="country"),
            ExperimentRule(key="exp", variations=ARMS, condition=deep),
        )
    KEYS[str(parts.settings.var_dir)] = connect(parts)
    return KEYS[str(parts.settings.var_dir)]


def test_browsers_may_evaluate_from_any_page(parts: Runtime, api: Caller):
    """The preflight allows what providers send, and the tag can be read."""
    with_flags(parts)
    for path in ("/ofrep/v1/evaluate/flags", "/ofrep/v1/evaluate/flags/f", "/api/eval/sdk-x"):
        answer = api.client.options(path)
        allowed = answer.headers["Access-Control-Allow-Headers"].lower()
        assert answer.status_code == 204
        for name in ("content-type", "if-none-match", "authorization", "x-api-key"):
            assert name in allowed
    assert "etag" in evaluating.OFREP_TYPES[-1][1]
