"""Tables of background tasks, of duplicates that were found, and of bulk uploads."""

from __future__ import annotations

import sqlalchemy as sa

from serve_app.gallery.sql.column_types import Id, UtcDateTime, id_column, tenant_column
from serve_app.gallery.sql.schema.tables import metadata

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
    sa.Column("work", sa.JSON, nullable=False, server_default="{}"),  # input and progress of the worker
    sa.Column("done", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("total", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("error", sa.Text, nullable=False, server_default=""),
    sa.Column("finished", UtcDateTime),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),  # how often a worker claimed it
    sa.Column("claim", Id, nullable=False, server_default=""),  # the worker that has it, while it runs
    sa.Column("claimed_until", UtcDateTime),
    sa.Index(None, "tenant_id"),
    sa.Index(None, "created"),
    sa.Index(None, "state"),
)

duplicate_pairs = sa.Table(
    "duplicate_pairs",
    metadata,
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

bulk_entries = sa.Table(
    "bulk_entries",
    metadata,
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
