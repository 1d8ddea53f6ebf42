"""Conversion of table rows to JSON and back, by the types of the columns. The JSON is the same for both databases."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pydantic_core
import sqlalchemy as sa

from serve_app.errors import ConfigurationError
from serve_app.gallery.archive.container import ArchiveDamaged
from serve_app.gallery.sql.column_types import UtcDateTime
from serve_app.gallery.sql.encryption import EncryptedBytes


def to_json(row: sa.Row[Any], table: sa.Table) -> dict[str, Any]:
    """The columns of a row that belong to the table, as JSON-ready values."""
    return {column.name: _out(row._mapping[column.name]) for column in table.c}


def from_json(values: Mapping[str, Any], table: sa.Table) -> dict[str, Any]:
    """The values to insert. A column that the version of the archive did not have gets an empty value.

    Raises ConfigurationError: the archive has a column that this version does not have.
    """
    unknown = sorted(values.keys() - table.c.keys())
    if unknown:
        raise ConfigurationError(
            f"The archive was written by a newer facegraph: its {table.name} have {', '.join(unknown)}, which this "
            "version does not know. Import it with the newer version."
        )
    return {
        column.name: _in(values[column.name], column) if column.name in values else _empty(column) for column in table.c
    }


def lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    """The records as JSON lines."""
    return "".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records).encode()


def records(content: bytes) -> Iterator[dict[str, Any]]:
    """The inverse of :func:`lines`. Raises ArchiveDamaged."""
    for line in content.splitlines():
        try:
            record = pydantic_core.from_json(line)
        except ValueError as error:
            raise ArchiveDamaged(f"The archive has a line that is not JSON: {error}.") from None
        if not isinstance(record, dict):
            raise ArchiveDamaged("The archive has a line that is not a JSON object.")
        yield record


def _out(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dt.date):  # datetime is a subclass of date
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
