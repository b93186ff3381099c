"""Importing over HTTP: all or nothing, nothing overwritten unasked."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rollouts.flags import service
from rollouts.flags.encryption import decrypt
from rollouts.flags.evaluation.program import compile_payload
from rollouts.flags.evaluation.results import User
from rollouts.runtime import Runtime
from tests.rollouts.flags.calling import Caller
from tests.rollouts.flags.makers import EDITOR, NOW, rollout_rule
from tests.rollouts.flags.strategies import odd_payloads, payloads, typed_users
from tests.rollouts.flags.test_growthbook import GOLDEN, REFUSED, importable, one, told

PATH = "/environments/production/import/growthbook"


@pytest.fixture
def shop() -> dict[str, Any]:
    """A payload as a shop's GrowthBook serves it."""
    return dict(json.loads(GOLDEN.read_text()))


def test_a_payload_comes_back_over_http(api: Caller, shop: dict[str, Any]):
    """Imported with one call, served to SDKs by the next, in one version."""
    options = {"saved_groups": "references"}
    client_key = api.post("/connections", {"name": "web", "options": options})["client_key"]
    before = api.get("/environments")["items"][0]["version"]

    done = api.post(PATH, shop)

    served = api.anyone(f"/api/features/{client_key}").json
    assert {item["key"] for item in done["changes"]} == {*shop["features"], *shop["savedGroups"]}
    assert served["features"].keys() == shop["features"].keys()
    assert served["savedGroups"].keys() == shop["savedGroups"].keys()
    assert api.get("/environments")["items"][0]["version"] == before + 1
    assert api.get("/flags/new-checkout")["environments"]["production"]["enabled"] is True
    assert "staging" not in api.get("/flags/new-checkout")["environments"]


def test_importing_twice_changes_nothing(api: Caller, shop: dict[str, Any]):
    """Rules keep their ids, and no revision is left behind."""
    api.post(PATH, shop)

    again = api.post(PATH, shop)

    assert (again["changes"], again["unchanged"]) == ([], 9)
    assert api.get("/flags/delivery-promise")["revision"] == 1


def test_a_preview_changes_nothing(api: Caller, shop: dict[str, Any]):
    """It only says what would be."""
    shown = api.post(f"{PATH}?preview=true", shop)

    assert len(shown["changes"]) == 9
    assert {item["change"] for item in shown["changes"]} == {"new"}
    assert api.get("/flags")["items"] == []


def test_what_is_here_already_is_replaced_only_if_asked(api: Caller):
    """And elsewhere it stays as it is."""
    api.post("/flags", {"key": "f", "kind": "number", "default": 7})

    assert api.refused("POST", PATH, one({"force": 2})) == (409, "conflict")
    assert api.get("/flags/f")["revision"] == 1
    shown = api.post(f"{PATH}?on_conflict=replace&preview=true", one({"force": 2}))
    assert shown["changes"][0]["change"] == "changed"
    api.post(f"{PATH}?on_conflict=replace", one({"force": 2}))

    places = api.get("/flags/f")["environments"]
    assert places["production"]["default"] == 1
    assert places["production"]["rules"][0]["value"] == 2
    assert places["staging"] == {"enabled": True, "rules": []}
    assert api.get("/flags/f")["default"] == 7


def test_a_flag_takes_a_wider_kind_if_it_must(api: Caller):
    """Numbers and texts together are JSON."""
    api.post("/flags", {"key": "f", "kind": "number", "default": 7})

    api.post(f"{PATH}?on_conflict=replace", one({"force": "many"}))

    assert api.get("/flags/f")["kind"] == "json"


def test_saved_groups_of_others_are_not_overwritten(api: Caller):
    """Flags of every environment refer to them."""
    api.post("/saved-groups", {"key": "g", "name": "Staff", "values": ["u1"]})
    body = {"features": {}, "savedGroups": {"g": ["u2"]}}

    assert api.refused("POST", PATH, body) == (409, "conflict")
    api.post(f"{PATH}?on_conflict=replace", body)

    group = api.get("/saved-groups/g")
    assert (group["name"], group["values"]) == ("Staff", ["u2"])


@pytest.mark.parametrize(("body", "_where"), REFUSED)
def test_a_payload_that_cannot_be_kept_changes_nothing(api: Caller, body: Any, _where: str):
    """Not even the flags of it that could be."""
    body = {**body, "features": {"fine": {"defaultValue": 1}, **body["features"]}}

    status, code = api.refused("POST", PATH, body)

    assert (status, code) == (422, "invalid")
    assert api.get("/flags")["items"] == []


@pytest.mark.parametrize("more", [{"encryptedFeatures": "x.y"}, {"feature": {}}])
def test_other_sections_are_refused(api: Caller, more: dict[str, Any]):
    """What cannot be read, and what is misspelt."""
    assert api.refused("POST", PATH, {"features": {}, **more}) == (422, "invalid")


VISUAL = {"key": "visual", "variations": [{}, {"js": "alert(1)"}], "condition": {"a": 1}}
BANDITS = {"cb": {"banditVersion": 1, "contexts": [{"leafId": 2, "weights": [0, 1]}]}}
CONTEXTUAL = {"key": "x", "contextualVariations": [1, 2], "contextualBanditRef": "cb"}
WHOLE = {**one(CONTEXTUAL), "experiments": [VISUAL], "contextualBandits": BANDITS}


def test_what_no_flag_holds_is_passed_on(api: Caller):
    """Plain and encrypted, as it came; evaluated here where it can be; cleared by an empty one."""
    made = {
        mode: api.post("/connections", {"name": mode, "mode": mode})
        for mode in ("plain", "encrypted", "remote")
    }
    keys = {mode: item["client_key"] for mode, item in made.items()}
    done = api.post(PATH, WHOLE)
    plain = api.anyone(f"/api/features/{keys['plain']}").json
    sealed = api.anyone(f"/api/features/{keys['encrypted']}").json

    assert plain["experiments"] == [VISUAL]
    assert plain["contextualBandits"] == BANDITS
    assert plain["features"]["f"]["rules"][0]["contextualVariations"] == [1, 2]
    assert sealed["experiments"] == []
    assert "contextualBandits" not in sealed
    for name, section in (("Experiments", [VISUAL]), ("ContextualBandits", BANDITS)):
        text = decrypt(sealed[f"encrypted{name}"], made["encrypted"]["encryption_key"])
        assert json.loads(text) == section
    body = json.dumps({"attributes": {"id": "u1"}})
    remote = api.client.post(f"/api/eval/{keys['remote']}", data=body).json
    assert remote["features"]["f"]["defaultValue"] == 2
    assert remote["features"]["f"]["rules"][0]["tracks"][0]["result"]["leafId"] == 2
    assert (remote["experiments"], "contextualBandits" in remote) == ([], False)
    assert [item["kind"] for item in done["changes"]] == ["environment", "flag"]
    assert api.post(PATH, WHOLE)["changes"] == []

    cleared = {**one(CONTEXTUAL), "experiments": []}
    assert api.refused("POST", PATH, cleared) == (409, "conflict")
    api.post(f"{PATH}?on_conflict=replace", cleared)
    plain = api.anyone(f"/api/features/{keys['plain']}").json
    assert (plain["experiments"], plain["contextualBandits"]) == ([], BANDITS)


def test_a_connection_may_leave_experiments_out(api: Caller):
    """Not every app wants what a visual editor made; bandits stay, for rules refer to them."""
    options = {"experiments": False}
    key = api.post("/connections", {"name": "app", "options": options})["client_key"]
    api.post(PATH, WHOLE)

    assert api.get(f"/connections/{key}")["options"]["experiments"] is False
    served = api.anyone(f"/api/features/{key}").json
    assert served.keys() & {"experiments", "contextualBandits"} == {"contextualBandits"}


def test_only_administrators_bring_code_into_pages(api: Caller):
    """An editor changes flags; experiments of a visual editor run scripts wherever they match."""
    made = api.post("/api-keys", {"name": "editor", "role": "editor"})
    editor = {"Authorization": f"Bearer {made['api_key']}"}

    refused = api.client.post(f"/api/v1{PATH}", json=WHOLE, headers=editor)
    fine = api.client.post(f"/api/v1{PATH}", json={**WHOLE, "experiments": []}, headers=editor)

    assert (refused.status_code, refused.json["code"]) == (403, "not_allowed")
    assert fine.status_code == 200


@settings(
    deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(payloads() | odd_payloads, st.lists(typed_users, min_size=1, max_size=3))
def test_what_is_stored_means_the_same(api: Caller, payload: Any, users: Any):
    """From a request to the payload that is served, whatever the payload was"""
    key = CONNECTED.get(str(id(api))) or api.post("/connections", {"name": "x"})["client_key"]
    CONNECTED[str(id(api))] = key
    first = importable(payload)
    api.post(f"{PATH}?on_conflict=replace", first)
    served = api.anyone(f"/api/features/{key}").json
    before = compile_payload(first["features"], first["savedGroups"], first.get(BANDITS_NAME))
    after = compile_payload(served["features"], {}, served.get(BANDITS_NAME))
    for attributes in users:
        for name in first["features"]:
            was, is_now = (item.evaluate(name, User(attributes)) for item in (before, after))
            assert told(was) == told(is_now)


BANDITS_NAME = "contextualBandits"
CONNECTED: dict[str, str] = {}


def test_circles_are_refused(api: Caller):
    """As they are when a flag is saved."""
    rule = {"force": 1, "parentConditions": [{"id": "b"}]}
    back = {"force": 1, "parentConditions": [{"id": "a"}]}
    body = {"features": {"a": {"rules": [rule]}, "b": {"rules": [back]}}}

    assert api.refused("POST", PATH, body) == (422, "invalid")


def test_a_rollouts_flag_is_left_alone(api: Caller, parts: Runtime):
    """Its rule belongs to a locked plan."""
    api.post("/flags", {"key": "f", "kind": "boolean"})
    with parts.db.transaction() as session:
        service.put_rollout_rule(
            session,
            flag="f",
            environment="production",
            rule=rollout_rule(),
            actor=EDITOR,
            reason="",
            now=NOW,
        )

    assert api.refused("POST", f"{PATH}?on_conflict=replace", one({"force": True})) == (
        409,
        "conflict",
    )


def test_a_chain_that_grows_too_long_is_refused(api: Caller):
    """Also when the flag that makes it so is in the middle."""
    chain = {
        f"f{n}": {"rules": [{"force": 1, "parentConditions": [{"id": f"f{n + 1}"}]}]}
        for n in range(11)
    }

    assert api.refused("POST", PATH, {"features": {**chain, "f11": {}}}) == (422, "invalid")
    api.post(PATH, {"features": {key: chain[key] for key in list(chain)[1:]} | {"f11": {}}})


def test_too_much_at_once_is_refused(api: Caller):
    """Other writers wait while an import is written."""
    features = {f"f{n}": {"defaultValue": 1} for n in range(3_001)}
    groups = {f"g{n}": [] for n in range(501)}

    assert api.refused("POST", PATH, {"features": features}) == (422, "invalid")
    assert api.refused("POST", PATH, {"features": {}, "savedGroups": groups}) == (422, "invalid")
    named = [{"force": 1, "condition": {"id": {"$inGroup": f"g{n}"}}} for n in range(501)]
    rules = {f"f{n}": {"rules": named[n * 100 : n * 100 + 100]} for n in range(6)}
    assert api.refused("POST", PATH, {"features": rules}) == (422, "invalid")
    waits = [{"id": f"x{n}", "condition": {}} for n in range(3_000)]
    rule = {"force": 1, "parentConditions": waits}
    assert api.refused("POST", PATH, one(rule)) == (422, "invalid")
