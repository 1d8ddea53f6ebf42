"""Faces of a collection: slices of listings, and deletion together with the person."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.domain import Deletion, NewCollection, PersonFields
from serve_app.errors import CollectionNotFound, FaceIdNotFound, InvalidRequest, PersonNotFound
from serve_app.gallery import Gallery
from tests.gallery.conftest import new_tenant
from tests.gallery.samples import face, query


@pytest.fixture
def staff(gallery: Gallery, tenant: str) -> str:
    """A collection: Ada with two faces, Bob with one with a liveness of 0.8, Cy with none. Bob is a visitor as well."""
    gallery.create_collection(tenant, NewCollection("staff"))
    gallery.create_collection(tenant, NewCollection("visitors"))
    gallery.put_person(tenant, "ada", ["staff"], PersonFields(name="Ada Lovelace"), [face(1), face(2)])
    gallery.put_person(tenant, "bob", ["staff", "visitors"], PersonFields(name="Bob 100%"), [face(3, liveness=0.8)])
    gallery.put_person(tenant, "cy", ["staff"], PersonFields(name="Cy"))
    return "staff"


def owners(gallery: Gallery, tenant: str, collection: str, **options: Any) -> tuple[list[str], int]:
    found = gallery.faces(tenant, collection, **options)
    for item in found.items:
        assert item.person is not None
        assert item.face.person_id == item.person.id
        assert item.face in item.person.faces
    return [item.person.id for item in found.items if item.person], found.total


def test_faces_are_listed_oldest_first_with_their_person(gallery: Gallery, tenant: str, staff: str) -> None:
    assert owners(gallery, tenant, staff) == (["ada", "ada", "bob"], 3)
    assert owners(gallery, tenant, "visitors") == (["bob"], 1)
    listed = gallery.faces(tenant, staff).items
    assert [item.face.liveness for item in listed] == [None, None, 0.8]
    assert [item.face.id for item in listed[:2]] == [f.id for f in gallery.person(tenant, "ada").faces]


def test_a_listing_by_position(gallery: Gallery, tenant: str, staff: str) -> None:
    everything = [item.face.id for item in gallery.faces(tenant, staff).items]
    pieces = [gallery.faces(tenant, staff, limit=2, offset=offset) for offset in (0, 2, 4)]
    assert [[item.face.id for item in piece.items] for piece in pieces] == [everything[:2], everything[2:], []]
    assert [piece.total for piece in pieces] == [3, 3, 3]


@pytest.mark.parametrize(
    ("q", "expected"), [("LOVE", ["ada", "ada"]), ("bob", ["bob"]), ("100%", ["bob"]), ("%", ["bob"]), ("x", [])]
)
def test_a_listing_by_text(gallery: Gallery, tenant: str, staff: str, q: str, expected: list[str]) -> None:
    assert owners(gallery, tenant, staff, q=q) == (expected, len(expected))


def test_what_cannot_be_listed(gallery: Gallery, tenant: str, staff: str) -> None:
    with pytest.raises(CollectionNotFound):
        gallery.faces(tenant, "nobody")
    with pytest.raises(CollectionNotFound):
        gallery.faces(new_tenant(gallery), staff)
    for options in ({"limit": 0}, {"limit": 1001}, {"offset": -1}, {"offset": 2**70}, {"offset": True}):
        with pytest.raises(InvalidRequest, match="must be a whole number"):
            gallery.faces(tenant, staff, **options)


def test_one_of_several_faces_goes_without_its_person(gallery: Gallery, tenant: str, staff: str) -> None:
    first, second = gallery.person(tenant, "ada").faces
    deletion = gallery.delete_face(tenant, first.id, collection=staff, with_person=True)
    assert deletion == Deletion(faces=1, erased=True)
    assert gallery.person(tenant, "ada").faces == (second,)


def test_the_only_face_takes_its_person_along_when_told_so(gallery: Gallery, tenant: str, staff: str) -> None:
    (only,) = gallery.person(tenant, "bob").faces
    assert gallery.delete_face(tenant, only.id, collection=staff, with_person=True) == Deletion()
    assert gallery.person(tenant, "bob").collections == ("visitors",)
    assert gallery.search(tenant, query(3, collections=(staff,))).matches == ((),)
    assert gallery.search(tenant, query(3, collections=("visitors",))).matches[0][0].face.id == only.id
    with pytest.raises(FaceIdNotFound, match="staff"):
        gallery.delete_face(tenant, only.id, collection=staff, with_person=True)
    deletion = gallery.delete_face(tenant, only.id, with_person=True)
    assert deletion == Deletion(persons=1, faces=1, erased=True)
    with pytest.raises(PersonNotFound):
        gallery.person(tenant, "bob")


def test_the_person_stays_unless_told_otherwise(gallery: Gallery, tenant: str, staff: str) -> None:
    (only,) = gallery.person(tenant, "bob").faces
    assert gallery.delete_face(tenant, only.id, collection="visitors") == Deletion(faces=1, erased=True)
    assert gallery.person(tenant, "bob").faces == ()
    assert gallery.faces(tenant, staff).total == 2


def test_a_face_is_deleted_only_where_it_is(gallery: Gallery, tenant: str, staff: str) -> None:
    first, _ = gallery.person(tenant, "ada").faces
    with pytest.raises(FaceIdNotFound):
        gallery.delete_face(tenant, first.id, collection="visitors")
    with pytest.raises(CollectionNotFound):
        gallery.delete_face(tenant, first.id, collection="nobody")
    with pytest.raises(FaceIdNotFound):
        gallery.delete_face(new_tenant(gallery), first.id)
    assert gallery.faces(tenant, staff).total == 3
