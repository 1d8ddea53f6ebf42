"""Unknowns: clusters of kept, unrecognised faces; and the policy that allows them."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"

Id = sa.String(32)


def upgrade() -> None:
    """Apply."""
    op.add_column("collections", sa.Column("keep_unknown_h", sa.Integer, nullable=False, server_default="0"))
    op.create_table(
        "unknowns",
        sa.Column("id", Id, primary_key=True),
        sa.Column("collection_id", Id, sa.ForeignKey("collections.id", ondelete="CASCADE"), nullable=False),
        sa.Column("sightings", sa.Integer, nullable=False),
        sa.Column("first_seen", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_seen", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_unknowns_collection_id_last_seen", "unknowns", ["collection_id", "last_seen"])
    op.create_table(
        "unknown_faces",
        sa.Column("face_id", Id, sa.ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("unknown_id", Id, sa.ForeignKey("unknowns.id", ondelete="CASCADE"), nullable=False),
    )
    op.create_index("ix_unknown_faces_unknown_id", "unknown_faces", ["unknown_id"])
