"""Heads of audit chains are signed, each chain has one from its creation on, and says where it begins."""

import datetime as dt
from typing import Any

import sqlalchemy as sa
from alembic import op

from serve_app.gallery.sql.encryption import EncryptedBytes
from serve_app.gallery.sql.signing import Signer, digest, new_private_key, sign_head

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    """Apply."""
    op.add_column("audit_heads", sa.Column("signature", sa.Text, nullable=False, server_default=""))
    connection = op.get_bind()
    installation = sa.table("installation", sa.column("id"), sa.column("signing_key", EncryptedBytes))
    missing = installation.c.signing_key.is_(None)
    connection.execute(installation.update().where(missing).values(signing_key=new_private_key()))
    id_, private = connection.execute(sa.select(installation.c.id, installation.c.signing_key)).one()
    signer = Signer(bytes(private))
    tenants = sa.table("tenants", sa.column("id"))
    for chain in [id_, *connection.execute(sa.select(tenants.c.id)).scalars()]:
        _adopt(connection, signer, chain)


def _adopt(connection: sa.Connection, signer: Signer, chain: str) -> None:
    """Sign a chain's head as it is; an entry records from where on the chain was kept so far."""
    names = ("chain", "sequence", "actor", "action", "subjects", "collections", "details", "previous", "hash")
    json_names = ("subjects", "collections", "details")
    time = sa.column("time", sa.DateTime(timezone=True))
    log = sa.table("audit_log", time, *(sa.column(n, sa.JSON if n in json_names else None) for n in names))
    heads = sa.table("audit_heads", *(sa.column(name) for name in ("chain", "sequence", "hash", "signature")))
    head = connection.execute(sa.select(heads).where(heads.c.chain == chain)).first()
    sequence, last = (0, "") if head is None else (head.sequence, head.hash)
    first = connection.execute(sa.select(log).where(log.c.chain == chain).order_by(log.c.sequence).limit(1)).first()
    if first is not None and first.sequence > 1:
        sequence += 1
        now = dt.datetime.now(dt.UTC)
        entry: dict[str, Any] = {
            "chain": chain,
            "sequence": sequence,
            "actor": "internal",
            "action": "forget_audit",
            "subjects": [],
            "collections": [],
            "details": {"first": first.sequence, "hash": first.hash, "by": "an earlier version"},
            "previous": last,
        }
        last = digest({**entry, "time": now.isoformat(timespec="microseconds")})
        connection.execute(log.insert().values(**entry, time=now, hash=last))
    values = {"sequence": sequence, "hash": last, "signature": sign_head(signer, chain, sequence, last)}
    if head is None:
        connection.execute(heads.insert().values(chain=chain, **values))
    else:
        connection.execute(heads.update().where(heads.c.chain == chain).values(**values))
