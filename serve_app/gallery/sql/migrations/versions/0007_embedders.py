"""Secondary templates, and the change from one embedder to another."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

Id = sa.String(32)
Model = sa.String(100)
Time = sa.DateTime(timezone=True)


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "face_templates",
        sa.Column("face_id", Id, sa.ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("model", Model, primary_key=True),
        sa.Column("template", sa.LargeBinary, nullable=False),
    )
    op.create_index("ix_face_templates_model", "face_templates", ["model"])
    op.create_table(
        "embedders",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("active", Model, nullable=False),
        sa.Column("target", Model),
        sa.Column("passed", Time),
        sa.Column("leave_behind", sa.Boolean, nullable=False),
        sa.Column("previous", Model),
        sa.Column("switched", Time),
        sa.Column("worker", Id),
        sa.Column("worker_until", Time),
    )
