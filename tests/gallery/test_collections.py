"""Collections, on every kind of store."""

from __future__ import annotations

from typing import Any

import pytest

from serve_app.domain import CollectionKind, CollectionPolicy, Deletion, ImageStorage, NewCollection, PersonFields
from serve_app.errors import (
    CollectionExists,
    CollectionNotEmpty,
    CollectionNotFound,
    FaceIdNotFound,
    InvalidRequest,
    PersonNotFound,
)
from serve_app.gallery import Gallery
from serve_app.gallery.sql.schema import collections
from tests.gallery.conftest import new_tenant
from tests.gallery.samples import face, query

RICH = NewCollection(
    name="staff-2.A_b",
    title="Personal der Straße",
    description="'; DROP TABLE persons; --",
    kind=CollectionKind.EXTERNAL,
    tags=("a", "ü"),
    user_data='{"x": 1}',
    policy=CollectionPolicy(liveness=True, liveness_threshold=0.75, min_score=0.8, image_storage=ImageStorage.FULL),
)


def test_what_is_created_is_found_again(gallery: Gallery, tenant: str) -> None:
    created = gallery.create_collection(tenant, RICH)
    assert gallery.collection(tenant, RICH.name) == created
    assert {field: getattr(created, field) for field in RICH.__dataclass_fields__} == {
        field: getattr(RICH, field) for field in RICH.__dataclass_fields__
    }
    assert (created.person_count, created.face_count) == (0, 0)
    assert created.created.utcoffset() is not None


def test_names_are_unique_within_a_tenant_only(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    with pytest.raises(CollectionExists, match="staff"):
        gallery.create_collection(tenant, NewCollection("staff"))
    gallery.create_collection(new_tenant(gallery), NewCollection("staff"))


@pytest.mark.parametrize("name", ["", "a b", "ä", "a" * 65, ".", "..", "../x", 'x"', "a\x00", None, 5])
def test_impossible_names_are_refused(gallery: Gallery, tenant: str, name: Any) -> None:
    with pytest.raises(InvalidRequest, match="1 to 64 characters"):
        gallery.create_collection(tenant, NewCollection(name))
    with pytest.raises(CollectionNotFound):
        gallery.collection(tenant, name)


def test_collections_by_id_come_in_the_order_asked(gallery: Gallery, tenant: str) -> None:
    first, second = (gallery.create_collection(tenant, NewCollection(name)) for name in ("a", "b"))
    assert gallery.collections_by_id(tenant, [second.id, first.id, second.id]) == (second, first, second)
    assert gallery.collections_by_id(tenant, []) == ()
    theirs = gallery.create_collection(new_tenant(gallery), NewCollection("a"))
    for unknown in (theirs.id, "0" * 32, "a", "", "x\x00", "'; --"):
        with pytest.raises(CollectionNotFound, match="with the id"):
            gallery.collections_by_id(tenant, [first.id, unknown])


def test_another_tenants_collection_does_not_exist(gallery: Gallery, tenant: str) -> None:
    other = new_tenant(gallery)
    gallery.create_collection(other, NewCollection("theirs"))
    for call in (
        lambda: gallery.collection(tenant, "theirs"),
        lambda: gallery.update_collection(tenant, "theirs", {"title": "x"}),
        lambda: gallery.delete_collection(tenant, "theirs"),
        lambda: gallery.search(tenant, query(1, collections=("theirs",))),
        lambda: gallery.put_person(tenant, "p", ["theirs"], PersonFields(), [face(1)]),
        lambda: gallery.persons(tenant, "theirs"),
    ):
        with pytest.raises(CollectionNotFound):
            call()
    assert gallery.collections(tenant).items == ()


def test_update_sets_what_is_given_and_nothing_else(gallery: Gallery, tenant: str) -> None:
    before = gallery.create_collection(tenant, RICH)
    after = gallery.update_collection(tenant, RICH.name, {"name": "new", "tags": ["z"], "policy": CollectionPolicy()})
    assert (after.name, after.tags, after.policy) == ("new", ("z",), CollectionPolicy())
    assert (after.id, after.title, after.kind, after.created) == (
        before.id,
        before.title,
        before.kind,
        before.created,
    )
    assert after.modified > before.modified
    with pytest.raises(CollectionNotFound):
        gallery.collection(tenant, RICH.name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"id": "x"}, "A collection has the fields name, title"),
        ({"name": "a b"}, "1 to 64 characters"),
        ({"name": "."}, "not . or .."),
        ({"name": ".."}, "not . or .."),
        ({"title": 3}, "title must be a text, got int"),
        ({"title": "x" * 257}, "title may have 256 characters, got 257"),
        ({"title": "a\x00"}, "NUL"),
        ({"title": "\ud800"}, "surrogate"),
        ({"tags": "abc"}, "tags must be a list of texts, got str"),
        ({"kind": "OTHER"}, "kind must be one of INTERNAL, EXTERNAL"),
        ({"policy": {}}, "policy must be"),
        ({"policy": CollectionPolicy(min_score=1.5)}, "policy.min_score must be a number from 0 to 1, got 1.5"),
        ({"policy": CollectionPolicy(liveness_threshold=float("nan"))}, "liveness_threshold must be a number"),
    ],
)
def test_impossible_updates_change_nothing(
    gallery: Gallery, tenant: str, changes: dict[str, Any], message: str
) -> None:
    before = gallery.create_collection(tenant, RICH)
    with pytest.raises(InvalidRequest, match=message):
        gallery.update_collection(tenant, RICH.name, changes)
    assert gallery.collection(tenant, RICH.name) == before


def test_renaming_to_a_taken_name_is_refused(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("a"))
    gallery.create_collection(tenant, NewCollection("b"))
    with pytest.raises(CollectionExists):
        gallery.update_collection(tenant, "a", {"name": "b"})
    assert gallery.update_collection(tenant, "a", {"name": "a"}).name == "a"


def test_a_stored_name_that_is_refused_today_stays_until_it_is_changed(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("dot"))
    with gallery._database.write() as connection:
        connection.execute(collections.update().where(collections.c.name == "dot").values(name="."))
    assert gallery.update_collection(tenant, ".", {"title": "x"}).title == "x"
    with pytest.raises(InvalidRequest, match="name"):
        gallery.update_collection(tenant, ".", {"name": ".."})
    assert gallery.update_collection(tenant, ".", {"name": "dot"}).title == "x"


def test_pages_follow_one_another_by_name(gallery: Gallery, tenant: str) -> None:
    names = ["B", "Z", "_x", "a", "a.b", "a_b", "b"]  # by code point
    for name in reversed(names):
        gallery.create_collection(tenant, NewCollection(name))
    seen: list[str] = []
    cursor = None
    while True:
        page = gallery.collections(tenant, limit=3, cursor=cursor)
        seen += [collection.name for collection in page.items]
        cursor = page.cursor
        if cursor is None:
            break
    assert seen == names


@pytest.mark.parametrize(("q", "found"), [("STRASSE", {"b"}), ("straße", {"b"}), ("100%", {"c"}), ("A", {"a", "b"})])
def test_listings_search_names_and_titles_in_any_case(gallery: Gallery, tenant: str, q: str, found: set[str]) -> None:
    gallery.create_collection(tenant, NewCollection("a"))
    gallery.create_collection(tenant, NewCollection("b", title="Straße"))
    gallery.create_collection(tenant, NewCollection("c", title="100% 1_1"))
    gallery.create_collection(tenant, NewCollection("d", title="1000 121"))
    assert {collection.name for collection in gallery.collections(tenant, q).items} == found


@pytest.mark.parametrize("cursor", ["x", "!", "e30", "WzIsICJhIl0", "WzEsIDVd", "ü"])
def test_a_cursor_of_ones_own_making_is_refused(gallery: Gallery, tenant: str, cursor: str) -> None:
    with pytest.raises(InvalidRequest, match="cursor"):
        gallery.collections(tenant, cursor=cursor)


@pytest.mark.parametrize("limit", [0, -1, 1001, True, "5"])
def test_impossible_limits_are_refused(gallery: Gallery, tenant: str, limit: Any) -> None:
    with pytest.raises(InvalidRequest, match="limit must be a whole number from 1 to 1000"):
        gallery.collections(tenant, limit=limit)


def test_deletion_erases_persons_who_are_nowhere_else(gallery: Gallery, tenant: str) -> None:
    for name in ("staff", "guests"):
        gallery.create_collection(tenant, NewCollection(name))
    only = gallery.put_person(tenant, "only", ["staff"], PersonFields(), [face(1), face(2)])
    gallery.put_person(tenant, "both", ["staff", "guests"], PersonFields(), [face(3)])
    with pytest.raises(CollectionNotEmpty, match="2 persons"):
        gallery.delete_collection(tenant, "staff", only_if_empty=True)

    assert gallery.delete_collection(tenant, "staff") == Deletion(persons=1, faces=2, erased=True)
    with pytest.raises(CollectionNotFound):
        gallery.collection(tenant, "staff")
    with pytest.raises(PersonNotFound):
        gallery.person(tenant, "only")
    with pytest.raises(FaceIdNotFound):
        gallery.face_image(tenant, only.faces[0].id, "thumbnail")
    assert gallery.person(tenant, "both").collections == ("guests",)
    answer = gallery.search(tenant, query(1, 3, collections=("guests",)))
    assert [[match.person.id for match in matches if match.person] for matches in answer.matches] == [[], ["both"]]


def test_an_empty_collection_may_go(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    assert gallery.delete_collection(tenant, "staff", only_if_empty=True) == Deletion(erased=True)
