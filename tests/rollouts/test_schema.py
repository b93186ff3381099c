import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import inspect, text

import rollouts.tables  # noqa: F401
from rollouts import schema
from rollouts.db import Base, Database
from rollouts.errors import SettingWrong


def test_the_migrations_make_what_the_models_say(db: Database):
    """Whoever changes a model makes a migration, or this fails."""
    with db.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_down_and_up_again(db: Database):
    """A release can be taken back, and nothing of ours is left behind."""
    schema.downgrade(db, "base")
    assert set(inspect(db.engine).get_table_names()) <= {"alembic_version"}
    schema.upgrade(db)
    schema.check(db)


def test_a_store_of_another_release_is_refused(db: Database):
    """The service says what to run instead of failing on its first query."""
    schema.downgrade(db, "base")
    with pytest.raises(SettingWrong, match="rollouts migrate"):
        schema.check(db)


@pytest.mark.parametrize("table", ["snapshots", "plans", "audit_entries", "timeline"])
def test_what_was_written_cannot_be_changed(db: Database, table: str):
    """Not by our code, and not by a slip at a console."""
    kinds = {"sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = :t"}
    query = kinds.get(
        db.engine.dialect.name,
        "SELECT tgname FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid WHERE c.relname = :t",
    )
    with db.engine.connect() as connection:
        assert connection.execute(text(query), {"t": table}).all()
