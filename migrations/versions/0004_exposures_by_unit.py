"""Find a rollout's units in the order of their numbers, in which they lie.

Looks read all of them, and jumping about took several times as long. The release before this one
finds its way without the index that goes.
"""

from alembic import op

revision, down_revision = "0004", "0003"


def upgrade() -> None:
    op.create_index("ix_exposures_rollout_unit", "exposures", ["rollout_id", "unit"])
    op.drop_index("ix_exposures_rollout", table_name="exposures")


def downgrade() -> None:
    op.create_index("ix_exposures_rollout", "exposures", ["rollout_id", "first_us"])
    op.drop_index("ix_exposures_rollout_unit", table_name="exposures")
