"""A data folder that an earlier version wrote opens unchanged: records, index, images, keys, receipts and tasks."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from serve_app.domain import DEFAULT_TENANT, ErasureReceipt, PersonFields, ThresholdRequest
from serve_app.errors import PersonNotFound, StoreUnavailable
from serve_app.gallery import Gallery, KeyStore, TenantStore, open_database, open_gallery, open_keys
from serve_app.settings import Settings
from tests.gallery.samples import CALIBRATIONS, MODEL, face, query, template
from tests.gallery.stores import check_consistent, in_memory

T = DEFAULT_TENANT
WRITTEN = Path(__file__).with_name("data") / "fdd82cc.tar.gz"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    with tarfile.open(WRITTEN) as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


@pytest.fixture
def gallery(folder: Path) -> Iterator[Gallery]:
    with closing(open_gallery(Settings(data_dir=folder), CALIBRATIONS)) as opened:
        opened.aim(MODEL)
        yield opened


@pytest.fixture
def expected(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "expected.json").read_text())
    return found


def test_index_records_and_images_agree(gallery: Gallery) -> None:
    check_consistent(gallery)
    found = gallery.collections(T).items
    assert {each.name: (each.person_count, each.face_count) for each in found} == {"staff": (3, 4), "visitors": (1, 2)}
    assert gallery.collection(T, "staff").tags == ("a", "b")
    assert gallery.collection(T, "visitors").policy.min_score == 0.6


def test_persons_are_whole_and_found(gallery: Gallery) -> None:
    ada = gallery.person(T, "ada", "staff")
    assert (ada.name, dict(ada.metadata), ada.watch_list) == ("Ada Lovelace", {"badge": "1843"}, ("vip",))
    assert ada.consent is not None
    assert ada.consent.basis == "contract"
    grace = gallery.person(T, "grace/h")
    assert set(grace.collections) == {"staff", "visitors"}
    assert gallery.face_image(T, grace.faces[0].id, "photograph") == b"\xff\xd8\xff photograph"
    for seed, person, collections in [(1, "ada", ("staff",)), (3, "grace/h", ("visitors",)), (4, "alone", None)]:
        assert gallery.search(T, query(seed, collections=collections)).matches[0][0].person == gallery.person(T, person)  # type: ignore[arg-type]
    assert gallery.verify(T, "ada", template(1)[None], MODEL)[1] == pytest.approx(1.0)
    with pytest.raises(PersonNotFound):
        gallery.person(T, "erased")


def test_unassigned_faces_and_unknowns(gallery: Gallery, expected: dict[str, Any]) -> None:
    attached, detached = expected["loose"]
    assert gallery.face(T, attached).user_id == "user seven"
    assert [each.name for each in gallery.face_collections(T, attached)] == ["visitors"]
    assert gallery.face_collections(T, detached) == ()
    (unknown,) = gallery.unknowns(T, "visitors").items
    assert (unknown.sightings, len(unknown.faces)) == (2, 2)
    assert gallery.name_unknown(T, "visitors", unknown.id, "named").created


def test_the_audit_log_and_the_receipt_are_genuine(gallery: Gallery, folder: Path) -> None:
    check = gallery.check_audit(T)
    assert check.broken is None
    assert check.entries > 10
    receipt = ErasureReceipt(**json.loads((folder / "receipt.json").read_text()))
    found = gallery.check_receipt(T, receipt)
    assert (found.genuine, found.recorded, found.residue) == (True, True, 0)


def test_tasks_and_their_results(gallery: Gallery, expected: dict[str, Any]) -> None:
    assert {task.kind for task in gallery.tasks(T)} == {"duplicates", "something"}
    assert gallery.task(T, expected["task"]).state == "done"
    again = gallery.find_duplicates(T, "staff", MODEL, ThresholdRequest(min_score=0.6))
    while gallery.work():
        pass
    assert gallery.duplicates(T, again.id).items == ()  # ada and ada-2 were told apart
    (pair,) = gallery.duplicates(T, again.id, with_distinct=True).items
    assert {side.person.id for side in (pair.first, pair.second) if side.person} == {"ada", "ada-2"}


def test_it_can_be_written(gallery: Gallery) -> None:
    gallery.put_person(T, "ada", ["visitors"], PersonFields(name="Ada"), [face(20)])
    gallery.merge_persons(T, "ada", "ada-2")
    assert gallery.delete_person(T, "grace/h").receipt is not None
    gallery.delete_collection(T, "staff")
    check_consistent(gallery)
    assert gallery.check_audit(T).broken is None


def test_keys_and_tenants(folder: Path) -> None:
    settings = Settings(data_dir=folder)
    with closing(open_keys(settings)) as keys:
        assert keys.authenticate("an-admin-key-of-fdd82cc").role == "admin"
    with closing(open_database(settings)) as database:
        assert {tenant.name for tenant in TenantStore(database).list()} == {"default", "second"}


@pytest.mark.parametrize(
    ("table", "column"),
    [
        ("api_keys", "role"),
        ("faces", "storage"),
        ("collections", "image_storage"),
        ("collections", "kind"),
        ("tasks", "state"),
    ],
)
def test_a_choice_that_no_version_knows_is_named_by_its_column(folder: Path, table: str, column: str) -> None:
    """Earlier versions imported such values from archives."""
    settings = Settings(data_dir=folder)
    with closing(open_database(settings)) as database, database.write() as connection:
        connection.exec_driver_sql(f"UPDATE {table} SET {column} = 'god'")
    with in_memory(folder) as gallery:
        read = {
            "api_keys": KeyStore(gallery._database).list,
            "faces": gallery.persons,
            "collections": gallery.collections,
            "tasks": gallery.tasks,
        }[table]
        with pytest.raises(StoreUnavailable, match=f"a row whose {table}.{column} is none of") as raised:
            read(T)
        assert "god" not in raised.value.message
