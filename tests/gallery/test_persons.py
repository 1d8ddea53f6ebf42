"""Persons and their faces, on every kind of store."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from serve_app.domain import Box, CollectionPolicy, Deletion, ImageStorage, NewCollection, PersonFields
from serve_app.errors import (
    CollectionNotFound,
    FaceIdNotFound,
    FaceNotLive,
    ImageNotStored,
    InvalidRequest,
    LivenessRequired,
    PersonExists,
    PersonNotFound,
    QualityTooLow,
)
from serve_app.gallery import Gallery
from tests.gallery.conftest import new_tenant
from tests.gallery.samples import DIMENSION, MODEL, OTHER_MODEL, face, query, template

EVERYTHING = PersonFields(
    name="Zoë O'Neil",
    gender="F",
    date_of_birth=dt.date(1990, 2, 28),
    nationality="日本",
    id_number="X-1",
    address="1 Street\nTown",
    notes="notes",
    watch_list=("PEP", "Sanctions"),
    metadata={"team": "blue", "κλειδί": "τιμή"},
)


@pytest.fixture
def staff(gallery: Gallery, tenant: str) -> str:
    """A tenant with the collections staff, guests and empty."""
    for name in ("staff", "guests", "empty"):
        gallery.create_collection(tenant, NewCollection(name))
    return tenant


def counts(gallery: Gallery, tenant: str, name: str) -> tuple[int, int]:
    collection = gallery.collection(tenant, name)
    return collection.person_count, collection.face_count


def test_what_is_enrolled_is_found_again(gallery: Gallery, staff: str) -> None:
    new = face(1, box=Box(-3.5, 2.25, 30.0, 40.0), quality=0.25, storage=ImageStorage.FULL, photograph=b"photo")
    enrolment = gallery.put_person(staff, "p/1 é", ["staff", "guests"], EVERYTHING, [new, face(2)])
    assert enrolment.created
    person = gallery.person(staff, "p/1 é")
    assert enrolment.person == person
    assert enrolment.faces == person.faces
    assert {name: getattr(person, name) for name in EVERYTHING.__dataclass_fields__} == {
        name: getattr(EVERYTHING, name) for name in EVERYTHING.__dataclass_fields__
    }
    assert person.collections == ("guests", "staff")
    first, _ = person.faces
    assert (first.person_id, first.image_id, first.box, first.quality, first.model, first.storage) == (
        "p/1 é",
        new.image_id,
        new.box,
        0.25,
        MODEL,
        ImageStorage.FULL,
    )
    assert gallery.face(staff, first.id) == first
    assert gallery.face_image(staff, first.id, "photograph") == b"photo"
    assert gallery.face_image(staff, first.id, "thumbnail") == b"thumbnail"
    found, stored = gallery.template(staff, first.id)
    assert found == first
    assert np.array_equal(stored, new.template.reshape(1, DIMENSION))
    assert counts(gallery, staff, "staff") == counts(gallery, staff, "guests") == (1, 2)


def test_fields_left_out_stay_and_empty_ones_are_cleared(gallery: Gallery, staff: str) -> None:
    gallery.put_person(staff, "p", ["staff"], EVERYTHING, [face(1)])
    changed = gallery.put_person(staff, "p", [], PersonFields(name="New", notes="", metadata={}))
    assert not changed.created
    assert (changed.person.name, changed.person.notes, changed.person.metadata) == ("New", "", {})
    assert (changed.person.gender, changed.person.watch_list) == ("F", ("PEP", "Sanctions"))
    assert len(changed.person.faces) == 1
    assert changed.person.collections == ("staff",)


def test_faces_replace_or_add(gallery: Gallery, staff: str) -> None:
    first = gallery.put_person(staff, "p", ["staff"], PersonFields(), [face(1)])
    added = gallery.put_person(staff, "p", ["staff"], PersonFields(), [face(2)], "add")
    assert added.person.faces == (*first.faces, *added.faces)
    replaced = gallery.put_person(staff, "p", ["staff"], PersonFields(), [face(3)])
    assert replaced.person.faces == replaced.faces
    with pytest.raises(FaceIdNotFound):
        gallery.face(staff, first.faces[0].id)
    found = gallery.search(staff, query(1, 2, 3)).matches
    assert [len(matches) for matches in found] == [0, 0, 1]
    assert counts(gallery, staff, "staff") == (1, 1)


def test_duplicate_faces_in_one_request_are_allowed(gallery: Gallery, staff: str) -> None:
    assert len(gallery.put_person(staff, "p", ["staff"], PersonFields(), [face(1), face(1)]).faces) == 2


def test_joining_a_collection_brings_the_faces_along(gallery: Gallery, staff: str) -> None:
    gallery.put_person(staff, "p", ["staff"], PersonFields(), [face(1), face(2)])
    gallery.put_person(staff, "p", ["guests", "guests", "staff"], PersonFields())
    assert counts(gallery, staff, "guests") == (1, 2)
    (match,) = gallery.search(staff, query(1, collections=("guests",))).matches[0]
    assert match.collection == "guests"
    assert match.person is not None
    assert match.person.collections == ("guests", "staff")


def test_a_new_person_must_be_new_if_so_asked(gallery: Gallery, staff: str) -> None:
    gallery.put_person(staff, "p", ["staff"], PersonFields(name="first"), must_be_new=True)
    with pytest.raises(PersonExists):
        gallery.put_person(staff, "p", ["staff"], PersonFields(name="second"), [face(1)], must_be_new=True)
    person = gallery.person(staff, "p")
    assert (person.name, person.faces) == ("first", ())


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"person_id": ""}, InvalidRequest, "1 to 100 characters"),
        ({"person_id": "x" * 101}, InvalidRequest, "1 to 100 characters"),
        ({"person_id": "a\nb"}, InvalidRequest, "control characters"),
        ({"person_id": ".."}, InvalidRequest, "neither . nor .."),
        ({"person_id": "a\ud800"}, InvalidRequest, "1 to 100"),
        ({"collections": ["staff", "nope"]}, CollectionNotFound, "nope"),
        ({"collections": ["a\x00"]}, CollectionNotFound, "a"),
        ({"fields": PersonFields(name="x\x00")}, InvalidRequest, "name contains a NUL"),
        ({"fields": PersonFields(name="x" * 201)}, InvalidRequest, "name may have 200 characters, got 201"),
        ({"fields": PersonFields(metadata={"k": 5})}, InvalidRequest, "must be a text, got int"),  # type: ignore[dict-item]
        ({"mode": "merge"}, InvalidRequest, "replace or add"),
        ({"faces": [face(1, template=template(1) * 2)]}, InvalidRequest, "unit norm"),
        ({"faces": [face(1, template=np.full(DIMENSION, np.nan, np.float32))]}, InvalidRequest, "finite"),
        ({"faces": [face(1, template=np.zeros((2, 2), np.float32))]}, InvalidRequest, "shape"),
        ({"faces": [face(1), face(template(2, dimension=16))]}, InvalidRequest, "128 dimensions, got 16"),
        ({"faces": [face(1, image_id="../x")]}, InvalidRequest, "image id"),
        ({"faces": [face(1, model='x"')]}, InvalidRequest, "model"),
    ],
)
def test_refused_requests_write_nothing(
    gallery: Gallery, staff: str, arguments: dict[str, Any], error: type[Exception], message: str
) -> None:
    gallery.put_person(
        staff, "other", ["empty"], PersonFields(), [face(9)]
    )  # determines the dimension of the model's part of the index
    values: dict[str, Any] = {
        "person_id": "p",
        "collections": ["staff"],
        "fields": PersonFields(),
        "faces": [face(1)],
        "mode": "replace",
    }
    with pytest.raises(error, match=message):
        gallery.put_person(staff, **(values | arguments))
    assert [person.id for person in gallery.persons(staff).items] == ["other"]
    assert counts(gallery, staff, "staff") == (0, 0)
    assert gallery.search(staff, query(1)).matches == ((),)


def test_quality_policies_of_all_collections_hold(gallery: Gallery, staff: str) -> None:
    for name, needed in (("mild", 0.3), ("strict", 0.7)):
        gallery.create_collection(staff, NewCollection(name, policy=CollectionPolicy(reject_below=needed)))
    with pytest.raises(QualityTooLow) as refused:
        gallery.put_person(staff, "p", ["mild", "strict"], PersonFields(), [face(1), face(2, quality=0.69)])
    assert refused.value.details["image"] == 1
    assert (refused.value.details["quality"], refused.value.details["needed"]) == (0.69, 0.7)
    assert refused.value.details["collection"] == "strict"
    gallery.put_person(staff, "p", ["mild"], PersonFields(), [face(1, quality=0.3)])
    with pytest.raises(QualityTooLow, match="strict"):  # the existing face would join as well
        gallery.put_person(staff, "p", ["strict"], PersonFields())
    with pytest.raises(QualityTooLow):
        gallery.link_persons(staff, "strict", add=["p"])
    gallery.put_person(staff, "p", ["strict"], PersonFields(), [face(2, quality=0.7)])
    assert set(gallery.person(staff, "p").collections) == {"mild", "strict"}


def test_liveness_policies_of_all_collections_hold(gallery: Gallery, staff: str) -> None:
    for name, threshold in (("strict", 0.9), ("mild", 0.3)):
        policy = CollectionPolicy(liveness=True, liveness_threshold=threshold)
        gallery.create_collection(staff, NewCollection(name, policy=policy))
    with pytest.raises(LivenessRequired) as required:
        gallery.put_person(staff, "p", ["mild", "strict", "staff"], PersonFields(), [face(1)])
    assert required.value.details["threshold"] == 0.9
    with pytest.raises(FaceNotLive) as dead:
        gallery.put_person(
            staff, "p", ["mild", "strict"], PersonFields(), [face(1, liveness=1.0), face(2, liveness=0.5)]
        )
    assert (dead.value.details["image"], dead.value.details["probability"]) == (1, 0.5)
    gallery.put_person(staff, "p", ["mild"], PersonFields(), [face(1, liveness=0.5)])
    with pytest.raises(FaceNotLive):  # the existing face does not satisfy the policy of the collection to join
        gallery.put_person(staff, "p", ["strict"], PersonFields())
    with pytest.raises(LivenessRequired):  # demanded by a collection that the request does not name
        gallery.put_person(staff, "p", [], PersonFields(), [face(2)])
    gallery.put_person(staff, "p", ["strict"], PersonFields(), [face(2, liveness=0.95)])
    assert gallery.person(staff, "p").collections == ("mild", "strict")


def test_leaving_the_last_collection_erases_the_person(gallery: Gallery, staff: str) -> None:
    enrolled = gallery.put_person(staff, "p", ["staff", "guests"], PersonFields(), [face(1), face(2)])
    with pytest.raises(PersonNotFound, match="in the collection empty"):
        gallery.delete_person(staff, "p", "empty")
    assert gallery.delete_person(staff, "p", "staff") == Deletion()
    assert gallery.person(staff, "p").collections == ("guests",)
    assert gallery.search(staff, query(1)).matches == ((),)
    assert counts(gallery, staff, "staff") == (0, 0)
    with pytest.raises(PersonNotFound):
        gallery.person(staff, "p", "staff")
    assert gallery.delete_person(staff, "p", "guests") == Deletion(persons=1, faces=2, erased=True)
    for call in (
        lambda: gallery.person(staff, "p"),
        lambda: gallery.delete_person(staff, "p"),
        lambda: gallery.verify(staff, "p", template(1).reshape(1, -1), MODEL),
    ):
        with pytest.raises(PersonNotFound):
            call()
    with pytest.raises(FaceIdNotFound):
        gallery.face_image(staff, enrolled.faces[0].id, "thumbnail")
    assert gallery._index.rows_of(MODEL, [face.id for face in enrolled.faces]) == set()
    assert gallery._blobs.read(staff, enrolled.faces[0].id, "thumbnail") is None


def test_deleting_a_person_everywhere(gallery: Gallery, staff: str) -> None:
    gallery.put_person(staff, "p", ["staff", "guests"], PersonFields(), [face(1)])
    assert gallery.delete_person(staff, "p") == Deletion(persons=1, faces=1, erased=True)
    assert counts(gallery, staff, "staff") == counts(gallery, staff, "guests") == (0, 0)


def test_deleting_one_face_keeps_the_person(gallery: Gallery, staff: str) -> None:
    enrolled = gallery.put_person(staff, "p", ["staff", "guests"], PersonFields(), [face(1), face(2)])
    gallery.put_person(staff, "q", ["staff"], PersonFields())
    first, second = enrolled.faces
    with pytest.raises(FaceIdNotFound):
        gallery.delete_face(staff, first.id, person_id="q")
    assert gallery.delete_face(staff, first.id, person_id="p") == Deletion(faces=1, erased=True)
    with pytest.raises(FaceIdNotFound):
        gallery.delete_face(staff, first.id)
    assert gallery.person(staff, "p").faces == (second,)
    assert gallery._blobs.read(staff, first.id, "thumbnail") is None
    assert counts(gallery, staff, "staff") == (2, 1)
    gallery.delete_face(staff, second.id)
    assert gallery.person(staff, "p").faces == ()


def test_nothing_of_another_tenant_is_reachable(gallery: Gallery, staff: str) -> None:
    other = new_tenant(gallery)
    gallery.create_collection(other, NewCollection("staff"))
    mine = gallery.put_person(staff, "p", ["staff"], PersonFields(), [face(1)]).faces[0].id
    for call in (
        lambda: gallery.face(other, mine),
        lambda: gallery.template(other, mine),
        lambda: gallery.face_image(other, mine, "thumbnail"),
        lambda: gallery.delete_face(other, mine),
        lambda: gallery.person(other, "p"),
        lambda: gallery.delete_person(other, "p"),
        lambda: gallery.verify(other, "p", template(1).reshape(1, -1), MODEL),
    ):
        with pytest.raises((FaceIdNotFound, PersonNotFound)):
            call()
    assert gallery.persons(other).items == ()
    assert gallery.search(other, query(1)).matches == ((),)
    gallery.put_person(other, "p", ["staff"], PersonFields(), [face(2)])  # the id is not taken in the other tenant
    assert gallery.search(other, query(1)).matches == ((),)


@pytest.mark.parametrize("face_id", ["", "x", "0" * 32, "A" * 32, '" or 1==1', "../../etc/passwd", "\x00" * 32, None])
def test_impossible_face_ids_are_unknown(gallery: Gallery, staff: str, face_id: Any) -> None:
    for call in (gallery.face, gallery.template, gallery.delete_face):
        with pytest.raises(FaceIdNotFound):
            call(staff, face_id)


def test_images_are_there_if_they_were_kept(gallery: Gallery, staff: str) -> None:
    new = face(1, storage=ImageStorage.NONE, thumbnail=None)
    (bare,) = gallery.put_person(staff, "p", ["staff"], PersonFields(), [new]).faces
    for kind in ("thumbnail", "photograph"):
        with pytest.raises(ImageNotStored, match=kind):
            gallery.face_image(staff, bare.id, kind)  # type: ignore[arg-type]
    with pytest.raises(InvalidRequest):
        gallery.face_image(staff, bare.id, "passport")  # type: ignore[arg-type]


def test_persons_are_listed_by_id(gallery: Gallery, staff: str) -> None:
    ids = ["A", "Z", "a", "b", "ä", "日"]
    for person_id in reversed(ids):
        gallery.put_person(staff, person_id, ["staff"], PersonFields(name=f"Name {person_id}"), [face(ord(person_id))])
    gallery.put_person(staff, "c", ["guests"], PersonFields(name="STRASSE"))
    page = gallery.persons(staff, "staff", limit=4)
    rest = gallery.persons(staff, "staff", limit=4, cursor=page.cursor)
    assert [person.id for person in (*page.items, *rest.items)] == ids
    assert rest.cursor is None
    assert page.items[0] == gallery.person(staff, "A")
    assert [person.id for person in gallery.persons(staff).items] == sorted([*ids, "c"])
    assert [person.id for person in gallery.persons(staff, q="NAME Ä").items] == ["A", "a", "ä"]
    assert [person.id for person in gallery.persons(staff, q="name 日").items] == ["日"]
    assert [person.id for person in gallery.persons(staff, q="straße").items] == ["c"]
    assert gallery.persons(staff, "guests", q="Name").items == ()


@pytest.mark.parametrize(
    ("name", "sought"),
    [
        ("Müller", ["muller", "MULLER", "Mu\u0308ller", "üll"]),
        ("Mu\u0308ller", ["müller", "muller"]),
        ("Nguyễn Đức", ["nguyen", "NGUYỄN", "duc", "nguyễn đức"]),
        ("İstanbul", ["istanbul", "ISTANBUL", "ıstanbul", "i\u0307stanbul"]),
        ("ışık", ["ISIK", "isik"]),
        ("O’Neil", ["O'Neil", "oʼneil", "O`NEIL", "o´neil"]),
        ("D'Arcy", ["d’arcy"]),
        ("Jean–Luc", ["jean-luc", "Jean‑Luc"]),
        ("Łódź", ["lodz"]),
        ("Søren Ægir Þór", ["soren", "aegir", "thor"]),
        ("Straße ΣΊΣΥΦΟΣ", ["STRASSE", "σίσυφος", "σισυφος"]),
        ("Ａｄａ ﬁ", ["ada fi"]),
        ("Anna\u00a0 Maria", ["anna maria", "  Anna   Maria "]),
        ("100% Ünal_x", ["100% unal_x"]),
        ("がか", ["が"]),
    ],
)
def test_names_are_found_without_their_marks(gallery: Gallery, staff: str, name: str, sought: list[str]) -> None:
    gallery.put_person(staff, "sought", ["staff"], PersonFields(name=name))
    gallery.put_person(staff, "other", ["staff"], PersonFields(name="100x Bob xunal1x か"))
    gallery.create_collection(staff, NewCollection("titled", title=name))
    for q in sought:
        assert [person.id for person in gallery.persons(staff, "staff", q=q).items] == ["sought"], q
        assert gallery.persons_slice(staff, q=q).total == 1
        assert [each.name for each in gallery.collections(staff, q).items] == ["titled"]
    assert gallery.persons(staff, q="\u0308 ").items == gallery.persons(staff).items  # nothing is left to look for


def test_verification_is_exact(gallery: Gallery, staff: str) -> None:
    near = template(5, near=1, cosine=0.8)
    enrolled = gallery.put_person(staff, "p", ["staff"], PersonFields(), [face(2), face(near)])
    gallery.put_person(staff, "none", ["staff"], PersonFields())
    nearest, cosine = gallery.verify(staff, "p", template(1).reshape(1, -1), MODEL)
    assert nearest == enrolled.faces[1]
    assert cosine == pytest.approx(0.8, abs=1e-6)
    other, cosine = gallery.verify(staff, "p", template(2).reshape(1, -1), MODEL)
    assert (other, cosine) == (enrolled.faces[0], pytest.approx(1.0, abs=1e-6))
    for person, model in (("none", MODEL), ("p", OTHER_MODEL)):
        with pytest.raises(FaceIdNotFound):
            gallery.verify(staff, person, template(1).reshape(1, -1), model)


def test_threads_enrolling_the_same_person_make_one(gallery: Gallery, staff: str) -> None:
    def enroll(seed: int) -> None:
        gallery.put_person(staff, "p", ["staff"], PersonFields(), [face(seed)], "add")
        gallery.put_person(staff, f"own-{seed}", ["staff", "guests"], PersonFields(), [face(100 + seed)])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(enroll, range(16)))
    assert len(gallery.person(staff, "p").faces) == 16
    assert counts(gallery, staff, "staff") == (17, 32)
    assert counts(gallery, staff, "guests") == (16, 16)
    answer = gallery.search(staff, query(*range(16), *range(100, 116)))
    assert [matches[0].person.id for matches in answer.matches if matches[0].person] == [
        *["p"] * 16,
        *(f"own-{seed}" for seed in range(16)),
    ]
