"""The tables of the records. A change needs a migration (``migrations/versions``); a test compares the two.

Ids are 32 hex digits. Texts that listings are filtered by have a case-folded copy (``search_text``), because the
databases fold upper and lower case differently. Texts that listings are ordered by are compared by code point in both
databases.
"""

from __future__ import annotations

from serve_app.gallery.sql.schema.bookkeeping import (
    audit_heads,
    audit_log,
    embedders,
    erased,
    index_journal,
    index_place,
    installation,
)
from serve_app.gallery.sql.schema.people import (
    api_keys,
    collections,
    distinct_persons,
    face_collections,
    face_templates,
    faces,
    person_collections,
    persons,
    tenants,
    unknown_faces,
    unknowns,
)
from serve_app.gallery.sql.schema.tables import metadata
from serve_app.gallery.sql.schema.work import bulk_entries, duplicate_pairs, tasks

__all__ = [
    "api_keys",
    "audit_heads",
    "audit_log",
    "bulk_entries",
    "collections",
    "distinct_persons",
    "duplicate_pairs",
    "embedders",
    "erased",
    "face_collections",
    "face_templates",
    "faces",
    "index_journal",
    "index_place",
    "installation",
    "metadata",
    "person_collections",
    "persons",
    "tasks",
    "tenants",
    "unknown_faces",
    "unknowns",
]
