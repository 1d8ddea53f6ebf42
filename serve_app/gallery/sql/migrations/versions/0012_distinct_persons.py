"""Pairs of persons who were marked as different people although they look alike."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"

Id = sa.String(32)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "distinct_persons",
        sa.Column("first_id", Id, sa.ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("second_id", Id, sa.ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("tenant_id", Id, sa.ForeignKey("tenants.id"), nullable=False),
    )
    op.create_index("ix_distinct_persons_second_id", "distinct_persons", ["second_id"])
