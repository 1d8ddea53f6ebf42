"""Location of the vector index, and the target of a move."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

Id = sa.String(32)
Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Apply."""
    place = op.create_table(
        "index_place",
        sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("version", Serial, nullable=False),
        sa.Column("configured", sa.Text),
        sa.Column("uri", sa.Text),
        sa.Column("token", sa.LargeBinary),
        sa.Column("other_uri", sa.Text),
        sa.Column("other_token", sa.LargeBinary),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True)),
        sa.Column("done", Serial, nullable=False),
        sa.Column("total", Serial, nullable=False),
        sa.Column("error", sa.Text, nullable=False),
        sa.Column("worker", Id),
        sa.Column("worker_until", sa.DateTime(timezone=True)),
    )
    op.bulk_insert(place, [{"id": 1, "version": 0, "state": "none", "done": 0, "total": 0, "error": ""}])
