"""What the installation remembers about itself: stores, models, changes, and who did what."""

from __future__ import annotations

import sqlalchemy as sa

from serve_app.gallery.sql.column_types import Id, Serial, UtcDateTime, id_column
from serve_app.gallery.sql.encryption import EncryptedBytes
from serve_app.gallery.sql.schema.tables import metadata

installation = sa.Table(
    "installation",
    metadata,
    id_column(),  # tells apart the indexes of several installations on one Milvus server
    sa.Column("signing_key", EncryptedBytes),  # Ed25519, private; made by the first process that needs it
)

embedders = sa.Table(
    "embedders",
    metadata,
    # One row: which model searches use, and the change to another one, see gallery/embedder_change/change.py.
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

index_place = sa.Table(
    "index_place",
    metadata,
    # One row, always there: where the vector index is since its last move, and where it moves to. See
    # gallery/index_move/migration.py. Changes of the index hold the row's lock shared, changes of the row exclusively.
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("version", Serial, nullable=False),  # counts the changes of what processes must follow
    sa.Column("configured", sa.Text),  # storage.milvus_uri when the move began: what "uri" stands in for
    sa.Column("uri", sa.Text),  # null: never moved, the configured one
    sa.Column("token", EncryptedBytes),
    sa.Column("other_uri", sa.Text),  # the place to come, or the one before
    sa.Column("other_token", EncryptedBytes),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("since", UtcDateTime),
    sa.Column("done", Serial, nullable=False),
    sa.Column("total", Serial, nullable=False),
    sa.Column("error", sa.Text, nullable=False),  # why the last move was given up
    sa.Column("worker", Id),  # who copies, and until when nobody else does
    sa.Column("worker_until", UtcDateTime),
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

erased = sa.Table(
    "erased",
    metadata,
    # Internal ids, which are random and never used again: they say nothing about anybody. A restored backup leaves out
    # what is named here.
    id_column(),
    sa.Column("tenant_id", Id, nullable=False),  # no foreign key: kept beyond everything
    sa.Column("kind", sa.String(16), nullable=False),  # collection, person or face
    sa.Column("created", UtcDateTime, nullable=False),
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
