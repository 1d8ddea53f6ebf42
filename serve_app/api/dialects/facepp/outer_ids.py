"""Between a FaceSet's ``outer_id`` and a collection's name.

An ``outer_id`` that may be a collection's name is its name, so that a collection made by the native API is a FaceSet
under its own name. Any other is kept as the collection's description, and the name is made of its SHA-256, which keeps
it unique within the tenant.
"""

from __future__ import annotations

import hashlib
import re
import uuid

from serve_app.domain import Collection
from serve_app.domain.names import is_name

HASHED = "outer-"
NAMELESS = re.compile(r"faceset-[0-9a-f]{32}")


def name_of(outer_id: str | None) -> str:
    """The name of the collection with this ``outer_id``; a new one for None."""
    if outer_id is None:
        return f"faceset-{uuid.uuid4().hex}"
    return outer_id if is_name(outer_id) else HASHED + hashlib.sha256(outer_id.encode()).hexdigest()[:40]


def description_of(outer_id: str | None) -> str:
    """What the collection's description must hold."""
    return "" if outer_id is None or is_name(outer_id) else outer_id


def outer_id_of(collection: Collection) -> str:
    """The ``outer_id``; empty for a FaceSet that was given none."""
    if NAMELESS.fullmatch(collection.name):
        return ""
    kept = collection.description
    return kept if kept and name_of(kept) == collection.name else collection.name
