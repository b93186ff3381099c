"""Keep sections of GrowthBook's payload that no flag of ours holds.

Expand step: the release before this one ignores the column.
"""

import sqlalchemy as sa
from alembic import op

revision, down_revision = "0006", "0005"


def upgrade() -> None:
    with op.batch_alter_table("environments") as table:
        table.add_column(
            sa.Column("carried", sa.JSON(), server_default=sa.text("'{}'"), nullable=False)
        )


def downgrade() -> None:
    with op.batch_alter_table("environments") as table:
        table.drop_column("carried")
