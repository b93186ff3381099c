"""Who gets what and why, which flags could go, and where source code mentions them."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.orm import Session

from rollouts.db import Database
from rollouts.flags import propagation_store, service, simulating, staleness
from rollouts.flags.code_scan import branch_of, commit_of
from rollouts.flags.evaluation.program import compile_payload
from rollouts.flags.evaluation.results import User
from rollouts.flags.model import (
    ExperimentRule,
    FlagKind,
    ForceRule,
    GateRule,
    Namespace,
    PercentageRule,
    Prerequisite,
    Schedule,
)
from rollouts.flags.payload import build
from rollouts.flags.propagation import Reach
from rollouts.flags.reachable import values_in
from rollouts.runtime import Runtime
from tests.rollouts.flags.calling import Caller
from tests.rollouts.flags.makers import (
    EDITOR,
    NOW,
    flag,
    make_connection,
    make_flag,
    rollout_rule,
)

NZ = {"country": "NZ"}
ARMS = rollout_rule().variations


def ask(session: Session, attributes: dict[str, Any], key: str = "new-checkout") -> Any:
    """What a user gets in production."""
    return simulating.simulate(session, key, "production", attributes, now=NOW)


def test_each_rule_says_whether_it_concerns_the_user_and_why(db: Database):
    """In the order in which SDKs ask, and which one decides."""
    rules = (
        ForceRule(id="off", value=True, is_enabled=False),
        ForceRule(id="later", value=True, schedule=Schedule(starts_at=NOW + timedelta(1))),
        ForceRule(id="nz", value=True, condition=NZ),
        PercentageRule(id="none", value=True, share=0.0),
        ForceRule(id="layer", value=True, namespaces=(Namespace("s", ((0.0, 0.0),)),)),
        ForceRule(id="waits", value=True, prerequisites=(Prerequisite("a", {"value": 1}),)),
        ExperimentRule(id="split", variations=ARMS, unit="company"),
        ExperimentRule(id="exp", key="e", variations=ARMS, layer=("old", 0.0, 0.0)),
        ForceRule(id="all", value=False),
        ForceRule(id="never", value=True, condition={"country": "US"}),
    )
    with db.transaction() as session:
        make_flag(session, "a")
        make_flag(session, "new-checkout", *rules)
        told = ask(session, {"id": "u1", "country": "US"})

    assert [(rule.id, rule.matches, rule.decides, rule.why) for rule in told.rules] == [
        ("off", False, False, "the rule is switched off"),
        ("later", False, False, "not now, says its schedule"),
        ("nz", False, False, "the condition does not hold"),
        ("none", False, False, "outside its share of units"),
        ("layer", False, False, "outside its part of the traffic"),
        ("waits", False, False, "a prerequisite does not hold"),
        ("split", False, False, "the user has no company"),
        ("exp", False, False, "outside its part of the traffic"),
        ("all", True, True, "everything it asks holds"),
        ("never", True, False, "everything it asks holds"),
    ]
    assert (told.value, told.source) == (False, "force")
    assert told.why == "Rule 9 decides: everything it asks holds"


def test_a_split_tells_the_bucket_and_the_variation(db: Database):
    """So that support can say why this customer sees that page."""
    with db.transaction() as session:
        make_flag(session, "new-checkout", ExperimentRule(id="x", key="e", variations=ARMS))
        told = ask(session, {"id": "u1"})

    assert told.variation in ("control", "guided")
    assert told.rules[0].decides
    assert f"in variation '{told.variation}'" in told.rules[0].why


def test_a_gate_that_fails_decides(db: Database):
    """The whole flag is null then."""
    gate = GateRule(id="gate", prerequisites=(Prerequisite("a", {"value": True}, is_gate=True),))
    with db.transaction() as session:
        make_flag(session, "a")
        make_flag(session, "new-checkout", gate, ForceRule(id="all", value=True))
        told = ask(session, {"id": "u1"})

    assert (told.value, told.source) == (None, "prerequisite")
    assert [rule.decides for rule in told.rules] == [True, False]


def test_a_flag_that_is_off_says_so(db: Database):
    """Whatever its rules would do."""
    with db.transaction() as session:
        make_flag(session, "new-checkout", ForceRule(id="all", value=True))
        service.kill(session, "new-checkout", environment=None, reason="x", actor=EDITOR, now=NOW)
        told = ask(session, {"id": "u1"})

    assert (told.value, told.rules[0].matches) == (False, False)
    assert told.why.startswith("The flag is switched off here")


def test_the_simulation_says_what_is_served(api: Caller):
    """The same value as OFREP gives for the same user."""
    rules = [
        {"type": "force", "value": "nz", "condition": NZ},
        {"type": "percentage", "value": "some", "share": 0.5},
    ]
    body = {"key": "f", "kind": "string", "default": "d"}
    api.post("/flags", {**body, "environments": {"production": {"rules": rules}}})
    client_key = api.post("/connections", {"name": "web"})["client_key"]

    seen = set()
    for n in range(30):
        user = {"id": f"u{n}", "country": "NZ" if n % 3 == 0 else "US"}
        told = api.post("/flags/f/simulate", {"attributes": user})
        served = api.client.post(
            "/ofrep/v1/evaluate/flags/f", json={"context": user}, headers={"X-API-Key": client_key}
        )
        assert told["value"] == served.json["value"]
        assert sum(rule["decides"] for rule in told["rules"]) == (told["value"] != "d")
        seen.add(told["value"])
    assert seen == {"nz", "some", "d"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"attributes": {}, "environment": "moon"}, 404),
        ({"attributes": []}, 422),
        ({"attributes": {"a": "x" * 20_000}}, 422),
        ({}, 422),
    ],
)
def test_a_user_that_is_none_is_refused(api: Caller, body: Any, status: int):
    """By name."""
    api.post("/flags", {"key": "f"})

    assert api.refused("POST", "/flags/f/simulate", body)[0] == status
    assert api.refused("POST", "/flags/none/simulate", {"attributes": {}})[0] == 404


def test_every_flag_is_asked_in_one_call(api: Caller):
    """By key, a page at a time, each as if it were asked alone."""
    for key in ("a", "b", "c"):
        rules = [{"id": "nz", "type": "force", "condition": NZ, "value": key == "b"}]
        api.post("/flags", {"key": key, "environments": {"production": {"rules": rules}}})
    whole = api.post("/simulate", {"attributes": NZ})
    first = api.post("/simulate?limit=2", {"attributes": NZ})
    rest = api.post(f"/simulate?limit=2&cursor={first['next_cursor']}", {"attributes": NZ})

    assert [item["value"] for item in whole["items"]] == [False, True, False]
    assert first["items"] + rest["items"] == whole["items"]
    alone = api.post("/flags/b/simulate", {"attributes": NZ})
    assert {"key": "b", **alone} == whole["items"][1]
    assert api.refused("POST", "/simulate", {"attributes": {"a": "x" * 20_000}})[0] == 422
    assert api.refused("POST", "/simulate", {"attributes": {}, "environment": "mars"})[0] == 404


# Which values are left


@given(st.lists(st.sampled_from(["nz", "all", "some", "gate", "off"]), max_size=4))
def test_what_can_still_be_served_is_never_missed(names: list[str]):
    """Every value that an evaluation gives is among those said to be possible."""
    known = {
        "nz": ForceRule(value=1, condition=NZ),
        "all": ForceRule(value=2),
        "some": PercentageRule(value=3, share=0.5),
        "gate": GateRule(prerequisites=(Prerequisite("a", {"value": True}, is_gate=True),)),
        "off": ForceRule(value=4, is_enabled=False),
    }
    held = flag("f", *(known[name] for name in names), kind=FlagKind.JSON, default=0)
    told = build([held, flag("a")], "production", [], NOW)
    program = compile_payload(told["features"])

    given_out = {
        repr(program.evaluate("f", User({"id": f"u{n}", "country": country})).value)
        for n in range(20)
        for country in ("NZ", "US")
    }
    assert given_out <= set(map(repr, values_in(held, "production")))


# Flags that could go

LATER = NOW + timedelta(days=40)


def reasons(session: Session, days: int = 30) -> dict[str, list[str]]:
    """Codes of the reasons by flag."""
    found = staleness.list_stale(session, days=days, now=LATER)
    return {item.flag.key: [reason.code for reason in item.reasons] for item in found}


def test_flags_that_decide_nothing_are_listed_with_the_reason(db: Database):
    """Those that still split, those that are young and those meant to stay are not."""
    with db.transaction() as session:
        make_connection(session)
        client_key = service.list_connections(session, after=None, limit=1)[0][0].client_key
        splits = PercentageRule(value=True, share=0.5)
        make_flag(session, "one")
        make_flag(session, "splits", splits)
        make_flag(session, "stays", tags=("permanent",))
        service.edit_flag(
            session, "splits", {"owner": "ada"}, actor=EDITOR, now=LATER - timedelta(days=2)
        )
        young = flag("young")
        service.create_flag(session, young, actor=EDITOR, now=LATER - timedelta(days=3))
        reach = Reach(client_key, 1, NOW, 3, 3, None)
        propagation_store.save(session, "web", [reach], LATER - timedelta(days=1))
        seen = reasons(session)
        # staging has no clients, so a flag that is on there only waits for some
        unseen = reasons(session, days=41)

    assert seen == {"one": ["one_value", "not_edited"]}
    assert unseen == {}


def test_without_clients_a_flag_is_listed(db: Database):
    """Nobody can notice that it is gone."""
    with db.transaction() as session:
        make_flag(session, "splits", PercentageRule(value=True, share=0.5))
        assert reasons(session) == {"splits": ["not_edited", "no_clients"]}


def test_a_decided_rollout_asks_to_be_cleaned_up(db: Database):
    """At once, with the value to keep and the lines to change."""
    with db.transaction() as session:
        make_flag(session, "new-checkout")
        service.put_rollout_rule(
            session,
            flag="new-checkout",
            environment="production",
            rule=rollout_rule(decided="guided"),
            actor=EDITOR,
            reason="",
            now=LATER,
        )
        staleness.put_code_references(
            session, "new-checkout", "shop", "main", [("a.py", 3), ("a.py", 9)],
            actor=EDITOR, now=LATER,
        )  # fmt: skip
        (found,) = staleness.list_stale(session, days=365, now=LATER)

    assert [reason.code for reason in found.reasons] == ["rollout_decided"]
    assert found.removal == (
        "Put true in place of 'new-checkout' on 2 lines of 1 file, then archive it."
    )


def test_stale_flags_over_http(api: Caller):
    """With what to do about each."""
    api.post("/flags", {"key": "f"})

    assert api.get("/stale-flags?days=1") == {"items": [], "next_cursor": None}
    assert api.refused("GET", "/stale-flags?days=0")[0] == 422


def test_stale_flags_come_in_pages(api: Caller, parts: Runtime):
    """Each once, in the order of their keys, and only those that are searched for."""
    with parts.db.transaction() as session:
        for n in range(5):
            make_flag(session, f"old-{n}")
    first = api.get("/stale-flags?days=1&limit=2")
    second = api.get(f"/stale-flags?days=1&limit=2&cursor={first['next_cursor']}")
    last = api.get(f"/stale-flags?days=1&limit=2&cursor={second['next_cursor']}")

    keys = [item["key"] for part in (first, second, last) for item in part["items"]]
    assert keys == [f"old-{n}" for n in range(5)]
    assert last["next_cursor"] is None
    assert [item["key"] for item in api.get("/stale-flags?days=1&search=OLD-3")["items"]] == [
        "old-3"
    ]


# Where code mentions them


def test_a_scan_replaces_what_the_one_before_told_of_its_branch(api: Caller):
    """Other branches and repositories keep theirs."""
    api.post("/flags", {"key": "f"})
    path = "/flags/f/code-references"
    api.post(path, {"repository": "shop", "references": [{"file": "a.py", "line": 1}]})
    api.post(path, {"repository": "app", "references": [{"file": "b.ts", "line": 2}]})
    api.post(path, {"repository": "shop", "references": [{"file": "c.py", "line": 3}]})

    shown = api.get("/flags/f")["code_references"]

    assert [(item["repository"], item["file"], item["line"]) for item in shown] == [
        ("app", "b.ts", 2),
        ("shop", "c.py", 3),
    ]
    assert api.get("/flags/f")["revision"] == 1


def test_a_scan_is_remembered_even_if_it_found_nothing(api: Caller):
    """With its commit; the newest of each branch."""
    api.post("/flags", {"key": "f"})
    path = "/flags/f/code-references"
    told = api.post(path, {"repository": "shop", "commit": "a" * 40, "references": []})
    api.post(path, {"repository": "shop", "references": []})

    assert told["code_references"] == []
    assert [scan["commit"] for scan in told["code_scans"]] == ["a" * 40]
    (scan,) = api.get("/flags/f")["code_scans"]
    assert (scan["repository"], scan["branch"], scan["commit"]) == ("shop", "main", None)


def test_the_commit_is_read_from_the_files_of_git(tmp_path: Path):
    """From a branch, a packed branch, a detached head, a worktree; else it is not told."""
    git = tmp_path / "shop" / ".git"
    (git / "refs" / "heads").mkdir(parents=True)
    (git / "HEAD").write_text("ref: refs/heads/main\n")
    assert commit_of(tmp_path / "shop") == ""
    (git / "packed-refs").write_text(f"# pack-refs\n{'b' * 40} refs/heads/main\n")
    assert commit_of(tmp_path / "shop") == "b" * 40
    (git / "refs" / "heads" / "main").write_text("c" * 40 + "\n")
    assert commit_of(tmp_path / "shop" / ".git") == "c" * 40
    own = git / "worktrees" / "w"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/main\n")
    (own / "commondir").write_text("../..\n")
    (tmp_path / "tree").mkdir()
    (tmp_path / "tree" / ".git").write_text(f"gitdir: {own}\n")
    assert (commit_of(tmp_path / "tree"), branch_of(tmp_path / "tree")) == ("c" * 40, "main")
    (git / "HEAD").write_text("d" * 40)
    assert commit_of(tmp_path / "shop") == "d" * 40
    (git / "HEAD").write_text("ref: refs/heads/../../HEAD")
    assert commit_of(tmp_path / "shop") == ""
    assert commit_of(tmp_path) == ""


@pytest.mark.parametrize(
    "body",
    [
        {"repository": "", "references": []},
        {"repository": "a", "commit": "x" * 65, "references": []},
        {"repository": "a", "references": [{"file": "a", "line": 0}]},
        {"repository": "a", "references": [{"file": "a\0", "line": 1}]},
        {"repository": "a", "references": [{"file": "a", "line": 1}] * 1_001},
        {"repository": "a"},
    ],
)
def test_references_that_are_none_are_refused(api: Caller, body: Any):
    """By name."""
    api.post("/flags", {"key": "f"})

    assert api.refused("POST", "/flags/f/code-references", body)[0] == 422
