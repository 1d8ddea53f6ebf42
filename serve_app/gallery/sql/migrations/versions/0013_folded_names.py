"""Texts to search are folded: marks on letters count as little as case."""

import sqlalchemy as sa
from alembic import op

from serve_app.gallery.sql.folding import folded

revision = "0013"
down_revision = "0012"

BATCH = 10_000


def upgrade() -> None:
    """Apply."""
    connection = op.get_bind()
    for name in ("collections", "persons"):
        table = sa.table(name, sa.column("id"), sa.column("search_text"))
        change = table.update().where(table.c.id == sa.bindparam("row_id")).values(search_text=sa.bindparam("text"))
        rows = sa.select(table).order_by(table.c.id).limit(BATCH)
        after = ""
        while batch := connection.execute(rows.where(table.c.id > after)).all():
            after = batch[-1].id
            # What earlier versions stored was case-folded, which folding does first.
            changed = [{"row_id": id_, "text": text} for id_, was in batch if (text := folded(was)) != was]
            if changed:
                connection.execute(change, changed)
