"""Rows' keys as Milvus has them; ids are checked before they reach an expression, which takes no parameters."""

from __future__ import annotations

from collections.abc import Iterable

from serve_app.gallery.checks import is_id
from serve_app.gallery.index.base import RowKey


def checked_id(value: str) -> str:
    """The id itself. Raises ValueError if it is none."""
    if not is_id(value):
        raise ValueError(f"an id of 32 hex digits was expected, got {value!r}")
    return value


def id_list(ids: Iterable[str]) -> str:
    """As a list in an expression."""
    return ", ".join(f'"{checked_id(value)}"' for value in ids)


def to_pk(key: RowKey) -> str:
    """A row's primary key."""
    return f"{checked_id(key.collection_id)}_{checked_id(key.face_id)}"


def to_key(pk: str) -> RowKey:
    """The inverse of :func:`to_pk`."""
    return RowKey(pk[:32], pk[33:])
