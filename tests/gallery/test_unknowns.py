"""Unknowns: kept where the policy allows it, clustered, named, merged and erased."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa

from serve_app.domain import (
    DEFAULT_TENANT,
    CollectionPolicy,
    Deletion,
    ImageStorage,
    NewCollection,
    PersonFields,
    Unknown,
)
from serve_app.errors import (
    CollectionNotFound,
    FaceIdNotFound,
    InvalidRequest,
    LivenessRequired,
    PersonExists,
    QualityTooLow,
    UnknownNotFound,
    UnknownsNotKept,
)
from serve_app.gallery import Gallery
from serve_app.gallery import unknowns as unknowns_module
from serve_app.gallery.sql.schema import unknown_faces, unknowns
from tests.gallery.conftest import new_tenant
from tests.gallery.samples import MODEL, OTHER_MODEL, face, query, template
from tests.gallery.stores import check_consistent, in_memory

POLICY = CollectionPolicy(keep_unknown_h=24)
LATER = dt.timedelta(hours=25)


@pytest.fixture
def staff(gallery: Gallery, tenant: str) -> str:
    """A tenant with a collection that keeps unknown faces for a day, and one that keeps none."""
    gallery.create_collection(tenant, NewCollection("staff", policy=POLICY))
    gallery.create_collection(tenant, NewCollection("guests"))
    return tenant


@pytest.fixture
def memory(tmp_path: Path) -> Iterator[Gallery]:
    """A separate gallery with an index in memory."""
    with in_memory(tmp_path) as opened:
        opened.create_collection(DEFAULT_TENANT, NewCollection("staff", policy=POLICY))
        yield opened


def seen(gallery: Gallery, tenant: str, *seeds: int, near: int | None = None) -> list[str]:
    """Keep faces, each from a separate image; the ids of the unknowns that they join."""
    found = []
    for seed in seeds:
        (sighting,) = gallery.keep_unknown(tenant, "staff", [face(template(seed, near=near, cosine=0.9))])
        assert sighting is not None
        found.append(sighting.id)
    return found


def listed(gallery: Gallery, tenant: str, limit: int = 100) -> list[Unknown]:
    """All unknowns, read page by page."""
    found: list[Unknown] = []
    cursor = None
    while True:
        page = gallery.unknowns(tenant, "staff", limit, cursor)
        found += page.items
        cursor = page.cursor
        if cursor is None:
            return found


def test_faces_that_are_alike_gather(gallery: Gallery, staff: str) -> None:
    ann = seen(gallery, staff, 1, 2, 3, near=100)
    bob = seen(gallery, staff, 4, 5, near=200)
    assert (len(set(ann)), len(set(bob)), set(ann) & set(bob)) == (1, 1, set())
    found = listed(gallery, staff, limit=1)
    assert [(each.id, each.sightings, len(each.faces)) for each in found] == [(bob[0], 2, 2), (ann[0], 3, 3)]
    one = gallery.unknown(staff, "staff", ann[0])
    assert one == found[1]
    assert one.first_seen < one.last_seen
    for stored in one.faces:
        assert stored.person_id is None
        assert stored.expires is not None
        assert abs(stored.expires - dt.datetime.now(dt.UTC) - dt.timedelta(hours=24)) < dt.timedelta(minutes=1)
        assert gallery.face_image(staff, stored.id, "thumbnail") == b"thumbnail"
    assert one.expires == max(stored.expires for stored in one.faces if stored.expires)
    check_consistent(gallery)


def test_nobody_finds_them_but_those_who_name_them(gallery: Gallery, staff: str) -> None:
    (ann,) = seen(gallery, staff, 1)
    (kept,) = gallery.unknown(staff, "staff", ann).faces
    assert gallery.search(staff, query(1)).matches == ((),)
    assert gallery.search(staff, query(1, collections=None)).matches == ((),)
    assert gallery.collection(staff, "staff").face_count == 0
    assert gallery.faces(staff, "staff").total == 0
    assert {each.name for each in gallery.collections(staff).items} == {"staff", "guests"}
    assert gallery.collections_slice(staff).total == 2
    assert gallery.face_collections(staff, kept.id) == ()
    assert gallery.attach_faces(staff, "guests", [kept.id]).unknown == (kept.id,)
    for name in (f"?{gallery.collection(staff, 'staff').id}", "?"):
        with pytest.raises(CollectionNotFound):
            gallery.search(staff, query(1, collections=(name,)))


def test_two_faces_of_a_picture_are_two_unknowns(gallery: Gallery, staff: str) -> None:
    twins = gallery.keep_unknown(staff, "staff", [face(template(seed, near=100)) for seed in (1, 2)])
    assert [each is not None and each.is_new for each in twins] == [True, True]
    again = gallery.keep_unknown(staff, "staff", [face(template(seed, near=100)) for seed in (1, 2)])
    assert {each.id for each in again if each} == {each.id for each in twins if each}
    assert [each is not None and each.is_new for each in again] == [False, False]
    assert gallery.keep_unknown(staff, "staff", []) == ()


def test_of_two_faces_like_a_kept_one_on_a_picture_one_joins_it(gallery: Gallery, staff: str) -> None:
    (ann,) = seen(gallery, staff, 1, near=100)
    twins = gallery.keep_unknown(staff, "staff", [face(template(seed, near=100)) for seed in (2, 3)])
    assert [(each.id == ann, each.is_new) for each in twins if each] == [(True, False), (False, True)]
    assert {len(each.faces) for each in listed(gallery, staff)} == {1, 2}
    check_consistent(gallery)


def test_a_face_joins_the_most_similar_of_several(gallery: Gallery, staff: str) -> None:
    near, far = (
        each.id
        for each in gallery.keep_unknown(
            staff, "staff", [face(template(seed, near=100, cosine=cosine)) for seed, cosine in ((1, 0.95), (2, 0.85))]
        )
        if each
    )
    assert near != far
    (sighting,) = gallery.keep_unknown(staff, "staff", [face(template(100))])
    assert sighting is not None
    assert (sighting.id, sighting.is_new) == (near, False)


def test_merging_several_brings_the_faces_of_all(gallery: Gallery, staff: str) -> None:
    one, two, three, four = seen(gallery, staff, 1, 2, 3, 4)
    seen_before = {each.id: each for each in listed(gallery, staff)}
    merged = gallery.merge_unknowns(staff, "staff", two, [one, three])
    assert (merged.id, merged.sightings, len(merged.faces)) == (two, 3, 3)
    assert (merged.first_seen, merged.last_seen) == (seen_before[one].first_seen, seen_before[three].last_seen)
    assert [each.id for each in listed(gallery, staff)] == [four, two]
    assert gallery.audit(staff, limit=1).items[0].details == {"unknowns_merged": 3}
    for seed in (1, 2, 3):
        assert seen(gallery, staff, seed) == [two]
    check_consistent(gallery)


def test_an_unknown_becomes_a_new_person(gallery: Gallery, staff: str) -> None:
    ann, *_ = seen(gallery, staff, 1, 2, near=100)
    before = {stored.id for stored in gallery.unknown(staff, "staff", ann).faces}
    done = gallery.name_unknown(staff, "staff", ann, "ann", PersonFields(name="Ann"))
    assert done.created
    assert (done.person.name, done.person.collections) == ("Ann", ("staff",))
    assert {stored.id for stored in done.faces} == {stored.id for stored in done.person.faces} == before
    assert all(stored.expires is None and stored.person_id == "ann" for stored in done.faces)
    (match,) = gallery.search(staff, query(template(3, near=100))).matches[0]
    assert match.person == done.person
    assert listed(gallery, staff) == []
    rows = gallery._index.rows_of(MODEL, before)
    assert {key.collection_id for key in rows} == {gallery.collection(staff, "staff").id}, "none of the unknowns' rows"
    with pytest.raises(UnknownNotFound):
        gallery.name_unknown(staff, "staff", ann, "ann")
    gallery.expire_faces(dt.datetime.now(dt.UTC) + LATER)
    assert gallery.face_image(staff, done.faces[0].id, "thumbnail") == b"thumbnail"
    check_consistent(gallery)
    assert gallery.delete_person(staff, "ann").faces == 2
    check_consistent(gallery)


def test_an_unknown_joins_a_person(gallery: Gallery, staff: str) -> None:
    gallery.put_person(staff, "ann", ["guests"], PersonFields(name="Ann", notes="tall"), [face(50)])
    gallery.put_person(staff, "nowhere", [], PersonFields(), [face(60)])
    (one,) = seen(gallery, staff, 1)
    with pytest.raises(PersonExists):
        gallery.name_unknown(staff, "staff", one, "ann", must_be_new=True)
    done = gallery.name_unknown(staff, "staff", one, "ann", PersonFields(notes=""))
    assert (done.created, done.person.name, done.person.notes, len(done.person.faces)) == (False, "Ann", "", 2)
    assert done.person.collections == ("guests", "staff")
    for seed in (1, 50):
        for name in ("staff", "guests"):
            assert gallery.search(staff, query(seed, collections=(name,))).matches[0][0].person == done.person
    (two,) = seen(gallery, staff, 2)
    assert gallery.name_unknown(staff, "staff", two, "nowhere").person.collections == ("staff",)
    check_consistent(gallery)


def test_merging_and_discarding(gallery: Gallery, staff: str) -> None:
    one, two, three = seen(gallery, staff, 1, 2, 3)
    merged = gallery.merge_unknowns(staff, "staff", one, [two])
    assert (merged.id, merged.sightings, len(merged.faces)) == (one, 2, 2)
    assert [each.id for each in listed(gallery, staff)] == [three, one]
    assert gallery.audit(staff, limit=1).items[0].details == {"unknowns_merged": 2}
    assert seen(gallery, staff, 12, near=2) == [one]
    for others, error in (([two], UnknownNotFound), ([one], InvalidRequest), ([], InvalidRequest)):
        with pytest.raises(error):
            gallery.merge_unknowns(staff, "staff", one, others)
    collections = (gallery.collection(staff, "staff").id,)
    assert [(e.action, e.collections == collections) for e in gallery.export_audit(staff)][2:] == [
        *[("keep_unknown", True)] * 3,
        ("merge_unknowns", True),
        ("keep_unknown", True),
    ]
    faces = gallery.unknown(staff, "staff", one).faces
    assert gallery.discard_unknown(staff, "staff", one) == Deletion(faces=3, erased=True)
    with pytest.raises(FaceIdNotFound):
        gallery.face_image(staff, faces[0].id, "thumbnail")
    with pytest.raises(UnknownNotFound):
        gallery.discard_unknown(staff, "staff", one)
    assert gallery.discard_unknown(staff, "staff").faces == 1
    assert listed(gallery, staff) == []
    check_consistent(gallery)


def test_the_policy_decides(gallery: Gallery, staff: str) -> None:
    with pytest.raises(UnknownsNotKept):
        gallery.keep_unknown(staff, "guests", [face(1)])
    strict = CollectionPolicy(keep_unknown_h=1, liveness=True, reject_below=0.5)
    gallery.create_collection(staff, NewCollection("strict", policy=strict))
    with pytest.raises(LivenessRequired):
        gallery.keep_unknown(staff, "strict", [face(1)])
    with pytest.raises(QualityTooLow):
        gallery.keep_unknown(staff, "strict", [face(1, liveness=0.9, quality=0.4)])
    (kept,) = gallery.keep_unknown(staff, "strict", [face(1, liveness=0.9)])
    assert kept is not None
    gallery.put_person(staff, "ann", ["strict"], PersonFields(), [face(7, liveness=0.9)])
    (other,) = seen(gallery, staff, 2)
    with pytest.raises(LivenessRequired):
        gallery.name_unknown(staff, "staff", other, "ann")
    gallery.update_collection(staff, "staff", {"policy": CollectionPolicy()})
    with pytest.raises(UnknownsNotKept):
        gallery.keep_unknown(staff, "staff", [face(3)])
    assert [each.id for each in listed(gallery, staff)] == [other]
    for hours in (-1, 1.5, True, 10**6):
        with pytest.raises(InvalidRequest):
            gallery.update_collection(staff, "staff", {"policy": CollectionPolicy(keep_unknown_h=hours)})  # type: ignore[arg-type]


def test_others_do_not_see_them(gallery: Gallery, staff: str) -> None:
    (ann,) = seen(gallery, staff, 1)
    other = new_tenant(gallery)
    gallery.create_collection(other, NewCollection("staff", policy=POLICY))
    assert listed(gallery, other) == []
    for someone, name, unknown in ((other, "staff", ann), (staff, "guests", ann), (staff, "staff", "'; --")):
        with pytest.raises(UnknownNotFound):
            gallery.unknown(someone, name, unknown)
        with pytest.raises(UnknownNotFound):
            gallery.discard_unknown(someone, name, unknown)
        with pytest.raises(UnknownNotFound):
            gallery.name_unknown(someone, name, unknown, "ann")
        with pytest.raises(UnknownNotFound):
            gallery.merge_unknowns(someone, name, unknown, ["0" * 32])
    for cursor in ("x", "WzEsICJ4Il0"):
        with pytest.raises(InvalidRequest):
            gallery.unknowns(staff, "staff", 10, cursor)


def test_a_deleted_collection_takes_them_with_it(gallery: Gallery, staff: str) -> None:
    (ann,) = seen(gallery, staff, 1)
    (kept,) = gallery.unknown(staff, "staff", ann).faces
    assert gallery.delete_collection(staff, "staff", only_if_empty=True).faces == 1
    with pytest.raises(FaceIdNotFound):
        gallery.face(staff, kept.id)
    check_consistent(gallery)


def test_when_the_time_is_over_nothing_is_left(gallery: Gallery, staff: str) -> None:
    ann, bob = seen(gallery, staff, 1, 2)
    (kept,) = gallery.unknown(staff, "staff", ann).faces
    assert gallery.expire_faces(dt.datetime.now(dt.UTC) + LATER) >= 2
    assert gallery.forget_unknowns() >= 2
    with pytest.raises(FaceIdNotFound):
        gallery.face_image(staff, kept.id, "thumbnail")
    with gallery._database.read() as connection:
        for table, column in ((unknowns, unknowns.c.id), (unknown_faces, unknown_faces.c.unknown_id)):
            left = sa.select(sa.func.count()).select_from(table).where(column.in_([ann, bob]))
            assert connection.execute(left).scalar_one() == 0
    check_consistent(gallery)  # no row is left in the index, and no image


def test_a_face_whose_time_is_over_is_gone_before_it_is_erased(memory: Gallery) -> None:
    from serve_app.gallery.sql.schema import faces

    (ann,) = seen(memory, DEFAULT_TENANT, 1)
    with memory._database.write() as connection:
        connection.execute(faces.update().values(expires=dt.datetime.now(dt.UTC) - dt.timedelta(seconds=1)))
    assert listed(memory, DEFAULT_TENANT) == []
    with pytest.raises(UnknownNotFound):
        memory.name_unknown(DEFAULT_TENANT, "staff", ann, "ann")
    assert seen(memory, DEFAULT_TENANT, 1) != [ann]


def test_so_many_faces_and_no_more(memory: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unknowns_module, "MAX_FACES", 2)
    monkeypatch.setattr(unknowns_module, "MAX_FACES_PER_COLLECTION", 4)
    ann = seen(memory, DEFAULT_TENANT, 1, 2, 3, near=100)
    assert len(set(ann)) == 1
    stored = memory.unknown(DEFAULT_TENANT, "staff", ann[0])
    assert (stored.sightings, len(stored.faces)) == (3, 2)
    seen(memory, DEFAULT_TENANT, 11, 12)
    assert memory.keep_unknown(DEFAULT_TENANT, "staff", [face(13)]) == (None,)
    assert seen(memory, DEFAULT_TENANT, 4, near=100) == ann[:1]
    check_consistent(memory)


def test_a_stranger_whom_many_searches_see_at_once_is_one(memory: Gallery) -> None:
    with ThreadPoolExecutor(8) as pool:
        ids = set(pool.map(lambda seed: seen(memory, DEFAULT_TENANT, seed, near=100)[0], range(16)))
    assert len(ids) == 1
    (found,) = listed(memory, DEFAULT_TENANT)
    assert (found.sightings, len(found.faces)) == (16, 16)
    check_consistent(memory)


def test_without_images_and_with_a_model_that_is_not_calibrated(memory: Gallery) -> None:
    bare = face(1, storage=ImageStorage.NONE, thumbnail=None)
    (kept,) = memory.keep_unknown(DEFAULT_TENANT, "staff", [bare])
    assert kept is not None
    assert memory.unknown(DEFAULT_TENANT, "staff", kept.id).faces[0].storage is ImageStorage.NONE
    for faces in ([face(1, model="none")], [face(1), face(2, model=OTHER_MODEL)]):
        with pytest.raises(InvalidRequest):
            memory.keep_unknown(DEFAULT_TENANT, "staff", faces)
