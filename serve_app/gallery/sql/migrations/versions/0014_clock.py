"""The last time of the wall clock that was believed, and for how long another one has been shown."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Apply."""
    op.add_column("installation", sa.Column("time_believed", sa.DateTime(timezone=True)))
    op.add_column("installation", sa.Column("doubted_s", sa.Float, nullable=False, server_default="0"))
