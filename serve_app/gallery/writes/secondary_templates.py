"""What a change means beyond each face's first template: the index rows of further embedders, kept in step.

Plans speak of a face's first template only. While the default embedder changes, faces have a second one, by the coming
or the former model; this is the one place that makes every change of memberships happen to both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa

from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.records import embedder_state, faces, secondary_templates
from serve_app.gallery.sql.records.changes import Changes
from serve_app.gallery.sql.records.secondary_templates import SecondaryTemplates


@dataclass(frozen=True, slots=True)
class IndexChanges:
    """What changes in the index, by model."""

    delete: Mapping[str, list[RowKey]]
    upsert: Mapping[str, list[IndexRow]]


def of_models_in_use(connection: sa.Connection, further: SecondaryTemplates) -> SecondaryTemplates:
    """Without those by models that are no longer in use: a change may have been given up meanwhile."""
    row = embedder_state.get(connection) if further else None
    if row is None:
        return further
    return {
        face_id: {model: made[model] for model in made.keys() & {row.active, row.target, row.previous}}
        for face_id, made in further.items()
    }


def index_changes(connection: sa.Connection, changes: Changes) -> IndexChanges:
    """The index rows to delete and to write; the changed faces must be locked, the records not yet changed."""
    delete: dict[str, list[RowKey]] = defaultdict(list, {model: list(keys) for model, keys in changes.detach.items()})
    upsert: dict[str, list[IndexRow]] = defaultdict(list, {model: list(rows) for model, rows in changes.attach.items()})
    leaving = [key for keys in changes.detach.values() for key in keys]
    others = secondary_templates.models_of(connection, {key.face_id for key in leaving})
    for key in leaving:
        for model in others.get(key.face_id, ()):
            delete[model].append(key)
    coming = [row.key for rows in changes.attach.values() for row in rows]
    for model, rows in secondary_templates.index_rows(connection, coming).items():
        upsert[model] += rows
    for key in (*coming, *faces.memberships(connection, changes.templates)):
        for model, vector in changes.templates.get(key.face_id, {}).items():
            upsert[model].append(IndexRow(key, vector))
    return IndexChanges(delete, upsert)
