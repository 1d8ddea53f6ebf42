"""Receipts of erasures: signed after a check of all stores, verifiable with the public key, invalid when changed."""

from __future__ import annotations

import dataclasses
import uuid
from pathlib import Path

import pytest
import sqlalchemy as sa

from serve_app.domain import DEFAULT_TENANT, Deletion, ImageStorage, NewCollection, PersonFields
from serve_app.errors import StoreUnavailable
from serve_app.gallery import Gallery
from serve_app.gallery.index.base import IndexRow, RowKey
from serve_app.gallery.sql.schema import persons
from serve_app.gallery.sql.signing import Signer, is_genuine, load_signer
from serve_app.gallery.writes import deletion_plans
from tests.fakes.memory_index import MemoryIndex
from tests.gallery.samples import MODEL, OTHER_MODEL, face, template
from tests.gallery.stores import check_consistent, in_memory

T = DEFAULT_TENANT


def enrolled(gallery: Gallery, tenant: str = T) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    for number, name in enumerate(("ada", "ben", "eve")):
        stored = face(number, storage=ImageStorage.FULL, photograph=b"photograph")
        gallery.put_person(tenant, name, ["staff"], PersonFields(name=name), [stored, face(10 + number)])


def test_the_deletion_of_a_person_gives_a_receipt(gallery: Gallery, tenant: str) -> None:
    enrolled(gallery, tenant)
    deletion = gallery.delete_person(tenant, "ada")
    receipt = deletion.receipt
    assert receipt is not None
    statement = receipt.statement
    assert (statement["persons"], statement["faces"], statement["tenant"]) == (["ada"], 2, tenant)
    assert statement["left"] == {"records": 0, "vectors": 0, "images": 0}
    assert is_genuine(receipt, receipt.public_key)
    check = gallery.check_receipt(tenant, receipt)
    assert (check.genuine, check.recorded, check.residue) == (True, True, 0)
    both = gallery.delete_persons(tenant, ["ben", "eve"]).receipt
    assert both is not None
    assert both.statement["persons"] == ["ben", "eve"]
    assert gallery.check_receipt(tenant, both).genuine


def test_index_rows_of_a_change_that_a_crash_cut_short_are_erased_too(gallery: Gallery, tenant: str) -> None:
    enrolled(gallery, tenant)
    gallery.create_collection(tenant, NewCollection("visitors"))
    first = gallery.person(tenant, "ada").faces[0]
    stray = RowKey(gallery.collection(tenant, "visitors").id, first.id)
    gallery._index.upsert(MODEL, [IndexRow(stray, template(0))])
    receipt = gallery.delete_person(tenant, "ada").receipt
    assert receipt is not None
    assert receipt.statement["left"] == {"records": 0, "vectors": 0, "images": 0}
    assert not gallery._index.rows_of(MODEL, [first.id])


def test_who_stays_elsewhere_is_not_erased(gallery: Gallery, tenant: str) -> None:
    enrolled(gallery, tenant)
    gallery.create_collection(tenant, NewCollection("visitors"))
    gallery.put_person(tenant, "ada", ["visitors"], PersonFields())
    assert gallery.delete_person(tenant, "ada", "visitors") == Deletion()
    assert gallery.delete_person(tenant, "ada", "staff").receipt is not None


def test_changed_receipts_and_those_of_others_are_worthless(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        enrolled(gallery)
        receipt = gallery.delete_person(T, "ada").receipt
        assert receipt is not None
        forger = Signer(bytes(range(32)))
        for forged in (
            dataclasses.replace(receipt, statement={**receipt.statement, "persons": ["ben"]}),
            dataclasses.replace(receipt, signature="AAAA"),
            dataclasses.replace(receipt, signature="no base64"),
            dataclasses.replace(receipt, public_key=forger.public_key),
            forger.receipt(receipt.statement),
        ):
            assert not gallery.check_receipt(T, forged).genuine
        assert not gallery.check_receipt(uuid.uuid4().hex, receipt).genuine


class Forgetful(MemoryIndex):
    """An index whose deletions have no effect while it is broken, for these models."""

    broken = True
    broken_models: frozenset[str] | set[str] = frozenset({MODEL, OTHER_MODEL})

    def delete(self, model: str, keys: object) -> None:
        if not self.broken or model not in self.broken_models:
            super().delete(model, keys)  # type: ignore[arg-type]


def test_no_receipt_while_anything_is_left(tmp_path: Path) -> None:
    index = Forgetful()
    with in_memory(tmp_path, index) as gallery:
        enrolled(gallery)
        with pytest.raises(StoreUnavailable) as raised:
            gallery.delete_person(T, "ada")
        assert raised.value.details["residue"] == {"records": 0, "vectors": 2, "images": 0}
        assert raised.value.details["residue"]["vectors"] == len(list(index.keys("sface-2021dec"))) - 4
        index.broken = False
        gallery._repairer.settle_journal(ids=_journal(gallery))
        check_consistent(gallery)
        assert all(isinstance(key, RowKey) for key in index.keys("sface-2021dec"))


@pytest.mark.parametrize("model", [MODEL, OTHER_MODEL])
def test_no_receipt_while_a_row_of_any_model_is_left(tmp_path: Path, model: str) -> None:
    index = Forgetful()
    with in_memory(tmp_path, index) as gallery:
        gallery.create_collection(T, NewCollection("staff"))
        gallery.put_person(T, "ada", ["staff"], PersonFields(), [face(1), face(2, model=OTHER_MODEL)])
        index.broken_models = {model}
        with pytest.raises(StoreUnavailable) as raised:
            gallery.delete_person(T, "ada")
        assert raised.value.details["residue"] == {"records": 0, "vectors": 1, "images": 0}


def test_a_receipt_tells_when_somebody_is_back(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        enrolled(gallery)
        with gallery._database.read() as connection:
            row = dict(connection.execute(sa.select(persons).where(persons.c.external_id == "ada")).one()._mapping)
        receipt = gallery.delete_person(T, "ada").receipt
        assert receipt is not None
        assert gallery.check_receipt(T, receipt).residue == 0
        with gallery._database.write() as connection:  # as by a copy of the database from before
            connection.execute(persons.insert().values(row))
        check = gallery.check_receipt(T, receipt)
        assert (check.genuine, check.recorded, check.residue) == (True, True, 1)


def test_the_check_counts_everything_that_a_person_has(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        gallery.create_collection(T, NewCollection("staff"))
        gallery.aim(MODEL)
        gallery.aim(OTHER_MODEL)
        stored = face(1, further={OTHER_MODEL: template(2)}, storage=ImageStorage.FULL, photograph=b"photograph")
        gallery.put_person(T, "ada", ["staff"], PersonFields(), [stored])
        with gallery._database.read() as connection:
            changes, _ = deletion_plans.delete_person(connection, T, "ada", None)
        # The person, a membership; the face by its id and by its person, its membership, its second template.
        assert gallery._eraser.residue(changes) == {"records": 6, "vectors": 2, "images": 2}
        gallery.delete_person(T, "ada")
        assert gallery._eraser.residue(changes) == {"records": 0, "vectors": 0, "images": 0}


def _journal(gallery: Gallery) -> list[int]:
    from serve_app.gallery.sql.records import journal

    with gallery._database.read() as connection:
        return [row.id for row in journal.pending(connection, 100)]


def test_an_image_that_is_left_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_memory(tmp_path) as gallery:
        enrolled(gallery)
        monkeypatch.setattr(gallery._blobs, "delete", lambda tenant, face_id: None)
        with pytest.raises(StoreUnavailable) as raised:
            gallery.delete_person(T, "ada")
        assert raised.value.details["residue"]["images"] == 3


def test_all_processes_sign_with_one_key(tmp_path: Path) -> None:
    with in_memory(tmp_path) as first, in_memory(tmp_path) as second:
        assert first._signer.public_key == second._signer.public_key == load_signer(first._database).public_key
