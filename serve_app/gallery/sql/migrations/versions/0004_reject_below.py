"""Minimum quality that a collection demands of its faces."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Apply."""
    op.add_column("collections", sa.Column("reject_below", sa.Float, nullable=False, server_default="0"))
