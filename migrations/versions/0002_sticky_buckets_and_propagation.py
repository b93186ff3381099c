"""Keep variations for remote evaluation, and how far versions have come.

Expand step: the release before this one ignores both tables.
"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade() -> None:
    op.create_table(
        "sticky_documents",
        sa.Column("environment_id", sa.Integer(), nullable=False),
        sa.Column("unit_hash", sa.String(length=64), nullable=False),
        sa.Column("assignments", sa.JSON(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["environment_id"], ["environments.id"]),
        sa.PrimaryKeyConstraint("environment_id", "unit_hash"),
    )
    op.create_table(
        "propagation",
        sa.Column("process", sa.String(length=60), nullable=False),
        sa.Column("client_key", sa.String(length=80), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("n_known", sa.Integer(), nullable=False),
        sa.Column("n_reached", sa.Integer(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=True),
        sa.Column("told_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("process", "client_key", "version"),
    )
    op.create_index(op.f("ix_propagation_told_at"), "propagation", ["told_at"])


def downgrade() -> None:
    op.drop_index(op.f("ix_propagation_told_at"), table_name="propagation")
    op.drop_table("propagation")
    op.drop_table("sticky_documents")
