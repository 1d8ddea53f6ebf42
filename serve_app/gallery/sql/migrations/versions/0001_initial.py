"""The first schema: tenants, keys, collections, persons, faces, memberships, index journal."""

import datetime as dt
import uuid

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

Id = sa.String(32)
Time = sa.DateTime(timezone=True)
Ordered = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
Serial = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Apply."""
    installation = op.create_table("installation", sa.Column("id", Id, primary_key=True))
    tenants = op.create_table(
        "tenants",
        sa.Column("id", Id, primary_key=True),
        sa.Column("name", sa.Text, nullable=False, unique=True),
        sa.Column("created", Time, nullable=False),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", Id, primary_key=True),
        sa.Column("tenant_id", Id, sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(64), nullable=False, unique=True),
        sa.Column("installed", sa.Boolean, nullable=False),
        sa.Column("rate_limit", sa.Float),
        sa.Column("created", Time, nullable=False),
        sa.Column("expires", Time),
        sa.Column("revoked", Time),
        sa.Column("last_used", Time),
    )
    op.create_index("ix_api_keys_tenant_id", "api_keys", ["tenant_id"])
    op.create_table(
        "collections",
        sa.Column("id", Id, primary_key=True),
        sa.Column("tenant_id", Id, sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("name", Ordered, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("search_text", sa.Text, nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("tags", sa.JSON, nullable=False),
        sa.Column("user_data", sa.Text, nullable=False),
        sa.Column("liveness", sa.Boolean, nullable=False),
        sa.Column("liveness_threshold", sa.Float, nullable=False),
        sa.Column("min_score", sa.Float),
        sa.Column("image_storage", sa.String(16), nullable=False),
        sa.Column("person_count", sa.Integer, nullable=False),
        sa.Column("face_count", sa.Integer, nullable=False),
        sa.Column("created", Time, nullable=False),
        sa.Column("modified", Time, nullable=False),
        sa.UniqueConstraint("tenant_id", "name"),
    )
    op.create_table(
        "persons",
        sa.Column("id", Id, primary_key=True),
        sa.Column("tenant_id", Id, sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("external_id", Ordered, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("gender", sa.Text, nullable=False),
        sa.Column("date_of_birth", sa.Date),
        sa.Column("nationality", sa.Text, nullable=False),
        sa.Column("id_number", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("notes", sa.Text, nullable=False),
        sa.Column("watch_list", sa.JSON, nullable=False),
        sa.Column("metadata", sa.JSON, nullable=False),
        sa.Column("search_text", sa.Text, nullable=False),
        sa.Column("created", Time, nullable=False),
        sa.Column("modified", Time, nullable=False),
        sa.UniqueConstraint("tenant_id", "external_id"),
    )
    op.create_table(
        "faces",
        sa.Column("id", Id, primary_key=True),
        sa.Column("tenant_id", Id, sa.ForeignKey("tenants.id"), nullable=False),
        sa.Column("person_id", Id, sa.ForeignKey("persons.id")),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("image_id", Id, nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("template", sa.LargeBinary, nullable=False),
        sa.Column("box_x", sa.Float, nullable=False),
        sa.Column("box_y", sa.Float, nullable=False),
        sa.Column("box_width", sa.Float, nullable=False),
        sa.Column("box_height", sa.Float, nullable=False),
        sa.Column("quality", sa.Float, nullable=False),
        sa.Column("detection_score", sa.Float, nullable=False),
        sa.Column("liveness", sa.Float),
        sa.Column("storage", sa.String(16), nullable=False),
        sa.Column("has_thumbnail", sa.Boolean, nullable=False),
        sa.Column("has_photograph", sa.Boolean, nullable=False),
        sa.Column("user_id", sa.Text, nullable=False),
        sa.Column("created", Time, nullable=False),
        sa.Column("expires", Time),
    )
    for column in ("person_id", "tenant_id", "model"):
        op.create_index(f"ix_faces_{column}", "faces", [column])
    op.create_table(
        "person_collections",
        sa.Column("collection_id", Id, sa.ForeignKey("collections.id"), primary_key=True),
        sa.Column("person_id", Id, sa.ForeignKey("persons.id"), primary_key=True),
    )
    op.create_index("ix_person_collections_person_id", "person_collections", ["person_id"])
    op.create_table(
        "face_collections",
        sa.Column("collection_id", Id, sa.ForeignKey("collections.id"), primary_key=True),
        sa.Column("face_id", Id, sa.ForeignKey("faces.id"), primary_key=True),
    )
    op.create_index("ix_face_collections_face_id", "face_collections", ["face_id"])
    op.create_table(
        "index_journal",
        sa.Column("id", Serial, primary_key=True, autoincrement=True),
        sa.Column("tenant_id", Id, nullable=False),
        sa.Column("face_id", Id, nullable=False),
        sa.Column("model", sa.String(100), nullable=False),
        sa.Column("created", Time, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_index_journal_face_id", "index_journal", ["face_id"])
    op.bulk_insert(installation, [{"id": uuid.uuid4().hex}])
    op.bulk_insert(tenants, [{"id": "0" * 32, "name": "default", "created": dt.datetime.now(dt.UTC)}])
