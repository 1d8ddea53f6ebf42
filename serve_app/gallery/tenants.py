"""Tenants: they share an installation, but no data."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import sqlalchemy as sa

from serve_app.domain import Tenant
from serve_app.errors import TenantExists, TenantNotFound
from serve_app.gallery import checks
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.records import audit_chain
from serve_app.gallery.sql.schema import installation, tenants


class TenantStore:
    """The tenants of an installation, in the gallery's database. Thread-safe."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, name: str) -> Tenant:
        """Create a tenant, without keys or collections. Raises InvalidRequest (``NAME_RULE``), TenantExists."""
        checks.check_name(name, "A tenant's name")
        tenant = Tenant(uuid.uuid4().hex, name, dt.datetime.now(dt.UTC))

        def work(connection: sa.Connection) -> None:
            if connection.execute(sa.select(tenants.c.id).where(tenants.c.name == name)).first():
                raise TenantExists(f"There is already a tenant {name!r}.", tenant=name)
            connection.execute(tenants.insert().values(id=tenant.id, name=name, created=tenant.created))
            audit_chain.begin(connection, tenant.id)

        self._database.transact(work)
        return tenant

    def list(self) -> list[Tenant]:
        """All tenants, by name."""
        with self._database.read() as connection:
            return [_to_tenant(row) for row in connection.execute(sa.select(tenants).order_by(tenants.c.name))]

    def named(self, name: str) -> Tenant:
        """The tenant with this name. Raises TenantNotFound."""
        if checks.is_text(name):
            with self._database.read() as connection:
                row = connection.execute(sa.select(tenants).where(tenants.c.name == name)).first()
            if row is not None:
                return _to_tenant(row)
        raise TenantNotFound(f"There is no tenant {checks.quoted(name)}.")


def installation_id(connection: sa.Connection) -> str:
    """The id of the installation: distinguishes its index on a shared server, and names its own audit chain."""
    found: str = connection.execute(sa.select(installation.c.id)).scalar_one()
    return found


def _to_tenant(row: sa.Row[Any]) -> Tenant:
    return Tenant(row.id, row.name, row.created)
