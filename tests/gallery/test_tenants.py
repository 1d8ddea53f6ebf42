"""Erasure of a tenant: everything that it owns is erased, and nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from serve_app.domain import DEFAULT_TENANT, ImageStorage, NewCollection, PersonFields, Role
from serve_app.errors import InvalidRequest, KeyInvalid, StoreUnavailable, TenantNotFound
from serve_app.gallery import Gallery, KeyStore
from serve_app.gallery.privacy.tenant_erasure import OWNED
from serve_app.gallery.sql.schema import api_keys, audit_log, erased, installation, metadata
from serve_app.gallery.sql.signing import is_genuine
from serve_app.gallery.tenants import TenantStore
from tests.gallery.conftest import new_tenant
from tests.gallery.samples import MODEL, face, query
from tests.gallery.stores import check_consistent, in_memory


def fill(gallery: Gallery, tenant: str) -> None:
    full: dict[str, Any] = {"storage": ImageStorage.FULL, "photograph": b"photograph"}
    for name in ("staff", "visitors"):
        gallery.create_collection(tenant, NewCollection(name))
    gallery.put_person(tenant, "ada", ["staff", "visitors"], PersonFields(), [face(1, **full), face(2, **full)])
    gallery.put_person(tenant, "ben", [], PersonFields(), [face(3, **full)])
    unassigned = gallery.add_faces(tenant, [face(4, **full), face(5, **full)])
    gallery.attach_faces(tenant, "staff", [unassigned[0].id])
    gallery.add_task(tenant, "kind", {})
    gallery.find_duplicates(tenant, "staff", MODEL)
    gallery.search(tenant, query(1))


def mentions(gallery: Gallery, tenant: str) -> dict[str, int]:
    """Numbers of rows, by table, and of image paths in which the tenant's id occurs."""
    with gallery._database.read() as connection:
        found = {
            table.name: sum(tenant in map(str, row) for row in connection.execute(sa.select(table)))
            for table in metadata.sorted_tables
            if table is not erased
        }
    found["images"] = sum(tenant in str(path) for path in Path(gallery._blobs._root).rglob("*"))
    return {name: number for name, number in found.items() if number}


def test_nothing_of_a_deleted_tenant_is_left(gallery: Gallery) -> None:
    gone, stays = new_tenant(gallery), new_tenant(gallery)
    keys = KeyStore(gallery._database)
    for tenant in (gone, stays):
        fill(gallery, tenant)
        keys.create(tenant, "k", Role.ADMIN)
    gallery.check_audit(stays)  # writes the queued entries
    before = mentions(gallery, stays)
    assert {"faces", "persons", "collections", "tasks", "api_keys", "audit_log", "images"} <= before.keys()
    index = set(gallery._index.keys(MODEL))
    receipt = gallery.erase_tenant(gone)
    assert is_genuine(receipt, gallery._signer.public_key)
    assert (receipt.statement["persons"], receipt.statement["faces"]) == (2, 5)
    assert receipt.statement["left"] == {"records": 0, "vectors": 0, "images": 0}
    assert mentions(gallery, gone) == {}
    assert len(index) - len(set(gallery._index.keys(MODEL))) == 6
    assert mentions(gallery, stays) == before
    assert gallery.search(stays, query(1)).matches[0]
    check_consistent(gallery)
    with pytest.raises(TenantNotFound):
        gallery.erase_tenant(gone)


@pytest.mark.parametrize("left", ["vectors", "images"])
def test_no_receipt_of_a_tenant_of_whom_something_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    with in_memory(tmp_path) as gallery:
        tenant = TenantStore(gallery._database).create("gone").id
        fill(gallery, tenant)
        if left == "vectors":
            monkeypatch.setattr(gallery._index, "delete", lambda model, keys: None)
        else:
            for name in ("delete", "delete_tenant"):
                monkeypatch.setattr(gallery._blobs, name, lambda *arguments: None)
        with pytest.raises(StoreUnavailable) as raised:
            gallery.erase_tenant(tenant)
        residue = raised.value.details["residue"]
        assert {kind for kind, number in residue.items() if number} == {left}


def test_the_default_tenant_stays(gallery: Gallery) -> None:
    with pytest.raises(InvalidRequest, match="default"):
        gallery.erase_tenant(DEFAULT_TENANT)


def test_every_table_of_tenants_is_known() -> None:
    assert {table.name for table in OWNED} >= {"api_keys", "persons", "faces", "collections", "tasks", "index_journal"}
    assert api_keys in OWNED
    assert audit_log not in OWNED


def test_an_interrupted_deletion_is_completed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_memory(tmp_path) as gallery:
        tenant = TenantStore(gallery._database).create("gone").id
        fill(gallery, tenant)
        keys = KeyStore(gallery._database)
        _, secret = keys.create(tenant, "k", Role.ADMIN)
        _, other = keys.create(DEFAULT_TENANT, "k", Role.ADMIN)
        refused = []
        run = gallery._writer.run

        def run_and_look(*arguments: Any, **options: Any) -> Any:
            with pytest.raises(KeyInvalid):
                keys.authenticate(secret)
            refused.append(True)
            return run(*arguments, **options)

        with monkeypatch.context() as patch:
            patch.setattr(gallery._writer, "run", run_and_look)
            patch.setattr(gallery._blobs, "delete_tenant", lambda _: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                gallery.erase_tenant(tenant)
        assert refused, "the keys stop working before anything is erased"
        with pytest.raises(KeyInvalid):
            keys.authenticate(secret)
        assert keys.authenticate(other)
        gallery.erase_tenant(tenant)
        assert mentions(gallery, tenant) == {}
        with gallery._database.read() as connection:
            chain = connection.execute(sa.select(installation.c.id)).scalar_one()
        *_, entry = gallery.export_audit(chain)
        assert (entry.action, entry.details["tenant"]) == ("delete_tenant", tenant)
        check_consistent(gallery)
