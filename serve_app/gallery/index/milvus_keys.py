"""Keys of index rows in the form that Milvus stores.

Ids are checked before they are put into a filter expression, because expressions take no parameters.
"""

from __future__ import annotations

from collections.abc import Iterable

from serve_app.gallery.checks import is_id
from serve_app.gallery.index.base import RowKey


def checked_id(value: str) -> str:
    """The id itself. Raises ValueError if it is not 32 hex digits."""
    if not is_id(value):
        raise ValueError(f"an id of 32 hex digits was expected, got {value!r}")
    return value


def id_list(ids: Iterable[str]) -> str:
    """Ids as the elements of a list in a filter expression. Raises ValueError."""
    return ", ".join(f'"{checked_id(value)}"' for value in ids)


def to_pk(key: RowKey) -> str:
    """The primary key of a row: both ids, joined by an underscore."""
    return f"{checked_id(key.collection_id)}_{checked_id(key.face_id)}"


def to_key(pk: str) -> RowKey:
    """The inverse of :func:`to_pk`."""
    return RowKey(pk[:32], pk[33:])
