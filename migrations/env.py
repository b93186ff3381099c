"""Alembic's way in: the schema is made by these migrations alone, on SQLite and PostgreSQL."""

from alembic import context

import rollouts.tables  # noqa: F401  # every table is known to the metadata
from rollouts.db import Base

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=Base.metadata,
    render_as_batch=True,
    compare_type=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
