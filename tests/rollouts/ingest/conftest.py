"""What the tests of ingest share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rollouts.config import Settings
from rollouts.db import Database
from rollouts.ingest.journal import Journal
from tests.rollouts.ingest.make import Parts, open_journal


@pytest.fixture
def journal(db: Database, tmp_path: Path) -> Iterator[Journal]:
    """The journal of the test's store."""
    held = open_journal(db, tmp_path)
    yield held
    held.close()


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    """All that taking events in needs, on the embedded store: what is decided here is before it."""
    settings = Settings(var_dir=tmp_path / "var")
    db = Database(settings.store_url)
    held = Journal.open(settings, db)
    yield Parts(settings, held)
    held.close()
    db.dispose()
