"""Export and import of archives: complete, checked, encrypted, between databases; erased things stay erased."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from serve_app.domain import (
    DEFAULT_TENANT,
    CollectionPolicy,
    Face,
    ImageStorage,
    NewCollection,
    PersonFields,
    Role,
)
from serve_app.errors import ConfigurationError, FacegraphError, FaceIdNotFound, KeyInvalid, PersonNotFound
from serve_app.gallery import Gallery, KeyStore, TenantStore, open_gallery
from serve_app.gallery.archive import ArchiveReader, ArchiveWriter, Exported, Imported, export_archive, exporting
from serve_app.gallery.archive.container import ArchiveDamaged
from serve_app.gallery.archive.encrypted_file import CHUNK, EncryptedReader, EncryptedWriter, is_encrypted
from serve_app.gallery.sql.schema import collections, distinct_persons, faces, unknown_faces
from serve_app.settings import Settings, StorageSettings
from tests.gallery.samples import CALIBRATIONS, MODEL, OTHER_MODEL, face, query
from tests.gallery.stores import check_consistent, in_memory

TENANT = DEFAULT_TENANT


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Gallery]:
    (tmp_path / "source").mkdir()
    with in_memory(tmp_path / "source") as gallery:
        fill(gallery)
        yield gallery


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Gallery]:
    """An empty gallery on each kind of database, with a real index."""
    storage = StorageSettings()
    if request.param == "postgres":
        storage = StorageSettings(database_url=request.getfixturevalue("postgres").create_database())
    with closing(open_gallery(Settings(data_dir=tmp_path / "target", storage=storage), CALIBRATIONS)) as gallery:
        yield gallery


def fill(gallery: Gallery) -> None:
    for name in ("staff", "guests"):
        gallery.create_collection(TENANT, NewCollection(name, title=f"The {name}", tags=("a", "ü")))
    fields = PersonFields(name="Zoë", metadata={"floor": "3"}, watch_list=("vip",))
    full = face(1, storage=ImageStorage.FULL, photograph=b"\xff\xd8" * 5000)
    gallery.put_person(TENANT, "zoe", ["staff", "guests"], fields, [full, face(2, thumbnail=None)])
    for seed in range(10, 20):
        gallery.put_person(TENANT, f"p{seed}", ["staff"], PersonFields(), [face(seed)])
    gallery.put_person(TENANT, "nowhere", [], PersonFields(name="In no collection"), [face(3)])
    gallery.put_person(TENANT, "faceless", ["guests"], PersonFields())
    gallery.put_person(TENANT, "other", ["guests"], PersonFields(), [face(4, model=OTHER_MODEL, thumbnail=None)])
    (unassigned, _) = gallery.add_faces(TENANT, [face(5), face(6)])
    gallery.attach_faces(TENANT, "guests", [unassigned.id])
    gallery.tell_apart(TENANT, "zoe", "p10")
    gallery.tell_apart(TENANT, "p11", "p10")


def export(gallery: Gallery) -> tuple[bytes, Exported]:
    stream = io.BytesIO()
    with ArchiveWriter(stream) as archive:
        done = export_archive(gallery._database, gallery._blobs, archive)
    return stream.getvalue(), done


def restore(gallery: Gallery, content: bytes, with_keys: bool = False) -> Imported:
    return gallery.restore(ArchiveReader(io.BytesIO(content)), with_keys)


def everything(gallery: Gallery) -> tuple[Any, ...]:
    people = gallery.persons(TENANT, limit=1000).items
    images = {
        (stored.id, kind): gallery.face_images(TENANT, [stored.id], kind)
        for person in people
        for stored in person.faces
        for kind in ("thumbnail", "photograph")
    }
    places = [(c.name, c.title, c.tags, c.policy, c.person_count) for c in gallery.collections(TENANT).items]
    with gallery._database.read() as connection:
        apart = connection.execute(sa.select(distinct_persons).order_by(*distinct_persons.primary_key)).all()
    told = [(row.first_id, row.second_id) for row in apart]
    return people, images, places, told, [gallery.faces(TENANT, name).items for name, *_ in places]


def test_everything_comes_back(source: Gallery, target: Gallery) -> None:
    content, exported = export(source)
    assert (exported.persons, exported.faces, exported.images) == (14, 16, 15)
    done = restore(target, content)
    assert (done.persons, done.faces, done.images, done.kept, done.erased) == (14, 16, 15, 0, 0)
    assert everything(target) == everything(source)
    assert len(everything(target)[3]) == 2
    check_consistent(target)
    assert target.search(TENANT, query(12)).matches[0][0].person == source.person(TENANT, "p12")
    assert done.models[OTHER_MODEL] == 1
    assert done.without_image[OTHER_MODEL] == ["other"]
    again = restore(target, content)
    assert (again.persons, again.faces, again.kept) == (0, 0, 14)
    assert everything(target) == everything(source)


def test_names_of_an_earlier_version_are_found_without_their_marks(source: Gallery, target: Gallery) -> None:
    with source._database.write() as connection:
        connection.exec_driver_sql("UPDATE persons SET search_text = 'zoe\nzoë' WHERE external_id = 'zoe'")
        connection.exec_driver_sql("UPDATE collections SET search_text = 'staff\nthë staff' WHERE name = 'staff'")
    restore(target, export(source)[0])
    assert [person.id for person in target.persons(TENANT, q="ZOE").items] == ["zoe"]
    assert [each.name for each in target.collections(TENANT, "the staff").items] == ["staff"]


def test_the_erased_stay_erased(source: Gallery, target: Gallery) -> None:
    content, _ = export(source)
    restore(target, content)
    (unassigned,) = [item.face.id for item in target.faces(TENANT, "guests").items if item.person is None]
    (free,) = {stored.id for stored in free_faces(source)}
    for face_id in (unassigned, free):
        target.delete_face(TENANT, face_id)
    target.delete_person(TENANT, "p10")
    (first, second) = target.person(TENANT, "zoe").faces
    target.delete_face(TENANT, first.id)
    target.delete_collection(TENANT, "guests")
    target.put_person(TENANT, "p10", ["staff"], PersonFields(name="Somebody else"), [face(500)])
    done = restore(target, content)
    assert done.erased == 3, "p10, and two who were only in the deleted collection"
    assert (done.persons, done.faces, done.images) == (0, 0, 0)
    for face_id in (unassigned, free):
        with pytest.raises(FaceIdNotFound):
            target.face(TENANT, face_id)
    assert target.person(TENANT, "p10").name == "Somebody else"
    assert [stored.id for stored in target.person(TENANT, "zoe").faces] == [second.id]
    assert [c.name for c in target.collections(TENANT).items] == ["staff"]
    check_consistent(target)


def free_faces(gallery: Gallery) -> list[Face]:
    """Faces without a person that are in no collection."""
    with gallery._database.read() as connection:
        ids = connection.execute(sa.select(faces.c.id).where(faces.c.person_id.is_(None))).scalars().all()
    return [gallery.face(TENANT, id_) for id_ in ids if not gallery.face_collections(TENANT, id_)]


def test_an_archive_carries_erasures_to_a_new_place(source: Gallery, target: Gallery) -> None:
    old, _ = export(source)
    source.delete_person(TENANT, "p10")
    new, _ = export(source)
    restore(target, new)
    assert restore(target, old).erased == 1
    with pytest.raises(PersonNotFound):
        target.person(TENANT, "p10")
    check_consistent(target)


def test_tenants_meet_by_name_and_keys_come_when_asked(source: Gallery, target: Gallery) -> None:
    theirs, ours = TenantStore(source._database), TenantStore(target._database)
    ours.create("acme")
    theirs.create("acme")
    theirs.create("new")
    _, secret = KeyStore(source._database).create(theirs.named("acme").id, "key", Role.ADMIN)
    source.create_collection(theirs.named("acme").id, NewCollection("staff"))
    source.put_person(theirs.named("acme").id, "p", ["staff"], PersonFields(), [face(900)])
    content, _ = export(source)
    restore(target, content)
    assert {tenant.name for tenant in ours.list()} == {"default", "acme", "new"}
    assert target.person(ours.named("acme").id, "p").collections == ("staff",)
    with pytest.raises(PersonNotFound):
        target.person(TENANT, "p")
    keys = KeyStore(target._database)
    with pytest.raises(KeyInvalid):
        keys.authenticate(secret)
    restore(target, content, with_keys=True)
    assert keys.authenticate(secret).tenant_id == ours.named("acme").id
    check_consistent(target)


def test_installed_keys_belong_to_their_place(source: Gallery, target: Gallery) -> None:
    theirs, ours = KeyStore(source._database), KeyStore(target._database)
    _, created = theirs.create(TENANT, "created", Role.SEARCH)
    theirs.install(TENANT, "installed", Role.ADMIN, "the-operator-set-this")
    content, _ = export(source)
    restore(target, content, with_keys=True)
    assert ours.authenticate(created).name == "created"
    with pytest.raises(KeyInvalid):
        ours.authenticate("the-operator-set-this")


def test_faces_whose_time_is_over_and_unknowns_stay_behind(source: Gallery, tmp_path: Path) -> None:
    source.update_collection(TENANT, "staff", {"policy": CollectionPolicy(keep_unknown_h=1)})
    source.keep_unknown(TENANT, "staff", [face(700)])
    source._lifetime = dt.timedelta(seconds=-1)
    (late,) = source.add_faces(TENANT, [face(701)])
    content, exported = export(source)
    assert exported.faces == 17, "the 16 of the others, and the one that is over but not yet erased"
    (tmp_path / "target").mkdir()
    with in_memory(tmp_path / "target") as target:
        assert restore(target, content).faces == 16
        with target._database.read() as connection:
            assert late.id not in connection.execute(sa.select(faces.c.id)).scalars().all()
            assert connection.execute(sa.select(unknown_faces)).all() == []
            names = connection.execute(sa.select(collections.c.name)).scalars().all()
        assert sorted(names) == ["*", "guests", "staff"], "no hidden collection of unknowns"
        check_consistent(target)


def test_archives_of_many_small_parts(source: Gallery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporting, "PART_RECORDS", 3)
    content, exported = export(source)
    assert (exported.persons, exported.faces) == (14, 16)
    (tmp_path / "target").mkdir()
    with in_memory(tmp_path / "target") as target:
        restore(target, content)
        assert everything(target) == everything(source)
        check_consistent(target)


def test_persons_of_a_collection_that_was_deleted_meanwhile_are_in_none(source: Gallery, target: Gallery) -> None:
    restore(target, export(source)[0])
    target.delete_collection(TENANT, "guests")
    source.put_person(TENANT, "late", ["guests"], PersonFields(), [face(800)])
    restore(target, export(source)[0])
    assert target.person(TENANT, "late").collections == ()
    ((match,),) = target.search(TENANT, query(800, collections=None)).matches
    assert match.person == target.person(TENANT, "late")
    target.put_person(TENANT, "late", ["staff"], PersonFields())
    rows = target._index.rows_of(MODEL, [match.face.id])
    assert {key.collection_id for key in rows} == {target.collection(TENANT, "staff").id}, "not in the pool any more"
    check_consistent(target)


def test_persons_of_two_tenants_may_have_one_id(source: Gallery, target: Gallery) -> None:
    theirs = TenantStore(source._database).create("acme").id
    source.put_person(theirs, "both", [], PersonFields(name="acme"), [face(810)])
    target.put_person(TENANT, "both", [], PersonFields(name="default"), [face(811)])
    restore(target, export(source)[0])
    ours = TenantStore(target._database).named("acme").id
    assert [target.person(tenant, "both").name for tenant in (ours, TENANT)] == ["acme", "default"]


def test_a_person_in_no_collection_is_found_after_the_restore(source: Gallery, target: Gallery) -> None:
    restore(target, export(source)[0])
    ((match,),) = target.search(TENANT, query(3, collections=None)).matches
    assert match.person == source.person(TENANT, "nowhere")


def test_a_part_is_brought_whole_or_not_at_all(source: Gallery, tmp_path: Path) -> None:
    content, _ = export(source)
    (tmp_path / "target").mkdir()
    with in_memory(tmp_path / "target") as target:
        cut = content[: len(content) // 2]
        with pytest.raises(ArchiveDamaged, match=r"not a complete archive|cut off"):
            restore(target, cut)
        check_consistent(target)
        restore(target, content)
        assert everything(target) == everything(source)


def test_damage_to_any_member_is_noticed(source: Gallery) -> None:
    content, _ = export(source)
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        members = [(member.name, member.offset_data, member.size) for member in tar if member.size]
    kinds = {name.partition("/")[0] for name, *_ in members}
    assert kinds == {"manifest.json", "tenants.jsonl", "collections.jsonl", "people", "images", "SHA256SUMS"}
    for _, start, size in members:
        for place in {start, start + size // 2, start + size - 1}:
            damaged = bytearray(content)
            damaged[place] ^= 1
            with pytest.raises(ArchiveDamaged):
                list(ArchiveReader(io.BytesIO(bytes(damaged))).members())


@pytest.mark.parametrize("content", [b"", b"nonsense" * 1000, b"\x1f\x8b" + bytes(600)])
def test_what_is_no_archive_is_refused(content: bytes) -> None:
    with pytest.raises(ArchiveDamaged):
        list(ArchiveReader(io.BytesIO(content)).members())


@pytest.mark.parametrize(
    ("member", "content", "words"),
    [
        ("manifest.json", b'{"format": 2, "facegraph": "9.9.9"}', "was written by facegraph 9.9.9 in the format 2"),
        ("manifest.json", b"{}", "reads the format 1"),
        ("holograms.jsonl", b"", "a part that this version does not know: holograms"),
    ],
)
def test_an_archive_of_a_newer_version_is_refused(tmp_path: Path, member: str, content: bytes, words: str) -> None:
    stream = io.BytesIO()
    with ArchiveWriter(stream) as archive:
        archive.add(member, content)
    with in_memory(tmp_path) as gallery, pytest.raises(ConfigurationError, match=words):
        restore(gallery, stream.getvalue())


@pytest.mark.parametrize("name", ["../../etc/passwd", "/etc/passwd", "images/../../x.thumbnail"])
def test_names_lead_nowhere(name: str) -> None:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as tar:
        tar.addfile(tarfile.TarInfo(name))
    with pytest.raises(ArchiveDamaged, match="does not write"):
        list(ArchiveReader(io.BytesIO(stream.getvalue())).members())


def test_the_checksums_are_those_of_the_usual_tool(source: Gallery, tmp_path: Path) -> None:
    (tmp_path / "a.tar").write_bytes(export(source)[0])
    subprocess.run(["tar", "-xf", "a.tar"], cwd=tmp_path, check=True)
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", "SHA256SUMS"], cwd=tmp_path, check=True)


@pytest.mark.parametrize("size", [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_encryption_brings_back_what_was_written(size: int) -> None:
    content = (hashlib.sha256(b"x").digest() * (size // 32 + 1))[:size]
    sealed = seal(content, "secret")
    assert is_encrypted(sealed)
    assert len(content) < 64 or content[:64] not in sealed
    assert io.BufferedReader(EncryptedReader(io.BytesIO(sealed), "secret")).read() == content


@pytest.mark.parametrize("change", ["passphrase", "flip", "cut", "swap", "extend", "header"])
def test_encrypted_archives_cannot_be_changed(change: str) -> None:
    sealed = seal(bytes(3 * CHUNK), "secret")
    head, piece = len(sealed) - 3 * (CHUNK + 16), CHUNK + 16
    changed = {
        "passphrase": sealed,
        "flip": sealed[:-20] + bytes([sealed[-20] ^ 1]) + sealed[-19:],
        "cut": sealed[:-piece],
        "swap": sealed[:head] + sealed[head + piece : head + 2 * piece] + sealed[head : head + piece] + sealed[-piece:],
        "extend": sealed + sealed[-piece:],
        "header": sealed[: head - 1] + bytes([sealed[head - 1] ^ 1]) + sealed[head:],
    }[change]
    reader = io.BufferedReader(EncryptedReader(io.BytesIO(changed), "guess" if change == "passphrase" else "secret"))
    with pytest.raises(FacegraphError, match="cannot be decrypted"):
        reader.read()


def seal(content: bytes, passphrase: str) -> bytes:
    stream = io.BytesIO()
    with EncryptedWriter(stream, passphrase) as sealed:
        sealed.write(content)
    return stream.getvalue()
