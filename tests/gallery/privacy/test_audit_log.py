"""The audit log: its entries, that its chain is intact, and that it names no person after an erasure."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime as dt
from collections.abc import Callable, Sequence
from contextvars import copy_context
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from serve_app import request_context
from serve_app.domain import (
    DEFAULT_TENANT,
    AuditEntry,
    ImageStorage,
    NewCollection,
    NotedHead,
    PersonFields,
    PersonUpdate,
    Role,
)
from serve_app.errors import FaceIdNotFound, ImageNotStored, InvalidRequest, PersonNotFound, StoreUnavailable
from serve_app.gallery import Gallery, KeyStore
from serve_app.gallery.privacy.audit_log import MOST_QUEUED
from serve_app.gallery.sql.records import audit_chain, audit_check
from serve_app.gallery.sql.records.audit_chain import Draft
from serve_app.gallery.sql.schema import audit_heads, audit_log
from serve_app.gallery.sql.signing import sign_head, signer_of
from serve_app.request_context import RequestContext
from tests.gallery.conftest import new_tenant
from tests.gallery.samples import face, query
from tests.gallery.stores import in_memory

T = DEFAULT_TENANT
LATER = dt.timedelta(hours=1)


def written(gallery: Gallery, tenant: str = T) -> list[tuple[str, int, dict[str, Any]]]:
    """Action, number of subjects and details of each entry, oldest first."""
    return [(e.action, len(e.subjects), dict(e.details)) for e in gallery.export_audit(tenant)]


def test_what_is_done_is_recorded_in_order(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    gallery.put_person(tenant, "ada", ["staff"], PersonFields(name="Ada"), [face(1), face(2)])
    gallery.put_person(tenant, "ada", ["staff"], PersonFields(name="Countess"))
    gallery.search(tenant, query(1))
    gallery.search(tenant, query(99, 98))
    gallery.verify(tenant, "ada", query(1).probes, query(1).model)
    gallery.update_person(tenant, "ada", PersonUpdate(new_faces=(face(3),)))
    gallery.check_audit(tenant)  # writes the queued entries
    gallery.delete_face(tenant, gallery.person(tenant, "ada").faces[0].id)
    gallery.delete_person(tenant, "ada")
    gallery.delete_collection(tenant, "staff")
    assert written(gallery, tenant) == [
        ("create_collection", 0, {"name": "staff"}),
        ("enrol", 1, {"faces_added": 2}),
        ("change_person", 1, {}),
        ("enrol", 1, {"faces_added": 1}),
        ("search", 1, {"faces": 1, "matches": 1}),
        ("search", 0, {"faces": 2, "matches": 0}),
        ("verify", 1, {}),
        ("delete_face", 1, {"faces_erased": 1}),
        ("delete_person", 1, {"faces_erased": 2, "persons_erased": 1}),
        ("delete_collection", 0, {}),
    ]
    check = gallery.check_audit(tenant)
    assert (check.entries, check.broken) == (10, None)
    assert [entry.hash for entry in gallery.audit(tenant, limit=1).items] == [check.head]


def test_a_search_is_recorded_with_whom_it_found_and_where_it_looked(gallery: Gallery, tenant: str) -> None:
    ids = [gallery.create_collection(tenant, NewCollection(name)).id for name in ("staff", "guests")]
    gallery.put_person(tenant, "ada", ["staff"], PersonFields(), [face(1)])
    for collections in (("staff",), ("guests", "staff"), None):
        gallery.search(tenant, query(1, collections=collections))
    *_, first, second, everywhere = gallery.export_audit(tenant)
    assert first.collections == (ids[0],)
    assert sorted(second.collections) == sorted(ids)
    assert everywhere.collections == ()
    assert len({entry.subjects for entry in (first, second, everywhere)}) == 1


def test_looking_at_stored_images_is_recorded(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    ids = []
    for name, faces in (("ada", [face(1), face(2)]), ("ben", [face(3, storage=ImageStorage.NONE, thumbnail=None)])):
        stored = gallery.put_person(tenant, name, ["staff"], PersonFields(), faces).faces
        ids += [each.id for each in stored]
    one, two, bare = ids
    gallery.face_image(tenant, one, "thumbnail")
    gallery.face_images(tenant, [one, two, bare], "thumbnail")
    gallery.face_images(tenant, [bare], "thumbnail")  # no image is returned
    with pytest.raises(ImageNotStored):
        gallery.face_image(tenant, one, "photograph")
    other = new_tenant(gallery)
    gallery.face_images(other, ids, "thumbnail")
    with pytest.raises(FaceIdNotFound):
        gallery.face_image(other, one, "thumbnail")
    assert gallery.check_audit(other).entries == 0
    looks = [entry for entry in gallery.audit(tenant, person_id="ada").items if entry.action == "read_images"]
    assert [(len(entry.subjects), dict(entry.details)) for entry in looks] == [
        (1, {"images": 2, "kind": "thumbnail"}),
        (1, {"images": 1, "kind": "thumbnail"}),
    ]
    assert [entry.action for entry in gallery.audit(tenant, person_id="ben").items] == ["enrol"]
    assert gallery.check_audit(tenant).broken is None


def test_a_write_during_the_check_does_not_break_the_chain(
    gallery: Gallery, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    head = audit_chain.head

    def write_after(connection: sa.Connection, chain: str) -> tuple[int, str]:
        found = head(connection, chain)
        monkeypatch.undo()
        gallery.create_collection(tenant, NewCollection("visitors"))
        return found

    monkeypatch.setattr(audit_chain, "head", write_after)
    check = gallery.check_audit(tenant)
    assert (check.entries, check.broken) == (1, None)
    assert gallery.check_audit(tenant).entries == 2


def test_an_operation_on_many_persons_names_all_of_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit_chain, "MOST_SUBJECTS", 3)
    with in_memory(tmp_path) as gallery:
        gallery.create_collection(T, NewCollection("staff"))
        for seed in range(7):
            gallery.put_person(T, f"p{seed}", ["staff"], PersonFields(), [face(seed)])
        enrolled = {entry.subjects for entry in gallery.export_audit(T) if entry.action == "enrol"}
        gallery.delete_collection(T, "staff")
        deletions = [entry for entry in gallery.export_audit(T) if entry.action == "delete_collection"]
        assert [len(entry.subjects) for entry in deletions] == [3, 3, 1]
        assert {(subject,) for entry in deletions for subject in entry.subjects} == enrolled
        assert gallery.check_audit(T).broken is None


def test_refused_writes_are_not_recorded(gallery: Gallery, tenant: str) -> None:
    with pytest.raises(PersonNotFound):
        gallery.delete_person(tenant, "nobody")
    assert written(gallery, tenant) == []
    assert gallery.check_audit(tenant).broken is None


def test_the_log_of_a_person_can_be_read_until_the_erasure(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    for name in ("ada", "ben"):
        gallery.put_person(tenant, name, ["staff"], PersonFields(name=f"Mx {name}"), [face(len(name) + ord(name[0]))])
    gallery.search(tenant, query(3 + ord("a")))
    about = gallery.audit(tenant, person_id="ada").items
    assert [entry.action for entry in about] == ["search", "enrol"]
    gallery.delete_person(tenant, "ada")
    with pytest.raises(PersonNotFound):
        gallery.audit(tenant, person_id="ada")
    text = str([audit_check.plain(entry) for entry in gallery.export_audit(tenant)])
    assert "'ada'" not in text
    assert "Mx" not in text
    gallery.put_person(tenant, "ada", ["staff"], PersonFields(), [face(3 + ord("a"))])
    assert [entry.action for entry in gallery.audit(tenant, person_id="ada").items] == ["enrol"]


def test_pages(gallery: Gallery, tenant: str) -> None:
    for number in range(5):
        gallery.create_collection(tenant, NewCollection(f"c{number}"))
    first = gallery.audit(tenant, limit=3)
    second = gallery.audit(tenant, limit=3, cursor=first.cursor)
    assert [entry.sequence for entry in (*first.items, *second.items)] == [5, 4, 3, 2, 1]
    assert second.cursor is None
    with pytest.raises(InvalidRequest):
        gallery.audit(tenant, cursor="²")


def test_a_search_may_leave_no_trace(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        gallery.create_collection(T, NewCollection("staff"))
        gallery.put_person(T, "ada", ["staff"], PersonFields(), [face(1)])
        before = _everything(gallery)
        assert gallery.search(T, query(1, trace=False)).matches[0]
        gallery.maintain()
        assert _everything(gallery) == before
        gallery._allow_untraced = False
        with pytest.raises(InvalidRequest, match="allow_untraced"):
            gallery.search(T, query(1, trace=False))


def _everything(gallery: Gallery) -> list[Any]:
    with gallery._database.read() as connection:
        return [connection.execute(sa.select(audit_log)).all(), connection.execute(sa.select(audit_heads)).all()]


@pytest.mark.parametrize(
    "tamper",
    [
        audit_log.update().where(audit_log.c.sequence == 3).values(actor="key:somebody-else"),
        audit_log.update().where(audit_log.c.sequence == 3).values(time=dt.datetime(2020, 1, 1, tzinfo=dt.UTC)),
        audit_log.update().where(audit_log.c.sequence == 3).values(details={"name": "c9"}),
        audit_log.delete().where(audit_log.c.sequence == 3),
        audit_log.update().where(audit_log.c.sequence == 3).values(hash="0" * 64),
    ],
)
def test_a_changed_or_missing_entry_is_found(tmp_path: Path, tamper: sa.Executable) -> None:
    with in_memory(tmp_path) as gallery:
        for number in range(5):
            gallery.create_collection(T, NewCollection(f"c{number}"))
        assert gallery.check_audit(T).broken is None
        with gallery._database.write() as connection:
            connection.execute(tamper)
        assert gallery.check_audit(T).broken == 3


@pytest.mark.parametrize("to_the_end", [False, True])
def test_an_entry_that_was_changed_and_hashed_again_is_found(tmp_path: Path, to_the_end: bool) -> None:
    """With a changed head the chain is consistent again, but its head differs from the one noted elsewhere."""
    with in_memory(tmp_path) as gallery:
        for number in range(5):
            gallery.create_collection(T, NewCollection(f"c{number}"))
        noted = gallery.check_audit(T).head
        entries = list(gallery.export_audit(T))
        entries[2] = rehashed(entries[2], actor="key:somebody-else")
        for position in (3, 4) if to_the_end else ():
            entries[position] = rehashed(entries[position], previous=entries[position - 1].hash)
        with gallery._database.write() as connection:
            for entry in entries:
                values = {"actor": entry.actor, "previous": entry.previous, "hash": entry.hash}
                connection.execute(audit_log.update().where(audit_log.c.sequence == entry.sequence).values(**values))
        check = gallery.check_audit(T)
        assert check.broken == (6 if to_the_end else 4), "the first entry that does not follow, or the head"
        with gallery._database.write() as connection:
            connection.execute(audit_heads.update().values(hash=entries[-1].hash))
        check = gallery.check_audit(T, noted)
        assert check.broken == (6 if to_the_end else 4), "the head is not signed"
        with gallery._database.write() as connection:
            connection.execute(audit_heads.update().values(signature=signed(connection, 5, entries[-1].hash)))
        check = gallery.check_audit(T, noted)
        assert check.broken == (None if to_the_end else 4), "who reads the signing key can sign"
        assert check.noted == (NotedHead(False) if to_the_end else NotedHead(True, 5, 0))


def signed(connection: sa.Connection, sequence: int, hash_: str) -> str:
    """The signature of the head, as one can make it who reads the installation's key."""
    return sign_head(signer_of(connection), T, sequence, hash_)


def rehashed(entry: AuditEntry, **changes: Any) -> AuditEntry:
    """An entry with changed facts, and the hash that fits them."""
    changed = dataclasses.replace(entry, **changes)
    facts = audit_check.plain(changed)
    del facts["hash"]
    return dataclasses.replace(changed, hash=audit_check.digest({**facts, "time": changed.time}))


CUTS = {
    "the last entry": ["DELETE FROM audit_log WHERE chain = :t AND sequence = 5"],
    "the start": ["DELETE FROM audit_log WHERE chain = :t AND sequence < 3"],
    "all but the last": ["DELETE FROM audit_log WHERE chain = :t AND sequence < 5"],
    "the end, with the head moved back": [
        "DELETE FROM audit_log WHERE chain = :t AND sequence > 3",
        "UPDATE audit_heads SET sequence = 3, hash = (SELECT hash FROM audit_log WHERE chain = :t AND sequence = 3) "
        "WHERE chain = :t",
    ],
    "the end, without the head": [
        "DELETE FROM audit_log WHERE chain = :t AND sequence > 3",
        "DELETE FROM audit_heads WHERE chain = :t",
    ],
    "only the head": ["DELETE FROM audit_heads WHERE chain = :t"],
    "everything": ["DELETE FROM audit_log WHERE chain = :t"],
    "everything with the head": [
        "DELETE FROM audit_log WHERE chain = :t",
        "DELETE FROM audit_heads WHERE chain = :t",
    ],
    "everything, with the head at the beginning": [
        "DELETE FROM audit_log WHERE chain = :t",
        "UPDATE audit_heads SET sequence = 0, hash = '' WHERE chain = :t",
    ],
}


@pytest.mark.parametrize("statements", CUTS.values(), ids=CUTS.keys())
def test_a_log_that_was_cut_off_is_found(tmp_path: Path, statements: Sequence[str]) -> None:
    now = dt.datetime.now(dt.UTC)
    with in_memory(tmp_path) as gallery:
        with gallery._database.write() as connection:
            drafts = [Draft("search", time=now - dt.timedelta(days=age)) for age in (400, 390, 380, 10, 1)]
            audit_chain.append(connection, T, drafts)
        noted = gallery.check_audit(T).head
        assert gallery.check_audit(T).broken is None
        with gallery._database.write() as connection:
            for statement in statements:
                connection.execute(sa.text(statement), {"t": T})
        check = gallery.check_audit(T, noted)
        assert check.broken is not None
        assert check.reason
        gallery.create_collection(T, NewCollection("later"))
        assert gallery.check_audit(T, noted).broken is not None, "a write does not sign what was cut off"
        gallery.forget_audit(now)
        assert gallery.check_audit(T, noted).broken is not None, "nor does the next erasure by age"


def test_an_entry_that_claims_that_others_were_forgotten_needs_the_signature(tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    with in_memory(tmp_path) as gallery:
        for number in range(5):
            gallery.create_collection(T, NewCollection(f"c{number}"))
        fourth = list(gallery.export_audit(T))[3]
        with gallery._database.write() as connection:
            connection.execute(audit_log.delete().where(audit_log.c.sequence < 4))
        for days, right in ((365, True), (1e-9, False), ("x", False), (1e300, False), (-1, False)):
            details = {"first": 4, "hash": fourth.hash, "keep_days": days}
            with gallery._database.write() as connection:  # with the key, as :func:`audit_chain.append` has it
                audit_chain.append(connection, T, [Draft("forget_audit", details=details, time=now + LATER)])
            assert (gallery.check_audit(T).broken is None) is right, days


def test_a_noted_head_is_found_with_what_came_since(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("c0"))
    noted = gallery.check_audit(tenant).head
    for number in range(1, 4):
        gallery.create_collection(tenant, NewCollection(f"c{number}"))
    check = gallery.check_audit(tenant, noted)
    assert check.noted == NotedHead(found=True, sequence=1, later=3)
    first, *_, last = gallery.export_audit(tenant)
    assert (check.first, check.last) == ((1, first.time), (4, last.time))
    assert gallery.check_audit(tenant, check.head).noted == NotedHead(found=True, sequence=4, later=0)
    assert gallery.check_audit(tenant, "0" * 64).noted == NotedHead(found=False)
    assert gallery.check_audit(new_tenant(gallery)).broken is None, "a new log is empty, and whole"


def test_old_entries_go_and_the_rest_stays_one_chain(tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    with in_memory(tmp_path) as gallery:
        with gallery._database.write() as connection:
            ages = (
                400,
                390,
                10,
                380,
                1,
            )  # entries of searches are written later than entries of writes that came after them
            drafts = [Draft("search", time=now - dt.timedelta(days=age)) for age in ages]
            audit_chain.append(connection, T, drafts)
        assert gallery.forget_audit(now) == 2
        check = gallery.check_audit(T)
        assert (check.entries, check.broken) == (4, None)
        assert check.first is not None
        assert check.first.sequence == 3
        *_, forgot = gallery.export_audit(T)
        third = next(iter(gallery.export_audit(T))).hash
        assert (forgot.action, forgot.details) == ("forget_audit", {"first": 3, "hash": third, "keep_days": 365})
        assert gallery.forget_audit(now) == 0, "nothing else is old enough"
        assert gallery.forget_audit(now + dt.timedelta(days=1000)) == 3
        gallery.create_collection(T, NewCollection("staff"))
        check = gallery.check_audit(T)
        assert (check.entries, check.broken) == (3, None)
        assert gallery.check_audit(T, third).noted == NotedHead(found=False)


def test_the_actor_is_the_caller(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        gallery.create_collection(T, NewCollection("staff"))

        def search() -> None:
            request_context.enter(RequestContext(caller="key:k1"))
            gallery.search(T, query(1))

        copy_context().run(search)
        assert [entry.actor for entry in gallery.export_audit(T)] == ["internal", "key:k1"]


def test_an_outage_loses_nothing_but_what_has_no_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_memory(tmp_path) as gallery:
        gallery.create_collection(T, NewCollection("staff"))

        def down(work: Callable[[sa.Connection], Any]) -> Any:
            raise StoreUnavailable("The database does not answer; try again.")

        with monkeypatch.context() as patch:
            patch.setattr(gallery._database, "transact", down)
            for _ in range(3):
                gallery.search(T, query(1))
            gallery.maintain()
            for _ in range(MOST_QUEUED):
                gallery._audit.put(T, Draft("search"))
            with contextlib.suppress(StoreUnavailable):
                gallery._audit.flush()
        assert gallery._audit.flush() == MOST_QUEUED
        last = gallery.audit(T, limit=1).items[0]
        assert (last.action, dict(last.details)) == ("entries_lost", {"entries": 3})
        assert gallery.check_audit(T).broken is None


def test_an_outage_does_not_change_the_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with in_memory(tmp_path) as gallery:
        gallery._audit.put(T, Draft("first"))

        def down(work: Callable[[sa.Connection], Any]) -> Any:
            gallery._audit.put(T, Draft("second"))
            raise StoreUnavailable("The database does not answer; try again.")

        with monkeypatch.context() as patch:
            patch.setattr(gallery._database, "transact", down)
            with pytest.raises(StoreUnavailable):
                gallery._audit.flush()
        assert [entry.action for entry in gallery.export_audit(T)] == ["first", "second"]


def test_only_entries_before_the_first_young_one_go(tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    with in_memory(tmp_path) as gallery:
        with gallery._database.write() as connection:
            drafts = [Draft("search", time=now - dt.timedelta(days=age)) for age in (400, 10, 390, 380)]
            audit_chain.append(connection, T, drafts)
        assert gallery.forget_audit(now) == 1
        check = gallery.check_audit(T)
        assert (check.entries, check.broken) == (4, None)


def test_forgetting_is_recorded_once_a_day(tmp_path: Path) -> None:
    now = dt.datetime.now(dt.UTC)
    with in_memory(tmp_path) as gallery:
        with gallery._database.write() as connection:
            drafts = [Draft("search", time=now - dt.timedelta(days=365, hours=23 - hour)) for hour in range(48)]
            audit_chain.append(connection, T, drafts)
        erased = [gallery.forget_audit(now + dt.timedelta(hours=hour)) for hour in range(48)]
        assert [number for number in erased if number] == [25, 23]
        assert gallery.check_audit(T).broken is None


def test_hashes_do_not_depend_on_the_database(gallery: Gallery, tenant: str) -> None:
    time = dt.datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=dt.timezone(dt.timedelta(hours=2)))
    with gallery._database.write() as connection:
        (made,) = audit_chain.append(connection, tenant, [Draft("search", ["a"], ["b"], {"ü": 1}, "key:k", time)])
    (read,) = gallery.export_audit(tenant)
    assert read == dataclasses.replace(made, time=made.time)
    assert gallery.check_audit(tenant).broken is None


def test_keys_are_recorded_without_their_secrets(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        keys = KeyStore(gallery._database)
        key, secret = keys.create(T, "door camera", Role.SEARCH)
        keys.revoke(T, key.id)
        entries = list(gallery.export_audit(T))
        assert [(e.action, e.details["key"]) for e in entries] == [("create_key", key.id), ("revoke_key", key.id)]
        assert secret not in str(entries)
        assert gallery.check_audit(T).broken is None
