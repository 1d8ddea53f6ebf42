"""Retention periods of collections, and consents of persons."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Apply."""
    op.add_column("collections", sa.Column("retention_days", sa.Float))
    op.add_column("persons", sa.Column("consent", sa.JSON))
    op.add_column("persons", sa.Column("consent_expires", sa.DateTime(timezone=True)))
    op.create_index("ix_persons_consent_expires", "persons", ["consent_expires"])
