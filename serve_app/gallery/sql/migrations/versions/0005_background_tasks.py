"""Background tasks, and the pairs that a search for duplicates finds."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

Id = sa.String(32)


def upgrade() -> None:
    """Apply."""
    for column in (
        sa.Column("state", sa.String(16), nullable=False, server_default="done"),
        sa.Column("arguments", sa.JSON, nullable=False, server_default="{}"),
        sa.Column("work", sa.JSON, nullable=False, server_default="{}"),
        sa.Column("done", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("total", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("error", sa.Text, nullable=False, server_default=""),
        sa.Column("finished", sa.DateTime(timezone=True)),
        sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
        sa.Column("claim", Id, nullable=False, server_default=""),
        sa.Column("claimed_until", sa.DateTime(timezone=True)),
    ):
        op.add_column("tasks", column)
    op.create_index("ix_tasks_state", "tasks", ["state"])
    op.create_table(
        "duplicate_pairs",
        sa.Column("task_id", Id, sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("first_id", Id, primary_key=True),
        sa.Column("second_id", Id, primary_key=True),
        sa.Column("first_face", Id, nullable=False),
        sa.Column("second_face", Id, nullable=False),
        sa.Column("cosine", sa.Float, nullable=False),
    )
    op.create_index("ix_duplicate_pairs_task_id_cosine", "duplicate_pairs", ["task_id", "cosine"])
