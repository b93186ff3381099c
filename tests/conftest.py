"""What all tests share: a store made for each test, and the folder of shared data."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rollouts.db import Base, Database

SHARED = Path(__file__).resolve().parents[2] / "shared"


@pytest.fixture
def shared() -> Path:
    """The folder of shared data beside the checkout; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder of shared data is not beside this checkout")
    return SHARED


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    """A fresh store in a file of its own."""
    database = Database(f"sqlite:///{tmp_path / 'rollouts.db'}")
    Base.metadata.create_all(database.engine)
    yield database
    database.dispose()
