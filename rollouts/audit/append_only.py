"""Tables that only grow: triggers refuse UPDATE, DELETE and their disguises.

Code has no path that changes such a row; the triggers refuse a slip, a console and a stolen
service login as well. Whoever owns the database can drop them: the hash chain shows that.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import DDL, Table, event

DIALECTS = ("sqlite", "postgresql")


def append_only_ddl(dialect: str, table: str) -> list[str]:
    """Statements that make a table append-only. Raises ValueError for another dialect."""
    if dialect == "sqlite":
        return _sqlite_ddl(table)
    if dialect == "postgresql":
        return _postgresql_ddl(table)
    raise ValueError(f"append-only triggers are known for {DIALECTS}, not {dialect!r}")


def attach_append_only(table: Any) -> None:
    """Create the triggers whenever this table is created from the models."""
    assert isinstance(table, Table)
    for dialect in DIALECTS:
        for statement in append_only_ddl(dialect, table.name):
            event.listen(table, "after_create", _ddl(statement, dialect))


def _ddl(statement: str, dialect: str) -> Any:
    ddl: Any = DDL  # its constructor has no types
    return ddl(statement).execute_if(dialect=dialect)


def _sqlite_ddl(table: str) -> list[str]:
    # INSERT OR REPLACE deletes without firing the DELETE trigger, hence the third one.
    refuse = f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
    return [
        f"CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} {refuse}",
        (
            f"CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table} "
            f"WHEN EXISTS (SELECT 1 FROM {table} WHERE rowid = NEW.rowid) {refuse}"
        ),
    ]


def _postgresql_ddl(table: str) -> list[str]:
    return [
        (
            f"CREATE OR REPLACE FUNCTION {table}_append_only() RETURNS trigger LANGUAGE plpgsql "
            f"AS $$ BEGIN RAISE EXCEPTION '{table} is append-only'; END $$"
        ),
        (
            f"CREATE TRIGGER {table}_no_change BEFORE UPDATE OR DELETE ON {table} "
            f"FOR EACH ROW EXECUTE FUNCTION {table}_append_only()"
        ),
        (
            f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {table}_append_only()"
        ),
    ]
