"""Erasure of a tenant: of everything that it owns in all stores, then of the tenant itself, with a receipt."""

from __future__ import annotations

import datetime as dt
from functools import partial

import sqlalchemy as sa

from serve_app.domain import DEFAULT_TENANT, ErasureReceipt
from serve_app.errors import InvalidRequest, StoreUnavailable, TenantNotFound
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.index.base import VectorIndex
from serve_app.gallery.repair import Repairer
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import audit_chain, faces
from serve_app.gallery.sql.records.changes import Changes
from serve_app.gallery.sql.records.collections import POOL, UNKNOWNS_PREFIX
from serve_app.gallery.sql.schema import (
    api_keys,
    audit_heads,
    audit_log,
    collections,
    erased,
    index_journal,
    metadata,
    persons,
    tenants,
)
from serve_app.gallery.sql.schema import faces as face_table
from serve_app.gallery.sql.signing import Signer
from serve_app.gallery.tenants import installation_id
from serve_app.gallery.writes import deletion_plans
from serve_app.gallery.writes.plan_parts import drop
from serve_app.gallery.writes.writer import Planned, Writer

STATEMENT = "facegraph tenant erasure 1"
AT_ONCE = 500

OWNED = tuple(t for t in reversed(metadata.sorted_tables) if "tenant_id" in t.c and t is not erased)
"""All tables with rows of tenants, dependent ones first. Without tombstones: they stay, so that restoring a backup does
not bring back what was erased."""


def erase_tenant(
    database: Database, index: VectorIndex, blobs: BlobStore, writer: Writer, signer: Signer, tenant: str
) -> ErasureReceipt:
    """Erase a tenant. Its keys stop working first. If it was interrupted, run it again.

    Raises:
        TenantNotFound.
        InvalidRequest: it is the default tenant.
        StoreUnavailable: a store does not answer; or the tenant is deleted and something of it is left
            (``details["residue"]``), because a client still writes for it.
    """
    if tenant == DEFAULT_TENANT:
        raise InvalidRequest("The default tenant belongs to the installation and cannot be deleted.")
    with database.read() as connection:
        row = connection.execute(sa.select(tenants).where(tenants.c.id == tenant)).first()
        chain = installation_id(connection)
    if row is None:
        raise TenantNotFound(f"There is no tenant with the id {tenant}.")
    database.transact(lambda c: c.execute(api_keys.delete().where(api_keys.c.tenant_id == tenant)))

    counts = {"persons": 0, "faces": 0}
    with database.read() as connection:
        face_ids = set(connection.execute(sa.select(face_table.c.id).where(face_table.c.tenant_id == tenant)).scalars())
        owned = sa.select(collections.c.name).where(collections.c.tenant_id == tenant)
        names = list(connection.execute(owned).scalars())
    while people := _some_persons(database, tenant):
        done = writer.run(lambda c: deletion_plans.delete_persons(c, tenant, people))
        counts["persons"] += done.persons
        counts["faces"] += done.faces
    while number := writer.run(lambda c: _unassigned_faces(c, tenant)):
        counts["faces"] += number
    for name in names:
        if name[0] not in (POOL, UNKNOWNS_PREFIX):
            writer.run(partial(deletion_plans.delete_collection, tenant=tenant, name=name, only_if_empty=False))
    Repairer(database, index, blobs).settle_journal(ids=_journal(database, tenant))
    blobs.delete_tenant(tenant)

    def finish(connection: sa.Connection) -> list[str]:
        for table in OWNED:
            connection.execute(table.delete().where(table.c.tenant_id == tenant))
        for table in (audit_log, audit_heads):
            connection.execute(table.delete().where(table.c.chain == tenant))
        connection.execute(tenants.delete().where(tenants.c.id == tenant))
        made = audit_chain.append(
            connection, chain, [audit_chain.Draft("delete_tenant", details={**counts, "tenant": tenant})]
        )
        return [entry.hash for entry in made]

    entries = database.transact(finish)
    left = {
        "records": _rows_left(database, tenant),
        "vectors": sum(len(index.rows_of(model, face_ids)) for model in index.models()),
        "images": blobs.count(tenant),
    }
    if any(left.values()):
        raise StoreUnavailable(
            "The tenant is deleted, but something of it is left, so there is no receipt: stop clients that still write "
            "for it.",
            residue=left,
        )
    return signer.receipt(
        {
            "statement": STATEMENT,
            "tenant": tenant,
            "name": row.name,
            **counts,
            "time": dt.datetime.now(dt.UTC).isoformat(timespec="microseconds"),
            "left": left,
            "entries": entries,
        }
    )


def _some_persons(database: Database, tenant: str) -> list[str]:
    query = sa.select(persons.c.external_id).where(persons.c.tenant_id == tenant).limit(AT_ONCE)
    with database.read() as connection:
        return list(connection.execute(query).scalars())


def _unassigned_faces(connection: sa.Connection, tenant: str) -> Planned[int]:
    query = sa.select(face_table.c.id).where(face_table.c.tenant_id == tenant, face_table.c.person_id.is_(None))
    rows = faces.of_ids(connection, connection.execute(query.limit(AT_ONCE)).scalars())
    changes = Changes(tenant, "delete_faces")
    drop(connection, changes, rows)
    return changes, lambda _: len(rows)


def _journal(database: Database, tenant: str) -> list[int]:
    with database.read() as connection:
        query = sa.select(index_journal.c.id).where(index_journal.c.tenant_id == tenant)
        return list(connection.execute(query).scalars())


def _rows_left(database: Database, tenant: str) -> int:
    owned = [(table, table.c.tenant_id) for table in OWNED]
    owned += [(audit_log, audit_log.c.chain), (audit_heads, audit_heads.c.chain), (tenants, tenants.c.id)]
    with database.read() as connection:
        return sum(
            connection.execute(sa.select(sa.func.count()).select_from(table).where(column == tenant)).scalar_one()
            for table, column in owned
        )
