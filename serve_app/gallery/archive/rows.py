"""Rows of the tables as JSON and back, by the types of their columns; the same for every database."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import sqlalchemy as sa

from serve_app.errors import ConfigurationError
from serve_app.gallery.archive.container import ArchiveDamaged
from serve_app.gallery.sql.column_types import UtcDateTime
from serve_app.gallery.sql.encryption import EncryptedBytes


def to_json(row: sa.Row[Any], table: sa.Table) -> dict[str, Any]:
    """The table's columns of a row."""
    return {column.name: _out(row._mapping[column.name]) for column in table.c}


def from_json(values: Mapping[str, Any], table: sa.Table) -> dict[str, Any]:
    """What to insert. A column that the archive's version did not have is empty.

    Raises:
        ConfigurationError: a column that this version does not have.
    """
    unknown = sorted(values.keys() - table.c.keys())
    if unknown:
        raise ConfigurationError(
            f"The archive was written by a newer facegraph: its {table.name} have {', '.join(unknown)}, which this one "
            "does not know. Import it with that version."
        )
    return {
        column.name: _in(values[column.name], column) if column.name in values else _empty(column) for column in table.c
    }


def lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    """JSON lines."""
    return "".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records).encode()


def records(content: bytes) -> Iterator[dict[str, Any]]:
    """The inverse of :func:`lines`."""
    for line in content.splitlines():
        try:
            record = json.loads(line)
        except ValueError as error:
            raise ArchiveDamaged(f"The archive holds a line that is no JSON: {error}.") from None
        if not isinstance(record, dict):
            raise ArchiveDamaged("The archive holds a line that is no JSON object.")
        yield record


def _out(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dt.date):  # times are dates too
        return value.isoformat()
    return value


def _in(value: Any, column: sa.Column[Any]) -> Any:
    if value is None:
        return None
    if isinstance(column.type, sa.LargeBinary | EncryptedBytes):
        return base64.b64decode(value)
    if isinstance(column.type, UtcDateTime):
        return dt.datetime.fromisoformat(value)
    if isinstance(column.type, sa.Date):
        return dt.date.fromisoformat(value)
    return value


def _empty(column: sa.Column[Any]) -> Any:
    if column.nullable:
        return None
    if isinstance(column.type, sa.JSON):
        return {}
    return column.type.python_type()
