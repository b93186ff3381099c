"""What a person types into a search box is text, never a pattern."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rollouts.db import Database
from rollouts.lifecycle import store as lifecycle
from rollouts.metrics import store as metrics
from rollouts.tolerances import service as tolerances
from rollouts.tolerances import store as tolerance_store
from rollouts.tolerances.model import Guardrail
from tests.rollouts.reports import shop


@pytest.fixture
def kept(db: Database) -> Database:
    """One rollout, two metrics and a tolerance; no key or name has a wildcard in it."""
    shop.make_catalogue(db)
    shop.make_rollout(db, shop.make_draft(), started=False)
    with db.transaction() as session:
        tolerances.put_tolerance(
            session, Guardrail("contacts", 0.1), owner="", actor=shop.PRIYA, now=shop.NOW
        )
    return db


@pytest.mark.parametrize("wildcard", ["%", "_", "\\", "g_ided", "con%s"])
def test_wildcards_find_only_themselves(kept: Database, wildcard: str):
    """Nothing here holds one of these characters, so nothing is found."""
    with kept.reading() as session:
        assert lifecycle.list_rollouts(session, search=wildcard) == []
        assert metrics.list_metrics(session, after=None, limit=9, search=wildcard) == []
        assert tolerance_store.list_tolerances(session, after=None, limit=9, search=wildcard) == []


def test_case_does_not_matter_and_a_real_sign_is_found(kept: Database):
    """The same boxes still find words, and a name that does hold a per cent sign."""
    half = replace(shop.make_draft(), key="half", name="50% off")
    shop.make_rollout(kept, half, started=False)
    with kept.reading() as session:
        found = lifecycle.list_rollouts(session, search="0% O")
        assert [row.key for row in found] == ["half"]
        assert lifecycle.list_rollouts(session, search="GUIDED")
        assert metrics.list_metrics(session, after=None, limit=9, search="CONT")
        assert tolerance_store.list_tolerances(session, after=None, limit=9, search="TACT")
