"""Unassigned faces: appearance and expiry; and records of finished tasks."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

Id = sa.String(32)


def upgrade() -> None:
    """Apply."""
    op.add_column("faces", sa.Column("appearance", sa.JSON))
    op.create_index("ix_faces_expires", "faces", ["expires"])
    op.create_table(
        "tasks",
        sa.Column("id", Id, primary_key=True),
        sa.Column("tenant_id", Id, sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("kind", sa.String(50), nullable=False),
        sa.Column("result", sa.JSON, nullable=False),
        sa.Column("created", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_tasks_tenant_id", "tasks", ["tenant_id"])
    op.create_index("ix_tasks_created", "tasks", ["created"])
