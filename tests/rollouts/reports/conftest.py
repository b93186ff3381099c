"""The story in a store, and a browser in front of it."""

from __future__ import annotations

import pytest
from flask.testing import FlaskClient

import rollouts.tables  # noqa: F401  # every table must be known before the store is made
from rollouts.db import Database
from tests.factories.states import make_snapshot
from tests.rollouts.reports import shop


@pytest.fixture
def started(db: Database) -> Database:
    """A rollout that has started; nobody has looked yet."""
    shop.make_catalogue(db)
    shop.make_rollout(db, shop.make_draft())
    return db


@pytest.fixture
def story(started: Database) -> Database:
    """A rollout that was looked at twelve times."""
    shop.keep(started, "guided-returns", make_snapshot())
    return started


@pytest.fixture
def client(story: Database) -> FlaskClient:
    """A browser, signed in as an administrator."""
    return shop.make_app(story).test_client()
