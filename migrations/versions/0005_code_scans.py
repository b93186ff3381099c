"""Keep when source code was scanned for a flag, and at which commit.

Expand step: the release before this one ignores the table.
"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0005", "0004"


def upgrade() -> None:
    op.create_table(
        "code_scans",
        sa.Column("flag_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("repository", sa.String(length=200), nullable=False),
        sa.Column("branch", sa.String(length=200), nullable=False),
        sa.Column("commit", sa.String(length=64), nullable=False),
        sa.Column("scanned_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["flag_id"], ["flags.id"]),
        sa.PrimaryKeyConstraint("flag_id", "repository", "branch"),
    )


def downgrade() -> None:
    op.drop_table("code_scans")
