"""The native API under ``/v1``: one router per subject."""

from __future__ import annotations

from serve_app.api.dialect import Dialect
from serve_app.api.errors import error_response
from serve_app.api.native import bulk, collections, keys, meta, persons, pictures, privacy, search, tasks, unknowns


def native_dialect() -> Dialect:
    """Create the native API's dialect."""
    parts = (search, pictures, collections, persons, unknowns, tasks, bulk, privacy, keys, meta)
    return Dialect("native", [part.router for part in parts], error_response)
