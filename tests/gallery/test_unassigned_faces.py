"""Unassigned faces: stored, found while they are in a collection, erased when they have expired."""

from __future__ import annotations

import datetime as dt
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from serve_app.domain import Appearance, CollectionPolicy, Deletion, Face, ImageStorage, NewCollection, PersonFields
from serve_app.errors import (
    CollectionNotEmpty,
    CollectionNotFound,
    FaceIdNotFound,
    ImageNotStored,
    InvalidRequest,
    LivenessRequired,
    TaskNotFound,
)
from serve_app.gallery import Gallery
from tests.gallery.conftest import new_tenant
from tests.gallery.samples import face, query, template
from tests.gallery.stores import check_consistent, in_memory

APPEARANCE = Appearance(((1.0, 2.0), (3.0, 4.5), (5.0, 6.0), (7.0, 8.0), (9.0, 10.0)), 250.0, -3.5, 12.0)
LATER = dt.timedelta(hours=73)


@pytest.fixture
def sets(gallery: Gallery, tenant: str) -> tuple[str, str]:
    """Two empty collections."""
    gallery.create_collection(tenant, NewCollection("reds"))
    gallery.create_collection(tenant, NewCollection("blues"))
    return "reds", "blues"


def added(gallery: Gallery, tenant: str, *seeds: int) -> list[Face]:
    return list(gallery.add_faces(tenant, [face(seed) for seed in seeds]))


def test_a_new_face_expires_and_keeps_what_it_came_with(gallery: Gallery, tenant: str) -> None:
    before = dt.datetime.now(dt.UTC)
    (stored,) = gallery.add_faces(tenant, [face(1, appearance=APPEARANCE, liveness=0.25)])
    assert stored == gallery.face(tenant, stored.id)
    assert stored.expires is not None
    assert dt.timedelta(hours=71.9) < stored.expires - before < dt.timedelta(hours=72.1)
    assert (stored.person_id, stored.user_id, stored.liveness) == (None, "", 0.25)
    assert stored.appearance == APPEARANCE
    assert gallery.face_image(tenant, stored.id, "thumbnail") == b"thumbnail"
    assert gallery.face_collections(tenant, stored.id) == ()
    assert gallery.template(tenant, stored.id)[1][0] == pytest.approx(face(1).template)


def test_nothing_in_nothing_out(gallery: Gallery, tenant: str) -> None:
    assert gallery.add_faces(tenant, []) == ()


def test_a_face_is_found_only_while_it_is_in_the_collection(
    gallery: Gallery, tenant: str, sets: tuple[str, str]
) -> None:
    one, two = added(gallery, tenant, 1, 2)
    assert gallery.search(tenant, query(1, collections=sets)).matches == ((),)
    change = gallery.attach_faces(tenant, "reds", [one.id, two.id, one.id])
    assert (change.changed, change.unknown, change.refused) == ((one.id, two.id), (), ())
    assert change.collection.face_count == 2
    (match,) = gallery.search(tenant, query(1, collections=sets)).matches[0]
    assert (match.person, match.face.id, match.collection) == (None, one.id, "reds")
    assert gallery.face(tenant, one.id).expires is None
    assert [c.name for c in gallery.face_collections(tenant, one.id)] == ["reds"]
    assert [item.face.id for item in gallery.faces(tenant, "reds").items] == [one.id, two.id]
    left = gallery.detach_faces(tenant, "reds", [one.id])
    assert (left.changed, left.unknown, left.collection.face_count) == ((one.id,), (), 1)
    assert gallery.search(tenant, query(1, collections=sets)).matches == ((),)
    assert gallery.face(tenant, one.id).expires is not None


def test_joining_and_leaving_twice_changes_nothing(gallery: Gallery, tenant: str, sets: tuple[str, str]) -> None:
    (one,) = added(gallery, tenant, 1)
    gallery.attach_faces(tenant, "reds", [one.id])
    again = gallery.attach_faces(tenant, "reds", [one.id])
    assert (again.changed, again.unknown, again.collection.face_count) == ((), (), 1)
    gallery.detach_faces(tenant, "reds", [one.id])
    again = gallery.detach_faces(tenant, "reds", [one.id])
    assert (again.changed, again.unknown, again.collection.face_count) == ((), (one.id,), 0)


def test_a_face_in_two_collections_stays_until_it_left_both(
    gallery: Gallery, tenant: str, sets: tuple[str, str]
) -> None:
    (one,) = added(gallery, tenant, 1)
    for name in sets:
        gallery.attach_faces(tenant, name, [one.id])
    gallery.detach_faces(tenant, "reds", None)
    assert gallery.face(tenant, one.id).expires is None
    gallery.detach_faces(tenant, "blues", None)
    assert gallery.face(tenant, one.id).expires is not None


def test_what_cannot_join(gallery: Gallery, tenant: str, sets: tuple[str, str]) -> None:
    other = new_tenant(gallery)
    (foreign,) = added(gallery, other, 5)
    ada = gallery.put_person(tenant, "ada", ["reds"], PersonFields(), [face(3)])
    strangers = ["0" * 32, "no id", foreign.id, ada.faces[0].id]
    change = gallery.attach_faces(tenant, "blues", strangers)
    assert (change.changed, change.unknown) == ((), tuple(strangers))
    assert gallery.detach_faces(tenant, "reds", [ada.faces[0].id]).unknown == (ada.faces[0].id,)
    assert gallery.detach_faces(tenant, "reds", None).changed == ()
    with pytest.raises(CollectionNotFound):
        gallery.attach_faces(tenant, "nobody", [])
    with pytest.raises(CollectionNotFound):
        gallery.detach_faces(other, "reds", None)
    with pytest.raises(InvalidRequest):
        gallery.attach_faces(tenant, "blues", ["0" * 32] * 1001)


def test_a_collection_takes_so_many_and_no_more(gallery: Gallery, tenant: str, sets: tuple[str, str]) -> None:
    ids = [stored.id for stored in added(gallery, tenant, 1, 2, 3)]
    change = gallery.attach_faces(tenant, "reds", ids, limit=2)
    assert (change.changed, change.refused) == (tuple(ids[:2]), (ids[2],))
    assert gallery.attach_faces(tenant, "reds", ids, limit=1).refused == (ids[2],)
    assert gallery.collection(tenant, "reds").face_count == 2


def test_a_policy_holds_for_faces_without_a_person(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("live", policy=CollectionPolicy(liveness=True)))
    (unchecked,) = added(gallery, tenant, 1)
    (live,) = gallery.add_faces(tenant, [face(2, liveness=0.9)])
    with pytest.raises(LivenessRequired):
        gallery.attach_faces(tenant, "live", [live.id, unchecked.id])
    assert gallery.collection(tenant, "live").face_count == 0
    assert gallery.attach_faces(tenant, "live", [live.id]).changed == (live.id,)


def test_a_users_text(gallery: Gallery, tenant: str, sets: tuple[str, str]) -> None:
    (one,) = added(gallery, tenant, 1)
    assert gallery.set_user_id(tenant, one.id, "badge 7").user_id == "badge 7"
    gallery.attach_faces(tenant, "reds", [one.id])
    assert gallery.search(tenant, query(1, collections=("reds",))).matches[0][0].face.user_id == "badge 7"
    for someone, face_id, text in ((tenant, "0" * 32, "x"), (new_tenant(gallery), one.id, "x")):
        with pytest.raises(FaceIdNotFound):
            gallery.set_user_id(someone, face_id, text)
    with pytest.raises(InvalidRequest):
        gallery.set_user_id(tenant, one.id, "x" * 256)


def test_expired_faces_are_erased_with_all_traces(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        tenant = new_tenant(gallery)
        gallery.create_collection(tenant, NewCollection("reds"))
        kept, goes, photo = gallery.add_faces(
            tenant, [face(1), face(2), face(3, storage=ImageStorage.FULL, photograph=b"photo")]
        )
        gallery.attach_faces(tenant, "reds", [kept.id])
        assert gallery.expire_faces() == 0
        assert gallery.expire_faces(dt.datetime.now(dt.UTC) + LATER) == 2
        assert gallery.face(tenant, kept.id).expires is None
        for gone in (goes, photo):
            with pytest.raises(FaceIdNotFound):
                gallery.face(tenant, gone.id)
        check_consistent(gallery)
        assert gallery.expire_faces(dt.datetime.now(dt.UTC) + LATER) == 0


def test_a_collection_can_be_deleted_without_its_faces(gallery: Gallery, tenant: str, sets: tuple[str, str]) -> None:
    only_here, in_both = added(gallery, tenant, 1, 2)
    gallery.attach_faces(tenant, "reds", [only_here.id, in_both.id])
    gallery.attach_faces(tenant, "blues", [in_both.id])
    gallery.put_person(tenant, "ada", ["reds"], PersonFields(), [face(3)])
    assert gallery.delete_collection(tenant, "reds", keep_faces=True) == Deletion(persons=1, faces=1, erased=True)
    assert gallery.face(tenant, in_both.id).expires is None
    expires = gallery.face(tenant, only_here.id).expires
    assert expires is not None
    assert abs(expires - dt.datetime.now(dt.UTC) - dt.timedelta(hours=72)) < dt.timedelta(minutes=1)
    ((match,),) = gallery.search(tenant, query(2, collections=("blues",))).matches
    assert match.face.id == in_both.id
    assert gallery.face_collections(tenant, only_here.id) == ()
    check_consistent(gallery)


def test_a_search_for_persons_only_passes_faces_over(gallery: Gallery, tenant: str, sets: tuple[str, str]) -> None:
    """However many of them are nearer than the person."""
    faces = gallery.add_faces(tenant, [face(template(seed, near=100, cosine=0.95)) for seed in range(30)])
    gallery.attach_faces(tenant, "reds", [each.id for each in faces])
    gallery.put_person(tenant, "ada", ["reds"], PersonFields(), [face(template(99, near=100, cosine=0.7))])
    probe = template(100)
    ((nearest,),) = gallery.search(tenant, query(probe, collections=("reds",), max_results=1)).matches
    assert nearest.person is None
    only = query(probe, collections=("reds",), max_results=1, persons_only=True)
    ((match,),) = gallery.search(tenant, only).matches
    assert match.person is not None
    assert match.person.id == "ada"


def test_faces_of_all_tenants_expire(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        tenants = [new_tenant(gallery) for _ in range(3)]
        for tenant in tenants:
            gallery.add_faces(tenant, [face(1), face(2)])
        assert gallery.expire_faces(dt.datetime.now(dt.UTC) + LATER) == 6
        check_consistent(gallery)
        assert sum(gallery._blobs.count(tenant) for tenant in tenants) == 0


def test_an_expired_face_is_gone_before_it_is_erased(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        tenant = new_tenant(gallery)
        gallery.create_collection(tenant, NewCollection("reds"))
        gallery._lifetime = dt.timedelta(seconds=-1)
        (late,) = gallery.add_faces(tenant, [face(1)])
        for call in (gallery.face, gallery.template, gallery.face_collections, gallery.delete_face):
            with pytest.raises(FaceIdNotFound):
                call(tenant, late.id)
        with pytest.raises(FaceIdNotFound):
            gallery.set_user_id(tenant, late.id, "x")
        assert gallery.attach_faces(tenant, "reds", [late.id]).unknown == (late.id,)
        gallery._expiry_due = 0.0
        gallery.maintain()
        assert gallery.expire_faces() == 0
        check_consistent(gallery)


def test_a_face_is_either_attached_or_erased(gallery: Gallery, tenant: str, sets: tuple[str, str]) -> None:
    ids = [stored.id for stored in added(gallery, tenant, *range(20))]
    start = threading.Barrier(2)

    def expire() -> int:
        start.wait()
        return gallery.expire_faces(dt.datetime.now(dt.UTC) + LATER)

    def attach() -> set[str]:
        start.wait()
        return {face_id for face_id in ids if gallery.attach_faces(tenant, "reds", [face_id]).changed}

    with ThreadPoolExecutor(2) as pool:
        expiring, attaching = pool.submit(expire), pool.submit(attach)
        expiring.result()
        attached = attaching.result()
    gallery.expire_faces(dt.datetime.now(dt.UTC) + LATER)
    for face_id in ids:
        if face_id in attached:
            assert gallery.face(tenant, face_id).expires is None
        else:
            with pytest.raises(FaceIdNotFound):
                gallery.face(tenant, face_id)
    assert gallery.collection(tenant, "reds").face_count == len(attached)
    assert {item.face.id for item in gallery.faces(tenant, "reds").items} == attached


def test_deleting(gallery: Gallery, tenant: str, sets: tuple[str, str]) -> None:
    one, two, three = added(gallery, tenant, 1, 2, 3)
    gallery.attach_faces(tenant, "reds", [one.id, two.id])
    gallery.attach_faces(tenant, "blues", [two.id])
    with pytest.raises(CollectionNotEmpty):
        gallery.delete_collection(tenant, "reds", only_if_empty=True)
    assert gallery.delete_collection(tenant, "reds") == Deletion(faces=1, erased=True)
    assert gallery.face(tenant, two.id).expires is None
    assert gallery.delete_face(tenant, two.id).erased
    assert gallery.collection(tenant, "blues").face_count == 0
    assert gallery.delete_face(tenant, three.id).erased
    with pytest.raises(FaceIdNotFound):
        gallery.face_image(tenant, three.id, "thumbnail")


def test_images_follow_the_storage(gallery: Gallery, tenant: str) -> None:
    (bare,) = gallery.add_faces(tenant, [face(1, storage=ImageStorage.NONE, thumbnail=None)])
    with pytest.raises(ImageNotStored):
        gallery.face_image(tenant, bare.id, "thumbnail")


def test_tasks_are_remembered_for_a_week(gallery: Gallery, tenant: str) -> None:
    task = gallery.add_task(tenant, "adding", {"status": 1, "faces": ["a"]})
    found = gallery.task(tenant, task.id)
    assert (found.kind, dict(found.result)) == ("adding", {"status": 1, "faces": ["a"]})
    for someone, task_id in ((new_tenant(gallery), task.id), (tenant, "0" * 32), (tenant, "no id")):
        with pytest.raises(TaskNotFound):
            gallery.task(someone, task_id)
    assert gallery.forget_tasks() == 0
    assert gallery.forget_tasks(dt.datetime.now(dt.UTC) + dt.timedelta(days=8)) >= 1
    with pytest.raises(TaskNotFound):
        gallery.task(tenant, task.id)
