"""Flags over HTTP: made, changed, switched, shown and refused."""

from __future__ import annotations

from typing import Any

import pytest

from rollouts.accounts import keys
from rollouts.accounts.model import OPERATOR, Role
from rollouts.app import create_app
from rollouts.web.context import Runtime
from tests.rollouts.flags.calling import Caller
from tests.rollouts.flags.makers import ENVIRONMENT, make_flag, rollout_rule
from tests.rollouts.flags.test_service import put

RULE = {"type": "percentage", "value": True, "share": 0.5, "condition": {"country": "DE"}}


def caller(parts: Runtime, role: Role, *environments: str) -> Caller:
    """The API, called with a key of that role."""
    with parts.db.transaction() as session:
        key = keys.create_api_key(
            session,
            name=f"a {role}",
            role=role,
            environments=environments,
            actor=OPERATOR,
            now=parts.now(),
        )
    return Caller(create_app(parts=parts).test_client(), key.text)


def served(api: Caller, client_key: str) -> dict[str, Any]:
    """The features a client key is served."""
    answer = api.anyone(f"/api/features/{client_key}")
    assert answer.status_code == 200, answer.text
    return dict(answer.json["features"])


def connect(api: Caller, **more: Any) -> str:
    """A new connection's client key."""
    return str(api.post("/connections", {"name": "web", **more})["client_key"])


def test_a_flag_is_made_and_served_at_once(api: Caller):
    """Whoever made it is served it by the same process from then on."""
    key = connect(api)
    made = api.post(
        "/flags",
        {
            "key": "new-checkout",
            "owner": "ada",
            "tags": ["web"],
            "environments": {"production": {"rules": [RULE]}},
        },
    )

    assert made["revision"] == 1
    assert made["environments"]["staging"] == {"enabled": True, "rules": []}
    (rule,) = served(api, key)["new-checkout"]["rules"]
    assert rule["coverage"] == 0.5
    assert rule["id"] == made["environments"]["production"]["rules"][0]["id"]


def test_the_revision_read_is_the_revision_edited(api: Caller):
    """The ETag of a flag is what `If-Match` of an edit must say."""
    api.post("/flags", {"key": "f"})
    read = api.send("GET", "/flags/f")
    assert read.headers["ETag"] == '"1"'

    body = {"enabled": True, "rules": [RULE]}
    path = "/flags/f/environments/production"
    assert api.refused("PUT", path, body) == (428, "edit_unconditional")
    assert api.refused("PUT", path, body, revision=7) == (412, "stale_edit")
    answer = api.send("PUT", path, body, revision=1)
    assert (answer.status_code, answer.headers["ETag"]) == (200, '"2"')
    assert api.refused("PUT", path, body, revision=1) == (412, "stale_edit")


def test_a_stale_edit_shows_what_changed(api: Caller):
    """Both versions are in the refusal."""
    api.post("/flags", {"key": "f"})
    api.send("PATCH", "/flags/f", {"default": True}, revision=1)

    answer = api.send("PATCH", "/flags/f", {"owner": "bob"}, revision=1)

    assert answer.status_code == 412
    assert answer.json["errors"] == [
        {"where": "default", "problem": "you read False, now it is True"}
    ]


def test_members_left_out_of_a_change_stay(api: Caller):
    """And a given null is a value: JSON flags may serve it."""
    api.post("/flags", {"key": "f", "kind": "json", "default": {"a": 1}, "owner": "ada"})

    changed = api.send("PATCH", "/flags/f", {"off": None}, revision=1).json

    assert (changed["default"], changed["off"], changed["owner"]) == ({"a": 1}, None, "ada")
    assert "off" not in api.get("/flags/f/revisions/1")["flag"]


def test_a_preview_shows_the_difference_and_changes_nothing(api: Caller):
    """What would change is told before anybody is served it."""
    key = connect(api)
    api.post("/flags", {"key": "f"})
    body = {"enabled": False, "rules": [RULE]}

    answer = api.send("PUT", "/flags/f/environments/production?preview=true", body, revision=1)

    paths = [change["path"] for change in answer.json["changes"]]
    assert paths[0] == "environments.production.enabled"
    assert len(paths) == 2
    assert api.get("/flags/f")["revision"] == 1
    assert served(api, key) == {"f": {"defaultValue": False}}


def test_a_rule_that_sdks_read_differently_is_warned_about(api: Caller):
    """Before it is saved and afterwards; a rule that they agree on is not."""
    odd = {"type": "force", "value": True, "condition": {"seats": {"$gt": "10"}}}
    made = api.post("/flags", {"key": "f", "environments": {"production": {"rules": [RULE]}}})
    assert made["warnings"] == []

    path = "/flags/f/environments/production"
    shown = api.send("PUT", f"{path}?preview=true", {"rules": [odd]}, revision=1).json
    saved = api.send("PUT", path, {"rules": [odd]}, revision=1).json

    assert [item["environment"] for item in shown["warnings"]] == ["production"]
    (warning,) = saved["warnings"]
    assert warning["rule"] == saved["environments"]["production"]["rules"][0]["id"]
    assert "Python" in warning["warning"]


def test_switching_needs_no_revision(api: Caller):
    """Off is off, whatever else is being edited; and the reason is kept."""
    key = connect(api)
    api.post("/flags", {"key": "f", "default": True})

    body = {"environment": "production", "enabled": False, "reason": "night"}
    assert api.post("/flags/f/toggle", body)["environments"]["production"]["enabled"] is False
    assert served(api, key) == {"f": {"defaultValue": False}}
    api.post("/flags/f/toggle", {**body, "enabled": True})
    assert served(api, key) == {"f": {"defaultValue": True}}
    newest = api.get("/flags/f/revisions")["items"][0]
    assert (newest["action"], newest["reason"]) == ("flag.enabled", "night")


def test_killing_switches_off_everywhere(api: Caller):
    """Unless one environment is named; a reason is asked for."""
    live, test = connect(api), connect(api, environment="staging")
    api.post("/flags", {"key": "f", "default": True})
    api.post("/flags", {"key": "g", "default": True})

    assert api.refused("POST", "/flags/f/kill", {}) == (422, "invalid")
    api.post("/flags/f/kill", {"reason": "harm"})
    api.post("/flags/g/kill", {"reason": "harm", "environment": "staging"})

    off, on = {"defaultValue": False}, {"defaultValue": True}
    assert served(api, live) == {"f": off, "g": on}
    assert served(api, test) == {"f": off, "g": off}


def test_history_is_shown_and_brought_back(api: Caller):
    """Newest first, by pages, each with what it changed."""
    api.post("/flags", {"key": "f"})
    api.send("PATCH", "/flags/f", {"default": True, "reason": "why not"}, revision=1)
    back = api.post("/flags/f/revert", {"revision": 1}, revision=2)

    assert (back["default"], back["revision"]) == (False, 3)
    first = api.get("/flags/f/revisions?limit=2")
    assert [item["number"] for item in first["items"]] == [3, 2]
    assert first["items"][1]["changes"] == [{"path": "default", "before": False, "after": True}]
    assert first["items"][1]["actor"]["kind"] == "key"
    second = api.get(f"/flags/f/revisions?cursor={first['next_cursor']}")
    assert [item["number"] for item in second["items"]] == [1]
    assert api.refused("GET", "/flags/f/revisions/9") == (404, "not_found")
    assert api.refused("GET", "/flags/f/revisions?cursor=eA==") == (422, "invalid")


def test_an_archived_flag_leaves_lists_and_payloads(api: Caller):
    """Until it is restored."""
    key = connect(api)
    api.post("/flags", {"key": "f"})
    api.post("/flags/f/archive", {}, revision=1)

    assert api.get("/flags")["items"] == []
    assert [item["key"] for item in api.get("/flags?archived=true")["items"]] == ["f"]
    assert served(api, key) == {}
    api.post("/flags/f/restore", {})
    assert served(api, key) == {"f": {"defaultValue": False}}


def test_lists_come_in_pages(api: Caller):
    """By key, with a cursor to go on."""
    for key in ("a", "b", "c"):
        api.post("/flags", {"key": key})

    first = api.get("/flags?limit=2")
    second = api.get(f"/flags?limit=2&cursor={first['next_cursor']}")

    assert [item["key"] for item in first["items"] + second["items"]] == ["a", "b", "c"]
    assert second["next_cursor"] is None
    assert [item["key"] for item in api.get("/flags?search=B")["items"]] == ["b"]


def test_rules_of_rollouts_come_back_as_they_were(parts: Runtime, api: Caller):
    """What is read can be sent back; what belongs to a rollout cannot be changed here."""
    with parts.db.transaction() as session:
        make_flag(session, "f")
        put(session, rollout_rule(), "f")
    (rule,) = api.get("/flags/f")["environments"][ENVIRONMENT]["rules"]

    path = f"/flags/f/environments/{ENVIRONMENT}"
    kept = api.send("PUT", path, {"rules": [RULE, rule]}, revision=2)
    assert kept.status_code == 200
    grown = {**rule, "coverage": 1.0}
    assert api.refused("PUT", path, {"rules": [grown]}, revision=3) == (409, "conflict")
    assert api.refused("PUT", path, {"rules": []}, revision=3) == (409, "conflict")


@pytest.mark.parametrize(
    ("body", "place"),
    [
        ({}, "key"),
        ({"key": "no spaces"}, "key"),
        ({"key": "f", "kind": "colour"}, "kind"),
        ({"key": "f", "valeu": 1}, "valeu"),
        ({"key": "f", "default": "yes"}, "default"),
        ({"key": "f", "kind": "json", "default": {}, "schema": {"type": 1}}, "schema"),
        (
            {"key": "f", "environments": {"production": {"rules": [{"type": "force"}]}}},
            "environments.production.rules.0.force.value",
        ),
        (
            {"key": "f", "environments": {"production": {"rules": [{**RULE, "share": 2}]}}},
            "environments.production.rules.0.share",
        ),
    ],
)
def test_wrong_flags_are_refused_by_place(api: Caller, body: dict[str, Any], place: str):
    """422 with the JSON path of each thing to mend."""
    answer = api.send("POST", "/flags", body)

    assert answer.status_code == 422, answer.text
    assert place in [error["where"] for error in answer.json["errors"]]


def test_unknown_things_are_not_found(api: Caller):
    """Flags, environments, connections and saved groups alike."""
    api.post("/flags", {"key": "f"})
    for method, path, body in (
        ("GET", "/flags/nothing", None),
        ("POST", "/flags/nothing/kill", {"reason": "x"}),
        ("POST", "/flags/f/kill", {"reason": "x", "environment": "nowhere"}),
        ("POST", "/connections", {"name": "web", "environment": "nowhere"}),
        ("DELETE", "/connections/sdk-nothing", None),
        ("GET", "/saved-groups/nothing", None),
    ):
        assert api.refused(method, path, body) == (404, "not_found"), path


def test_connections_are_made_shown_and_revoked(api: Caller):
    """The encryption key is shown to administrators; a revoked key is served no more."""
    made = api.post("/connections", {"name": "app", "mode": "encrypted"})
    key = made["client_key"]

    assert made["environment"] == "production"
    assert api.get(f"/connections/{key}")["encryption_key"] == made["encryption_key"]
    assert "encryption_key" not in api.get("/connections")["items"][0]
    assert "encryptedFeatures" in api.anyone(f"/api/features/{key}").json
    assert api.send("DELETE", f"/connections/{key}").status_code == 204
    assert api.anyone(f"/api/features/{key}").status_code == 400
    assert api.get("/connections")["items"] == []


def test_options_of_a_connection_change_its_payload(api: Caller):
    """And are shown as they are."""
    key = connect(api)
    arms = [{"key": "0", "name": "Old", "value": False, "share": 0.5}]
    arms.append({"key": "1", "name": "New", "value": True, "share": 0.5})
    rule = {"type": "experiment", "variations": arms}
    api.post("/flags", {"key": "f", "environments": {"production": {"rules": [rule]}}})
    assert "name" not in served(api, key)["f"]["rules"][0]["meta"][0]

    changed = api.send("PATCH", f"/connections/{key}", {"options": {"names": True}}).json

    assert changed["options"]["names"] is True
    assert served(api, key)["f"]["rules"][0]["meta"][0]["name"] == "Old"


def test_saved_groups_are_kept_over_http(api: Caller):
    """Made, used, changed, and deleted once nothing needs them."""
    key = connect(api)
    api.post("/saved-groups", {"key": "beta", "name": "Beta", "values": ["u1", 2]})
    rule = {"type": "force", "value": True, "saved_groups": [{"match": "any", "groups": ["beta"]}]}
    api.post("/flags", {"key": "f", "environments": {"production": {"rules": [rule]}}})

    assert served(api, key)["f"]["rules"][0]["condition"] == {"$or": [{"id": {"$in": ["u1", 2]}}]}
    assert api.get("/saved-groups")["items"][0]["n_values"] == 2
    assert api.refused("DELETE", "/saved-groups/beta", revision=1) == (409, "conflict")
    body = {"name": "Beta", "values": ["u3"]}
    assert api.refused("PUT", "/saved-groups/beta", body) == (428, "edit_unconditional")
    assert api.send("PUT", "/saved-groups/beta", body, revision=1).json["revision"] == 2
    assert served(api, key)["f"]["rules"][0]["condition"] == {"$or": [{"id": {"$in": ["u3"]}}]}
    api.post("/flags/f/archive", {}, revision=1)
    assert api.send("DELETE", "/saved-groups/beta", revision=2).status_code == 204


def test_environments_are_made_by_administrators(parts: Runtime, api: Caller):
    """Readers read, editors edit, administrators decide what there is."""
    editor, reader = caller(parts, Role.EDITOR), caller(parts, Role.READER)
    assert api.post("/environments", {"key": "eu", "name": "Europe"})["version"] == 1
    editor.post("/flags", {"key": "f"})

    assert editor.refused("POST", "/environments", {"key": "us"}) == (403, "not_allowed")
    assert editor.refused("POST", "/connections", {"name": "x"}) == (403, "not_allowed")
    assert reader.refused("POST", "/flags", {"key": "g"}) == (403, "not_allowed")
    assert reader.refused("POST", "/flags/f/kill", {"reason": "x"}) == (403, "not_allowed")
    assert [item["key"] for item in reader.get("/environments")["items"]][-1] == "eu"
    assert reader.get("/flags/f")["key"] == "f"


def test_a_key_changes_only_its_environments(parts: Runtime, api: Caller):
    """One made for staging reaches nobody in production, neither by a switch nor by a default."""
    api.post("/flags", {"key": "f"})
    tester = caller(parts, Role.EDITOR, "staging")
    switch = {"environment": "staging", "enabled": False}

    tester.post("/flags/f/toggle", switch)
    for method, path, body in (
        ("POST", "/flags/f/toggle", {**switch, "environment": "production"}),
        ("POST", "/flags/f/kill", {"reason": "x"}),
        ("PATCH", "/flags/f", {"default": True}),
        ("POST", "/flags", {"key": "g"}),
        ("POST", "/saved-groups", {"key": "g", "name": "g"}),
    ):
        assert tester.refused(method, path, body, revision=2) == (403, "not_allowed"), path
    assert tester.send("PATCH", "/flags/f", {"owner": "tess"}, revision=2).status_code == 200


def test_nobody_without_a_key_sees_flags(api: Caller):
    """The API is not public; delivery is."""
    assert api.anyone("/api/v1/flags").status_code == 401
    assert api.anyone("/healthcheck").json == {"ok": True, "healthy": True}
