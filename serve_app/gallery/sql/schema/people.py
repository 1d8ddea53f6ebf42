"""Tables of tenants, keys, collections, persons, faces, templates and unknowns."""

from __future__ import annotations

import sqlalchemy as sa

from serve_app.gallery.sql.column_types import Id, Ordered, UtcDateTime, id_column, tenant_column, text_column, times
from serve_app.gallery.sql.encryption import EncryptedBytes
from serve_app.gallery.sql.schema.tables import metadata

tenants = sa.Table(
    "tenants",
    metadata,
    id_column(),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("created", UtcDateTime, nullable=False),
)

api_keys = sa.Table(
    "api_keys",
    metadata,
    id_column(),
    tenant_column(),
    text_column("name"),
    sa.Column("role", sa.String(16), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False, unique=True),  # SHA-256 of the secret, hex
    sa.Column("installed", sa.Boolean, nullable=False),  # the secret was set by the operator, not generated
    sa.Column("rate_limit", sa.Float),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("expires", UtcDateTime),
    sa.Column("revoked", UtcDateTime),
    sa.Column("last_used", UtcDateTime),
    sa.Index(None, "tenant_id"),
)

collections = sa.Table(
    "collections",
    metadata,
    id_column(),
    tenant_column(),
    sa.Column("name", Ordered, nullable=False),
    text_column("title"),
    text_column("description"),
    text_column("search_text"),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    text_column("user_data"),
    sa.Column("liveness", sa.Boolean, nullable=False),
    sa.Column("liveness_threshold", sa.Float, nullable=False),
    sa.Column("min_score", sa.Float),
    sa.Column("image_storage", sa.String(16), nullable=False),
    sa.Column("retention_days", sa.Float),
    sa.Column("reject_below", sa.Float, nullable=False, server_default="0"),
    sa.Column("keep_unknown_h", sa.Integer, nullable=False, server_default="0"),
    sa.Column("person_count", sa.Integer, nullable=False),  # number of memberships; changed by records/changes.py only
    sa.Column("face_count", sa.Integer, nullable=False),
    *times(),
    sa.UniqueConstraint("tenant_id", "name"),
)

persons = sa.Table(
    "persons",
    metadata,
    id_column(),
    tenant_column(),
    sa.Column("external_id", Ordered, nullable=False),
    text_column("name"),
    text_column("gender"),
    sa.Column("date_of_birth", sa.Date),
    text_column("nationality"),
    text_column("id_number"),
    text_column("address"),
    text_column("notes"),
    sa.Column("watch_list", sa.JSON, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("consent", sa.JSON(none_as_null=True)),
    sa.Column("consent_expires", UtcDateTime),
    sa.Index(None, "consent_expires"),
    text_column("search_text"),
    *times(),
    sa.UniqueConstraint("tenant_id", "external_id"),
)

person_collections = sa.Table(
    "person_collections",
    metadata,
    sa.Column("collection_id", Id, sa.ForeignKey("collections.id"), primary_key=True),
    sa.Column("person_id", Id, sa.ForeignKey("persons.id"), primary_key=True),
    sa.Index(None, "person_id"),
)

distinct_persons = sa.Table(
    "distinct_persons",
    metadata,
    sa.Column("first_id", Id, sa.ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True),  # the smaller id
    sa.Column("second_id", Id, sa.ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True),
    tenant_column(),
    sa.Index(None, "second_id"),
)

faces = sa.Table(
    "faces",
    metadata,
    id_column(),
    tenant_column(),
    sa.Column("person_id", Id, sa.ForeignKey("persons.id")),
    sa.Column("position", sa.Integer, nullable=False),  # orders the faces that one request added
    sa.Column("image_id", Id, nullable=False),
    sa.Column("model", sa.String(100), nullable=False),
    sa.Column("template", EncryptedBytes, nullable=False),  # little-endian float32
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
    text_column("user_id"),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("expires", UtcDateTime),
    sa.Column("appearance", sa.JSON(none_as_null=True)),
    sa.Index(None, "expires"),
    sa.Index(None, "person_id"),
    sa.Index(None, "tenant_id"),
    sa.Index(None, "model"),
)

face_collections = sa.Table(
    "face_collections",
    metadata,
    sa.Column("collection_id", Id, sa.ForeignKey("collections.id"), primary_key=True),
    sa.Column("face_id", Id, sa.ForeignKey("faces.id"), primary_key=True),
    sa.Index(None, "face_id"),
)

face_templates = sa.Table(
    "face_templates",
    metadata,
    # Secondary templates: a second template of a face, by another embedder than faces.model, while the gallery changes
    # from one embedder to another. The first template is in faces.template.
    sa.Column("face_id", Id, sa.ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("model", sa.String(100), primary_key=True),
    sa.Column("template", EncryptedBytes, nullable=False),
    sa.Index(None, "model"),
)

unknowns = sa.Table(
    "unknowns",
    metadata,
    id_column(),
    sa.Column("collection_id", Id, sa.ForeignKey("collections.id", ondelete="CASCADE"), nullable=False),
    sa.Column("sightings", sa.Integer, nullable=False),
    sa.Column("first_seen", UtcDateTime, nullable=False),
    sa.Column("last_seen", UtcDateTime, nullable=False),
    sa.Index(None, "collection_id", "last_seen"),
)

unknown_faces = sa.Table(
    "unknown_faces",
    metadata,
    sa.Column("face_id", Id, sa.ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("unknown_id", Id, sa.ForeignKey("unknowns.id", ondelete="CASCADE"), nullable=False),
    sa.Index(None, "unknown_id"),
)
