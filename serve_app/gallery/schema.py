"""The tables of the system of record. A change needs a migration (``migrations/versions``); a test compares the two.

Ids are 32 hex digits. Texts that callers search in have a case-folded copy (``search_text``), since databases disagree
about upper and lower case. Texts that listings are ordered by compare by code point in every database.
"""

from __future__ import annotations

import sqlalchemy as sa

from serve_app.gallery.columns import Id, Ordered, Serial, UtcDateTime, id_column, tenant_column, text_column, times
from serve_app.gallery.sealing import Sealed

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)

installation = sa.Table(
    "installation",
    metadata,
    id_column(),  # tells apart the indexes of several installations on one Milvus server
    sa.Column("signing_key", Sealed),  # Ed25519, private; made by the first process that needs it
)

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
    sa.Column("installed", sa.Boolean, nullable=False),  # given by the operator at start, not created
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
    sa.Column("person_count", sa.Integer, nullable=False),  # of memberships; kept by records/changes.py alone
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

faces = sa.Table(
    "faces",
    metadata,
    id_column(),
    tenant_column(),
    sa.Column("person_id", Id, sa.ForeignKey("persons.id")),
    sa.Column("position", sa.Integer, nullable=False),  # orders the faces that one request added
    sa.Column("image_id", Id, nullable=False),
    sa.Column("model", sa.String(100), nullable=False),
    sa.Column("template", Sealed, nullable=False),  # little-endian float32
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

person_collections = sa.Table(
    "person_collections",
    metadata,
    sa.Column("collection_id", Id, sa.ForeignKey("collections.id"), primary_key=True),
    sa.Column("person_id", Id, sa.ForeignKey("persons.id"), primary_key=True),
    sa.Index(None, "person_id"),
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
    # Templates by further embedders, while the default changes from one to another: faces.template is by faces.model.
    sa.Column("face_id", Id, sa.ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("model", sa.String(100), primary_key=True),
    sa.Column("template", Sealed, nullable=False),
    sa.Index(None, "model"),
)

embedders = sa.Table(
    "embedders",
    metadata,
    # One row: which model searches use, and the change to another one, see gallery/embedders.py.
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("active", sa.String(100), nullable=False),
    sa.Column("target", sa.String(100)),
    sa.Column("passed", UtcDateTime),  # when every face had been looked at for the target
    sa.Column("leave_behind", sa.Boolean, nullable=False),  # switch even if some faces cannot be embedded
    sa.Column("previous", sa.String(100)),  # was active until "switched", and its templates are still there
    sa.Column("switched", UtcDateTime),
    sa.Column("worker", Id),  # who embeds stored crops, and until when nobody else does
    sa.Column("worker_until", UtcDateTime),
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

tasks = sa.Table(
    "tasks",
    metadata,
    id_column(),
    tenant_column(),
    sa.Column("kind", sa.String(50), nullable=False),
    sa.Column("result", sa.JSON, nullable=False),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, server_default="done"),
    sa.Column("arguments", sa.JSON, nullable=False, server_default="{}"),
    sa.Column("work", sa.JSON, nullable=False, server_default="{}"),  # what the worker needs to know, and how far it is
    sa.Column("done", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("total", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("error", sa.Text, nullable=False, server_default=""),
    sa.Column("finished", UtcDateTime),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),  # how often a worker took it up
    sa.Column("claim", Id, nullable=False, server_default=""),  # whose it is, while it runs
    sa.Column("claimed_until", UtcDateTime),
    sa.Index(None, "tenant_id"),
    sa.Index(None, "created"),
    sa.Index(None, "state"),
)

duplicate_pairs = sa.Table(
    "duplicate_pairs",
    metadata,
    sa.Column("task_id", Id, sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    # Persons, or faces without one. No foreign keys: whoever is deleted meanwhile is left out when pairs are read.
    sa.Column("first_id", Id, primary_key=True),
    sa.Column("second_id", Id, primary_key=True),
    sa.Column("first_face", Id, nullable=False),
    sa.Column("second_face", Id, nullable=False),
    sa.Column("cosine", sa.Float, nullable=False),
    sa.Index(None, "task_id", "cosine"),
)

distinct_persons = sa.Table(
    "distinct_persons",
    metadata,
    sa.Column("first_id", Id, sa.ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True),  # the smaller id
    sa.Column("second_id", Id, sa.ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True),
    tenant_column(),
    sa.Index(None, "second_id"),
)

bulk_entries = sa.Table(
    "bulk_entries",
    metadata,
    sa.Column("task_id", Id, sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    tenant_column(),
    sa.Column("person", sa.String(100), nullable=False),
    sa.Column("pictures", sa.Integer, nullable=False),
    sa.Column("blob", Id, nullable=False),  # fields and pictures, until they have been dealt with
    sa.Column("stored", sa.Boolean, nullable=False),  # whether there may still be such a blob
    sa.Column("outcome", sa.JSON(none_as_null=True)),
    sa.Index(None, "tenant_id"),
    sa.Index(None, "stored"),
)

erased = sa.Table(
    "erased",
    metadata,
    # Internal ids, random and never used again, so that they tell of nobody: what no restored backup may bring back.
    id_column(),
    sa.Column("tenant_id", Id, nullable=False),  # no foreign key: kept beyond everything
    sa.Column("kind", sa.String(16), nullable=False),  # collection, person or face
    sa.Column("created", UtcDateTime, nullable=False),
)

index_journal = sa.Table(
    "index_journal",
    metadata,
    # No foreign keys: an entry outlives what it speaks of.
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    sa.Column("tenant_id", Id, nullable=False),
    sa.Column("face_id", Id, nullable=False),
    sa.Column("model", sa.String(100), nullable=False),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Index(None, "face_id"),
    sqlite_autoincrement=True,  # an id is never used twice, so nobody removes another writer's entry
)

audit_log = sa.Table(
    "audit_log",
    metadata,
    # No foreign keys: an entry outlives what it speaks of.
    sa.Column("chain", Id, primary_key=True),  # a tenant's id, or the installation's
    sa.Column("sequence", Serial, primary_key=True, autoincrement=False),
    sa.Column("time", UtcDateTime, nullable=False),
    sa.Column("actor", sa.String(64), nullable=False),
    sa.Column("action", sa.String(50), nullable=False),
    sa.Column("subjects", sa.JSON, nullable=False),  # internal ids of persons
    sa.Column("collections", sa.JSON, nullable=False),
    sa.Column("details", sa.JSON, nullable=False),
    sa.Column("previous", sa.String(64), nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Index(None, "time"),
)

audit_heads = sa.Table(
    "audit_heads",
    metadata,
    sa.Column("chain", Id, primary_key=True),
    sa.Column("sequence", Serial, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
)

index_place = sa.Table(
    "index_place",
    metadata,
    # One row, always there: where the vector index is since its last move, and where it moves to. See
    # gallery/moving.py. Whoever changes the index holds a share of the row's lock, whoever changes the row all of it.
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", Serial, nullable=False),  # counts the changes of what processes must follow
    sa.Column("configured", sa.Text),  # storage.milvus_uri when the move began: what "uri" stands in for
    sa.Column("uri", sa.Text),  # null: never moved, the configured one
    sa.Column("token", Sealed),
    sa.Column("other_uri", sa.Text),  # the place to come, or the one before
    sa.Column("other_token", Sealed),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("since", UtcDateTime),
    sa.Column("done", Serial, nullable=False),
    sa.Column("total", Serial, nullable=False),
    sa.Column("error", sa.Text, nullable=False),  # why the last move was given up
    sa.Column("worker", Id),  # who copies, and until when nobody else does
    sa.Column("worker_until", UtcDateTime),
)
