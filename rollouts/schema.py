"""Bring the store's schema to what this release needs, once, however many processes start."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text

from rollouts.db import Database
from rollouts.errors import SettingWrong

LOCK = 0x526F6C6C  # any constant of our own; "Roll"


def scripts() -> Path:
    """Where the migrations are: inside an installed package, beside it in a checkout."""
    installed = Path(__file__).parent / "_migrations"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "migrations"


def upgrade(db: Database) -> None:
    """Run the migrations that are missing. Others who start at the same time wait."""
    with db.engine.connect() as plain:
        connection = plain.execution_options(is_writing=True)
        with connection.begin():
            if not db.is_sqlite:
                connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": LOCK})
            command.upgrade(_config(connection), "head")


def downgrade(db: Database, revision: str) -> None:
    """Run migrations backwards, down to a revision or `base`."""
    with db.engine.connect() as plain:
        connection = plain.execution_options(is_writing=True)
        with connection.begin():
            command.downgrade(_config(connection), revision)


def check(db: Database) -> None:
    """Refuse a store whose schema is not this release's."""
    head = ScriptDirectory(str(scripts())).get_current_head()
    with db.engine.connect() as connection:
        held = MigrationContext.configure(connection).get_current_revision()
    if held != head:
        raise SettingWrong(
            f"The store's schema is at {held or 'nothing'}, this release needs {head}. "
            "Run `rollouts migrate` with a role that may change the schema."
        )


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(scripts()))
    config.attributes["connection"] = connection
    return config
