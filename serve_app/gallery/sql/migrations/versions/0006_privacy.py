"""The audit log, and the key that signs receipts of erasures."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

Id = sa.String(32)
Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Apply."""
    op.add_column("installation", sa.Column("signing_key", sa.LargeBinary))
    op.create_table(
        "audit_log",
        sa.Column("chain", Id, primary_key=True),
        sa.Column("sequence", Serial, primary_key=True, autoincrement=False),
        sa.Column("time", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor", sa.String(64), nullable=False),
        sa.Column("action", sa.String(50), nullable=False),
        sa.Column("subjects", sa.JSON, nullable=False),
        sa.Column("collections", sa.JSON, nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("previous", sa.String(64), nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
    op.create_index("ix_audit_log_time", "audit_log", ["time"])
    op.create_table(
        "audit_heads",
        sa.Column("chain", Id, primary_key=True),
        sa.Column("sequence", Serial, nullable=False),
        sa.Column("hash", sa.String(64), nullable=False),
    )
