"""The debug view over HTTP: who sees the last exposures, and what of them."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

from rollouts import first_start
from rollouts.accounts import keys
from rollouts.accounts.model import OPERATOR, KeyKind
from rollouts.ingest.model import Source
from rollouts.ingest.otlp import Signal
from rollouts.ledger import service
from rollouts.runtime import Runtime
from tests.rollouts.ingest.logs import PROTOBUF, body_of, record, request_of, split
from tests.rollouts.ledger.make import at, exposure, frame, start_rollout


@pytest.fixture
def folded(parts: Runtime) -> Runtime:
    """A service that has folded two exposures, one of them refused."""
    with parts.db.transaction() as session:
        start_rollout(session)
    page = {
        "event_name": "Experiment Viewed",
        "properties_json": {"experimentId": "new-checkout", "variationId": "x", "hashValue": "eve"},
    }
    parts.journal.append(frame([exposure("ann", "treatment", 5)]))
    parts.journal.append(frame([page], source=Source.GROWTHBOOK, is_trusted=False, received=60))
    service.catch_up(parts.db, parts.journal, unit_key=parts.seal.unit_key, now=at(60))
    return parts


def test_exposures_are_listed_as_understood_and_as_refused(
    folded: Runtime, api: FlaskClient
) -> None:
    """Newest first, each with its state and, if refused, the reason; no unit's own name."""
    answer = api.get("/api/v1/exposures")

    assert answer.status_code == 200
    assert "ann" not in answer.text
    refused, counted = answer.get_json()["items"]
    assert (refused["state"], refused["reason"]) == ("refused", "unknown variation")
    assert (refused["source"], refused["is_trusted"]) == ("growthbook", False)
    assert (counted["state"], counted["reason"]) == ("counted", None)
    assert (counted["rollout"], counted["variation"]) == ("new-checkout", "treatment")
    assert counted["at"] == at(5).isoformat()
    assert len(counted["unit_hash"]) == 16


def test_a_unit_is_found_by_the_value_it_is_hashed_by(folded: Runtime, api: FlaskClient) -> None:
    """The service knows hashes only, and hashes what is asked for."""
    found = api.get("/api/v1/exposures", query_string={"unit": "ann"}).get_json()["items"]
    other = api.get("/api/v1/exposures", query_string={"unit": "bob"}).get_json()["items"]
    of_rollout = api.get("/api/v1/exposures", query_string={"rollout": "other"}).get_json()

    assert [item["variation"] for item in found] == ["treatment"]
    assert other == []
    assert of_rollout == {"items": [], "next_cursor": None}


def test_the_list_is_paged(folded: Runtime, api: FlaskClient) -> None:
    """One at a time, by cursor, to the end; a cursor of somebody else's is refused."""
    first = api.get("/api/v1/exposures?limit=1").get_json()
    second = api.get(f"/api/v1/exposures?limit=1&cursor={first['next_cursor']}").get_json()

    assert [item["state"] for item in first["items"] + second["items"]] == ["refused", "counted"]
    assert second["next_cursor"] is None
    assert api.get("/api/v1/exposures?cursor=bm9uZQ==").status_code == 422


def test_readers_do_not_see_single_exposures(folded: Runtime, api: FlaskClient) -> None:
    """Single exposures are an editor's business; without a key nobody sees them."""
    made = api.post("/api/v1/api-keys", json={"name": "reader", "role": "reader"})
    assert made.status_code == 201, made.text
    reader = {"Authorization": f"Bearer {made.get_json()['api_key']}"}

    assert api.get("/api/v1/exposures", headers=reader).status_code == 403
    assert api.get("/api/v1/exposures", headers={"Authorization": ""}).status_code == 401


def page_event(name: str, **properties: object) -> dict[str, object]:
    """An event of GrowthBook's tracking plugin, of a unit named u-page."""
    return {"event_name": name, "properties_json": {**properties, "hash_value": "u-page"}}


FORCED = page_event(
    "$$experiment_viewed", experiment_id="new-checkout", variation_key="x", hash_used=False
)
NAMELESS = page_event("Experiment Viewed", variationId="treatment")
STRANGER = page_event("Experiment Viewed", experimentId="other", variationId="treatment")
SEGMENT = {"type": "track", "event": "Experiment Viewed", "userId": "u-segment"}
VIEWED = {"experiment_id": "new-checkout", "variation_id": "treatment"}
WIRES = [
    ("/track?client_key={client}", [FORCED], "new-checkout", "forced or not in the experiment"),
    ("/track?client_key={client}", [NAMELESS], "(none named)", "names no experiment"),
    ("/track?client_key={client}", [STRANGER], "other", "unknown rollout"),
    ("/v1/track", {**SEGMENT, "properties": VIEWED}, "new-checkout", ""),
    ("/v1/track", {**SEGMENT, "properties": {"experimentId": "new-checkout"}}, "new-checkout", "names no variation"),
    ("/v1/batch", {"batch": [{**SEGMENT, "properties": {**VIEWED, "variation_id": "x"}}]}, "new-checkout", "unknown variation"),
    ("/v1/logs", request_of([split("u-log")]), "new-checkout", ""),
    ("/v1/logs", request_of([split("u-log", "x")]), "new-checkout", "unknown variation"),
    ("/v1/traces", request_of([split("u-span")], Signal.TRACES), "new-checkout", ""),
    ("/v1/traces", request_of([split("u-span", flag="f2")], Signal.TRACES), "flag f2", "no rollout was live"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "rollout", "reason"), WIRES)
def test_whoever_looks_for_a_unit_finds_what_became_of_it(
    parts: Runtime, api: FlaskClient, path: str, body: object, rollout: str, reason: str
) -> None:
    """From every wire format, counted or refused with the reason, by the unit's own name."""
    first_start.prepare(parts)
    with parts.db.transaction() as session:
        start_rollout(session)
        key = keys.create_write_key(
            session,
            name="shop",
            environment="production",
            kind=KeyKind.SERVER_WRITE,
            actor=OPERATOR,
            now=parts.now(),
        ).text
    client = api.post("/api/v1/connections", json={"name": "web"}).get_json()["client_key"]
    answer = api.post(
        path.format(client=client), json=body, headers={"Authorization": f"Bearer {key}"}
    )
    service.catch_up(parts.db, parts.journal, unit_key=parts.seal.unit_key, now=parts.now())

    assert answer.status_code == 200, answer.text
    unit = {"/track": "u-page", "/v1/lo": "u-log", "/v1/traces": "u-span"}
    named = next((unit[start] for start in unit if path.startswith(start)), "u-segment")
    (shown,) = api.get(f"/api/v1/exposures?unit={named}").get_json()["items"]
    assert (shown["rollout"], shown["state"]) == (rollout, "refused" if reason else "counted")
    assert reason in (shown["reason"] or "")


def test_evaluations_are_shown_under_their_rollout(parts: Runtime, api: FlaskClient) -> None:
    """From the log record to the list: the rollout that was live, or which flag had none."""
    first_start.prepare(parts)
    with parts.db.transaction() as session:
        start_rollout(session)
        key = keys.create_write_key(
            session,
            name="shop",
            environment="production",
            kind=KeyKind.SERVER_WRITE,
            actor=OPERATOR,
            now=parts.now(),
        ).text
    sent = [split("ann"), split("ann", flag="other-flag"), record("user.signed_in")]
    answer = api.post(
        "/v1/logs",
        data=body_of(sent, PROTOBUF),
        headers={"Authorization": f"Bearer {key}", "Content-Type": PROTOBUF},
    )
    service.catch_up(parts.db, parts.journal, unit_key=parts.seal.unit_key, now=parts.now())

    assert (answer.status_code, answer.data) == (200, b"")
    other, counted = api.get("/api/v1/exposures").get_json()["items"]
    assert (counted["rollout"], counted["variation"], counted["state"]) == (
        "new-checkout",
        "treatment",
        "counted",
    )
    assert (counted["source"], counted["is_trusted"]) == ("otlp", True)
    assert (other["rollout"], other["reason"]) == (
        "flag other-flag",
        "no rollout was live on this flag",
    )
    found = api.get("/api/v1/exposures?unit=ann").get_json()["items"]
    assert [item["id"] for item in found] == [other["id"], counted["id"]]
    assert len(api.get("/api/v1/exposures?rollout=new-checkout").get_json()["items"]) == 1
