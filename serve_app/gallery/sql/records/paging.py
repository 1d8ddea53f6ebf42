"""Listings: pages by key and filters by text, with the same results in both databases."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.sql.elements import KeyedColumnElement

from serve_app.gallery.checks import check_limit, check_text, decode_cursor, encode_cursor


def search_text(*texts: str) -> str:
    """The value of a column ``search_text``, which :func:`containing` looks into: the texts, case-folded."""
    return "\n".join(texts).casefold()


def containing(column: sa.Column[str], q: str) -> list[sa.ColumnElement[bool]]:
    """The condition that the column contains ``q``, ignoring case; none if ``q`` is empty. Raises InvalidRequest."""
    if not check_text("q", q, 200):
        return []
    return [column.contains(q.casefold(), autoescape=True)]


def page_of(
    connection: sa.Connection, query: sa.Select[Any], key: KeyedColumnElement[Any], limit: int, cursor: str | None
) -> tuple[list[sa.Row[Any]], str | None]:
    """Up to ``limit`` rows after the cursor, ordered by the key, and the cursor of the next page.

    Raises InvalidRequest (cursor, limit).
    """
    after = decode_cursor(cursor)
    if after is not None:
        query = query.where(key > after)
    rows = connection.execute(query.order_by(key).limit(check_limit(limit) + 1)).all()
    if len(rows) <= limit:
        return list(rows), None
    return list(rows[:limit]), encode_cursor(getattr(rows[limit - 1], str(key.key)))
