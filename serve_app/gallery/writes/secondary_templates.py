"""Index rows of secondary templates, changed together with those of the first templates.

Plans only name a face's first template. While the gallery changes from one embedder to another, faces have a secondary
template as well, by the new or the former model. Only this module applies a change of memberships to the rows of both.
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
    """Changes of the index, by model."""

    delete: Mapping[str, list[RowKey]]
    upsert: Mapping[str, list[IndexRow]]


def of_models_in_use(connection: sa.Connection, templates: SecondaryTemplates) -> SecondaryTemplates:
    """Leave out templates by models that are not in use, because the change of embedder was abandoned since."""
    row = embedder_state.get(connection) if templates else None
    if row is None:
        return templates
    return {
        face_id: {model: made[model] for model in made.keys() & {row.active, row.target, row.previous}}
        for face_id, made in templates.items()
    }


def index_changes(connection: sa.Connection, changes: Changes) -> IndexChanges:
    """The index rows to delete and to write. The faces must be locked, and the records must not be changed yet."""
    delete: dict[str, list[RowKey]] = defaultdict(list, {model: list(keys) for model, keys in changes.detach.items()})
    upsert: dict[str, list[IndexRow]] = defaultdict(list, {model: list(rows) for model, rows in changes.attach.items()})
    leaving, joining = changes.detached(), changes.attached()
    secondary_models = secondary_templates.models_of(connection, {key.face_id for key in leaving})
    for key in leaving:
        for model in secondary_models.get(key.face_id, ()):
            delete[model].append(key)
    for model, rows in secondary_templates.index_rows(connection, joining).items():
        upsert[model] += rows
    for key in (*joining, *faces.memberships(connection, changes.templates)):
        for model, vector in changes.templates.get(key.face_id, {}).items():
            upsert[model].append(IndexRow(key, vector))
    return IndexChanges(delete, upsert)
