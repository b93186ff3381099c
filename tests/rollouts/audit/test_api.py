"""The audit trail over HTTP."""

from __future__ import annotations

from rollouts.accounts.model import OPERATOR, Role
from rollouts.audit import service
from rollouts.db import Database

from ..accounts.doors import START, Clock, make_app, make_key, make_settings


def write(db: Database, subject: str) -> None:
    with db.transaction() as session:
        service.record(
            session,
            actor=OPERATOR,
            action="flag.edited",
            subject_kind="flag",
            subject=subject,
            before={"enabled": True},
            after={"enabled": False},
            reason="contacts rose",
            now=START,
        )


def test_entries_are_read_in_pages_and_by_filter(db: Database) -> None:
    """Newest first, by search, action, kind and subject; the head can be kept elsewhere."""
    for number in range(5):
        write(db, f"flag-{number}")
    client = make_app(db, Clock(), make_settings()).test_client()
    key = make_key(db, Role.EDITOR)  # is on record too, as entry 6

    first = client.get("/api/v1/audit?limit=3", headers=key).json
    assert first is not None
    second = client.get(f"/api/v1/audit?limit=3&cursor={first['next_cursor']}", headers=key).json
    assert second is not None
    assert [item["id"] for item in first["items"] + second["items"]] == [6, 5, 4, 3, 2, 1]
    assert second["next_cursor"] is None
    assert second["items"][-1] == {
        "id": 1,
        "at": "2026-05-14T09:00:00+00:00",
        "actor": {
            "kind": "machine",
            "id": "operator",
            "name": "command line",
            "role": "admin",
        },
        "action": "flag.edited",
        "subject": {"kind": "flag", "key": "flag-0"},
        "before": {"enabled": True},
        "after": {"enabled": False},
        "reason": "contacts rose",
        "hash": second["items"][-1]["hash"],
    }
    for query, ids in (
        ("search=FLAG-3", [4]),
        ("action=key.created", [6]),
        ("subject_kind=flag&subject=flag-1", [2]),
        ("search=nothing", []),
    ):
        answer = client.get(f"/api/v1/audit?{query}", headers=key).json
        assert answer is not None
        assert [item["id"] for item in answer["items"]] == ids, query
    head = client.get("/api/v1/audit/head", headers=key).json
    assert head == {"id": 6, "hash": first["items"][0]["hash"]}


def test_who_may_read_it(db: Database) -> None:
    """Not readers: names and reasons stand there. Nobody writes it."""
    client = make_app(db, Clock(), make_settings()).test_client()

    assert client.get("/api/v1/audit").status_code == 401
    assert client.get("/api/v1/audit", headers=make_key(db, Role.READER)).status_code == 403
    assert client.get("/api/v1/audit?cursor=x", headers=make_key(db)).status_code == 422
    assert client.get("/api/v1/audit?limit=0", headers=make_key(db)).status_code == 422
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        answer = client.open("/api/v1/audit", method=method, headers=make_key(db))
        assert answer.status_code == 405
