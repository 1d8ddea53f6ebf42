"""Conversion of table rows to JSON. The JSON is the same for both databases; :mod:`.contents` reads it."""

from __future__ import annotations

import base64
import datetime as dt
import json
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa


def to_json(row: sa.Row[Any], table: sa.Table) -> dict[str, Any]:
    """The columns of a row that belong to the table, as JSON-ready values."""
    return {column.name: _out(row._mapping[column.name]) for column in table.c}


def lines(records: Iterable[Mapping[str, Any]]) -> bytes:
    """The records as JSON lines."""
    return "".join(json.dumps(record, ensure_ascii=False, separators=(",", ":")) + "\n" for record in records).encode()


def _out(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dt.date):  # datetime is a subclass of date
        return value.isoformat()
    return value
