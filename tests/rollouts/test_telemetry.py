"""Logs tell what happened, and never a secret."""

from __future__ import annotations

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from rollouts import first_start
from rollouts.audit import service as audit
from rollouts.runtime import Runtime
from rollouts.telemetry import mask
from rollouts.worker import Worker


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("GET /link/Zm9v_bar-1 303", "GET /link/[hidden] 303"),
        ("https://x.example/link/Zm9v?next=/a", "https://x.example/link/[hidden]?next=/a"),
        ('"POST /link/Zm9v"', '"POST /link/[hidden]"'),
        ("rlk_wk_abc-1 sent", "[hidden] sent"),
        ("postgresql://me:secret@db/x", "postgresql://[hidden]@db/x"),
        ("/links/guide and /link", "/links/guide and /link"),
    ],
)
def test_what_looks_like_a_secret_is_hidden(text: str, shown: str):
    """Wherever in a line it stands, also in the text of a failure."""
    assert mask(None, "", {"event": text})["event"] == shown


@pytest.mark.parametrize("name", ["authorization", "Cookie", "api_key", "webhook_url"])
def test_what_is_called_a_secret_is_hidden(name: str):
    """Whatever it looks like."""
    assert mask(None, "", {name: "x"})[name] == "[hidden]"


def test_the_audit_head_is_logged_once_a_day(parts: Runtime):
    """So that a copy of the chain's end is kept where logs go."""
    first_start.prepare(parts)
    worker = Worker(parts)
    with parts.db.reading() as session:
        head = audit.get_head(session)

    with capture_logs() as told:
        worker.tidy()
        worker.tidy()
        day = parts.now() + timedelta(days=1)
        parts.now = lambda: day
        worker.tidy()

    heads = [line for line in told if line["event"] == "audit_head"]
    assert [(line["id"], line["hash"]) for line in heads] == [(head.id, head.hash)] * 2
    assert head.id > 0
