"""Everything a store holds, as text: what the finder of a backup would read."""

from __future__ import annotations

from sqlalchemy import MetaData, select

from rollouts.db import Database


def dump(db: Database) -> str:
    """All rows of all tables."""
    tables = MetaData()
    tables.reflect(db.engine)
    lines = []
    with db.engine.connect() as connection:
        for table in tables.sorted_tables:
            lines.append(f"table {table.name}")
            lines.extend(repr(tuple(row)) for row in connection.execute(select(table)))
    return "\n".join(lines)
