"""What tests of flags share: the parts of a process, and a caller of its HTTP API."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from rollouts import first_start
from rollouts.app import create_app, make_runtime
from rollouts.config import Settings
from rollouts.web.context import Runtime
from tests.rollouts.flags.calling import ADMIN_KEY, Caller


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a store with all its tables, made once: migrations take their time."""
    folder = tmp_path_factory.mktemp("prepared") / "var"
    held = make_runtime(settings_in(folder))
    first_start.prepare(held)
    held.journal.close()
    held.db.dispose()
    return folder


def settings_in(folder: Path) -> Settings:
    """Settings of a store in that folder."""
    return Settings(var_dir=folder, bootstrap_admin_key=ADMIN_KEY, watch_interval_ms=10)


@pytest.fixture
def parts(tmp_path: Path, prepared: Path) -> Iterator[Runtime]:
    """The parts of one process with a store of their own."""
    shutil.copytree(prepared, tmp_path / "var")
    held = make_runtime(settings_in(tmp_path / "var"))
    yield held
    held.delivery.stop()
    held.journal.close()
    held.db.dispose()


@pytest.fixture
def api(parts: Runtime) -> Caller:
    """The HTTP API, called by an administrator."""
    return Caller(create_app(parts=parts).test_client(), ADMIN_KEY)
