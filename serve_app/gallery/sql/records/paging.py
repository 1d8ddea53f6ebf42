"""Listings: pages by key and text search, alike in both databases."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import KeyedColumnElement

from serve_app.gallery.checks import check_limit, check_text, decode_cursor, encode_cursor


def search_text(*texts: str) -> str:
    """What :func:`containing` looks into."""
    return "\n".join(texts).casefold()


def containing(column: sa.Column[str], q: str) -> list[sa.ColumnElement[bool]]:
    """The condition that the column contains ``q`` in any case; none for an empty one."""
    if not check_text("q", q, 200):
        return []
    return [column.contains(q.casefold(), autoescape=True)]


def page_of(
    connection: sa.Connection, query: sa.Select[Any], key: KeyedColumnElement[Any], limit: int, cursor: str | None
) -> tuple[list[sa.Row[Any]], str | None]:
    """The rows after the cursor, in the key's order, and the cursor of the page that follows."""
    after = decode_cursor(cursor)
    if after is not None:
        query = query.where(key > after)
    rows = connection.execute(query.order_by(key).limit(check_limit(limit) + 1)).all()
    if len(rows) <= limit:
        return list(rows), None
    return list(rows[:limit]), encode_cursor(getattr(rows[limit - 1], str(key.key)))
