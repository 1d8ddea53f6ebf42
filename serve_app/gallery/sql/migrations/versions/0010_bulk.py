"""Bulk uploads: many persons, enrolled in the background."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"

Id = sa.String(32)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "bulk_entries",
        sa.Column("task_id", Id, sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("tenant_id", Id, sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("person", sa.String(100), nullable=False),
        sa.Column("pictures", sa.Integer, nullable=False),
        sa.Column("blob", Id, nullable=False),
        sa.Column("stored", sa.Boolean, nullable=False),
        sa.Column("outcome", sa.JSON),
    )
    op.create_index("ix_bulk_entries_tenant_id", "bulk_entries", ["tenant_id"])
    op.create_index("ix_bulk_entries_stored", "bulk_entries", ["stored"])
