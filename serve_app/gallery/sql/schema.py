"""The tables of the records. A change needs a migration (``migrations/versions``); a test compares the two.

Ids are 32 hex digits. Texts that listings are filtered by have a folded copy (``search_text``), because the databases
fold upper and lower case differently, and marks not at all. Texts that listings are ordered by are compared by code
point in both databases.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from serve_app.gallery.sql.column_types import Id, Ordered, Serial, UtcDateTime, id_column, tenant_column, texts, times
from serve_app.gallery.sql.encryption import EncryptedBytes
from serve_app.gallery.sql.folding import Folded

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _table(name: str, *items: sa.schema.SchemaItem, **options: Any) -> sa.Table:
    return sa.Table(name, metadata, *items, **options)


tenants = _table(
    "tenants",
    id_column(),
    sa.Column("name", sa.Text, nullable=False, unique=True),
    sa.Column("created", UtcDateTime, nullable=False),
)

api_keys = _table(
    "api_keys",
    id_column(),
    tenant_column(),
    sa.Column("name", sa.Text, nullable=False),
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

collections = _table(
    "collections",
    id_column(),
    tenant_column(),
    sa.Column("name", Ordered, nullable=False),
    *texts("title", "description"),
    sa.Column("search_text", Folded, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("user_data", sa.Text, nullable=False),
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

persons = _table(
    "persons",
    id_column(),
    tenant_column(),
    sa.Column("external_id", Ordered, nullable=False),
    *texts("name", "gender"),
    sa.Column("date_of_birth", sa.Date),
    *texts("nationality", "id_number", "address", "notes"),
    sa.Column("watch_list", sa.JSON, nullable=False),
    sa.Column("metadata", sa.JSON, nullable=False),
    sa.Column("consent", sa.JSON(none_as_null=True)),
    sa.Column("consent_expires", UtcDateTime),
    sa.Index(None, "consent_expires"),
    sa.Column("search_text", Folded, nullable=False),
    *times(),
    sa.UniqueConstraint("tenant_id", "external_id"),
)

person_collections = _table(
    "person_collections",
    sa.Column("collection_id", Id, sa.ForeignKey("collections.id"), primary_key=True),
    sa.Column("person_id", Id, sa.ForeignKey("persons.id"), primary_key=True),
    sa.Index(None, "person_id"),
)

distinct_persons = _table(
    "distinct_persons",
    sa.Column("first_id", Id, sa.ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True),  # the smaller id
    sa.Column("second_id", Id, sa.ForeignKey("persons.id", ondelete="CASCADE"), primary_key=True),
    tenant_column(),
    sa.Index(None, "second_id"),
)

faces = _table(
    "faces",
    id_column(),
    tenant_column(),
    sa.Column("person_id", Id, sa.ForeignKey("persons.id")),
    sa.Column("position", sa.Integer, nullable=False),  # orders the faces that one request added
    sa.Column("image_id", Id, nullable=False),
    sa.Column("model", sa.String(100), nullable=False),
    sa.Column("template", EncryptedBytes, nullable=False),  # little-endian float32
    *(sa.Column(f"box_{name}", sa.Float, nullable=False) for name in ("x", "y", "width", "height")),
    sa.Column("quality", sa.Float, nullable=False),
    sa.Column("detection_score", sa.Float, nullable=False),
    sa.Column("liveness", sa.Float),
    sa.Column("storage", sa.String(16), nullable=False),
    sa.Column("has_thumbnail", sa.Boolean, nullable=False),
    sa.Column("has_photograph", sa.Boolean, nullable=False),
    sa.Column("user_id", sa.Text, nullable=False),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("expires", UtcDateTime),
    sa.Column("appearance", sa.JSON(none_as_null=True)),
    *(sa.Index(None, name) for name in ("expires", "person_id", "tenant_id", "model")),
)

face_collections = _table(
    "face_collections",
    sa.Column("collection_id", Id, sa.ForeignKey("collections.id"), primary_key=True),
    sa.Column("face_id", Id, sa.ForeignKey("faces.id"), primary_key=True),
    sa.Index(None, "face_id"),
)

face_templates = _table(
    "face_templates",
    # Secondary templates: a second template of a face, by another embedder than faces.model, while the gallery changes
    # from one embedder to another. The first template is in faces.template.
    sa.Column("face_id", Id, sa.ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("model", sa.String(100), primary_key=True),
    sa.Column("template", EncryptedBytes, nullable=False),
    sa.Index(None, "model"),
)

unknowns = _table(
    "unknowns",
    id_column(),
    sa.Column("collection_id", Id, sa.ForeignKey("collections.id", ondelete="CASCADE"), nullable=False),
    sa.Column("sightings", sa.Integer, nullable=False),
    sa.Column("first_seen", UtcDateTime, nullable=False),
    sa.Column("last_seen", UtcDateTime, nullable=False),
    sa.Index(None, "collection_id", "last_seen"),
)

unknown_faces = _table(
    "unknown_faces",
    sa.Column("face_id", Id, sa.ForeignKey("faces.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("unknown_id", Id, sa.ForeignKey("unknowns.id", ondelete="CASCADE"), nullable=False),
    sa.Index(None, "unknown_id"),
)

installation = _table(
    "installation",
    id_column(),  # distinguishes the indexes of installations that share a Milvus server
    sa.Column("signing_key", EncryptedBytes),  # Ed25519 private key; generated by the first process that needs it
    sa.Column("time_believed", UtcDateTime),  # see privacy/expiry_clock.py
    sa.Column("doubted_s", sa.Float, nullable=False, server_default="0"),  # for how long another time was shown
)

embedders = _table(
    "embedders",
    # One row: the embedder that searches use, and the change to another one. See gallery/embedder_change/change.py.
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("active", sa.String(100), nullable=False),
    sa.Column("target", sa.String(100)),
    sa.Column("passed", UtcDateTime),  # when a pass over all faces for the target had ended
    sa.Column("leave_behind", sa.Boolean, nullable=False),  # switch although some faces cannot be embedded
    sa.Column("previous", sa.String(100)),  # was active until "switched"; its templates still exist
    sa.Column("switched", UtcDateTime),
    sa.Column("worker", Id),  # process that embeds stored crops; it has the lease until "worker_until"
    sa.Column("worker_until", UtcDateTime),
)

index_place = _table(
    "index_place",
    # Always exactly one row: where the vector index is since its last move, and where it moves to. See
    # gallery/index_move/moves.py. A transaction that changes the index holds the row's lock shared, one that
    # changes this row holds it exclusively.
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", Serial, nullable=False),  # one more with each change that processes must follow
    sa.Column("configured", sa.Text),  # storage.milvus_uri when the move began; "uri" overrides it
    sa.Column("uri", sa.Text),  # null: the index never moved and is where the settings say
    sa.Column("token", EncryptedBytes),
    sa.Column("other_uri", sa.Text),  # the target of a move, or the location before it
    sa.Column("other_token", EncryptedBytes),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("since", UtcDateTime),
    sa.Column("done", Serial, nullable=False),
    sa.Column("total", Serial, nullable=False),
    sa.Column("error", sa.Text, nullable=False),  # why the last move was given up
    sa.Column("worker", Id),  # process that copies; it has the lease until "worker_until"
    sa.Column("worker_until", UtcDateTime),
)

index_journal = _table(
    "index_journal",
    # No foreign keys: an entry outlives the rows that it refers to.
    sa.Column("id", Serial, primary_key=True, autoincrement=True),
    sa.Column("tenant_id", Id, nullable=False),
    sa.Column("face_id", Id, nullable=False),
    sa.Column("model", sa.String(100), nullable=False),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Index(None, "face_id"),
    sqlite_autoincrement=True,  # an id is never reused, so that no writer removes the entry of another one
)

erased = _table(
    "erased",
    # Internal ids, which are random and never reused: they identify no person. What has one of these ids is left out
    # when a backup is restored.
    id_column(),
    sa.Column("tenant_id", Id, nullable=False),  # no foreign key: a tombstone outlives its tenant
    sa.Column("kind", sa.String(16), nullable=False),  # collection, person or face
    sa.Column("created", UtcDateTime, nullable=False),
)

audit_log = _table(
    "audit_log",
    # No foreign keys: an entry outlives the rows that it refers to.
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

audit_heads = _table(
    "audit_heads",
    sa.Column("chain", Id, primary_key=True),
    sa.Column("sequence", Serial, nullable=False),
    sa.Column("hash", sa.String(64), nullable=False),
    sa.Column("signature", sa.Text, nullable=False, server_default=""),  # see signing.sign_head
)

tasks = _table(
    "tasks",
    id_column(),
    tenant_column(),
    sa.Column("kind", sa.String(50), nullable=False),
    sa.Column("result", sa.JSON, nullable=False),
    sa.Column("created", UtcDateTime, nullable=False),
    sa.Column("state", sa.String(16), nullable=False, server_default="done"),
    sa.Column("arguments", sa.JSON, nullable=False, server_default="{}"),
    sa.Column("work", sa.JSON, nullable=False, server_default="{}"),  # input and progress of the worker
    sa.Column("done", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("total", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("error", sa.Text, nullable=False, server_default=""),
    sa.Column("finished", UtcDateTime),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),  # how often a worker claimed it
    sa.Column("claim", Id, nullable=False, server_default=""),  # the worker that has it, while it runs
    sa.Column("claimed_until", UtcDateTime),
    *(sa.Index(None, name) for name in ("tenant_id", "created", "state")),
)

duplicate_pairs = _table(
    "duplicate_pairs",
    sa.Column("task_id", Id, sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    # Ids of persons, or of unassigned faces. No foreign keys: pairs of which one was deleted since are left out when
    # they are read.
    sa.Column("first_id", Id, primary_key=True),
    sa.Column("second_id", Id, primary_key=True),
    sa.Column("first_face", Id, nullable=False),
    sa.Column("second_face", Id, nullable=False),
    sa.Column("cosine", sa.Float, nullable=False),
    sa.Index(None, "task_id", "cosine"),
)

bulk_entries = _table(
    "bulk_entries",
    sa.Column("task_id", Id, sa.ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    tenant_column(),
    sa.Column("person", sa.String(100), nullable=False),
    sa.Column("pictures", sa.Integer, nullable=False),
    sa.Column("blob", Id, nullable=False),  # fields and images, until the person has an outcome
    sa.Column("stored", sa.Boolean, nullable=False),  # whether the blob may still exist
    sa.Column("outcome", sa.JSON(none_as_null=True)),
    sa.Index(None, "tenant_id"),
    sa.Index(None, "stored"),
)
