"""The native API under ``/v1``: one router a subject, put together here."""

from __future__ import annotations

from fastapi import APIRouter

from serve_app.api.dialect import Dialect
from serve_app.api.errors import error_response
from serve_app.api.native import collections, keys, meta, persons, pictures, search


def native_dialect() -> Dialect:
    """The native API as a dialect of the application."""
    router = APIRouter()
    for part in (search, pictures, collections, persons, keys, meta):
        router.include_router(part.router)
    return Dialect("native", router, error_response)
