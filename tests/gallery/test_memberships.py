"""Persons in no collection, searches without collections, links, slices of listings, changes and merges of persons."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from serve_app.domain import CollectionPolicy, Consent, NewCollection, PersonFields, PersonOrder, PersonUpdate
from serve_app.errors import (
    CollectionNotFound,
    FaceCountRefused,
    FacegraphError,
    FaceIdNotFound,
    FaceNotLive,
    InvalidRequest,
    LivenessRequired,
    PersonExists,
    PersonNotFound,
)
from serve_app.gallery import Gallery
from tests.gallery.samples import face, query
from tests.gallery.stores import check_consistent, in_memory

FIELDS = PersonFields()


def put(gallery: Gallery, tenant: str, person_id: str, *names: str, seeds: tuple[int, ...] = (1,)) -> None:
    gallery.put_person(tenant, person_id, names, FIELDS, [face(seed) for seed in seeds])


def found(gallery: Gallery, tenant: str, seed: int, *names: str) -> list[tuple[str, str]]:
    """(person, collection) of the matches of a search in these collections; without names, in all of them."""
    answer = gallery.search(tenant, query(seed, collections=names or None))  # type: ignore[arg-type]
    return [(match.person.id, match.collection) for match in answer.matches[0] if match.person]


def test_a_person_may_be_in_no_collection_and_a_search_of_everybody_finds_them(gallery: Gallery, tenant: str) -> None:
    assert found(gallery, tenant, 1) == []
    put(gallery, tenant, "ada", seeds=(1,))
    gallery.create_collection(tenant, NewCollection("staff"))
    put(gallery, tenant, "bob", "staff", seeds=(2,))
    assert gallery.person(tenant, "ada").collections == ()
    assert (found(gallery, tenant, 1), found(gallery, tenant, 2)) == ([("ada", "")], [("bob", "staff")])
    assert (found(gallery, tenant, 1, "staff"), found(gallery, tenant, 2, "staff")) == ([], [("bob", "staff")])
    with pytest.raises(PersonExists):
        gallery.put_person(tenant, "ada", (), FIELDS, must_be_new=True)
    with pytest.raises(InvalidRequest, match="at least one collection"):
        gallery.search(tenant, query(1, collections=()))

    put(gallery, tenant, "ada", "staff", seeds=(1, 3))  # joins a collection, so leaves the pool
    assert gallery.person(tenant, "ada").collections == ("staff",)
    assert found(gallery, tenant, 3) == [("ada", "staff")]
    assert gallery.delete_person(tenant, "ada", "staff").erased
    check_consistent(gallery)


def test_the_pool_cannot_be_seen_or_named(gallery: Gallery, tenant: str) -> None:
    before = gallery.ready()["collections"]
    put(gallery, tenant, "ada")
    assert gallery.ready()["collections"] == before
    assert gallery.collections(tenant).items == gallery.collections_slice(tenant).items == ()
    assert gallery.collections_named(tenant, ["*"]) == ()
    with pytest.raises(CollectionNotFound):
        gallery.collection(tenant, "*")
    with pytest.raises(CollectionNotFound):
        gallery.delete_collection(tenant, "*")
    with pytest.raises(InvalidRequest):
        gallery.create_collection(tenant, NewCollection("*"))


def test_links(gallery: Gallery, tenant: str) -> None:
    for name in ("staff", "guests"):
        gallery.create_collection(tenant, NewCollection(name))
    put(gallery, tenant, "ada", seeds=(1, 2))
    put(gallery, tenant, "bob", "guests", seeds=(3,))
    linked = gallery.link_persons(tenant, "staff", add=["ada", "bob", "ada"])
    assert (linked.name, linked.person_count, linked.face_count) == ("staff", 2, 3)
    assert gallery.person(tenant, "bob").collections == ("guests", "staff")
    gallery.link_persons(tenant, "staff", add=["ada"])  # is a member already
    linked = gallery.link_persons(tenant, "staff", add=["bob"], remove=["ada"])
    assert (linked.person_count, linked.face_count) == (1, 1)
    assert gallery.person(tenant, "ada").collections == ()
    assert found(gallery, tenant, 2) == [("ada", "")]

    for add, remove, error in (
        (["nobody"], [], PersonNotFound),
        (["ada", "no\x00body"], [], PersonNotFound),
        (["ada"], ["ada"], InvalidRequest),
        ([], ["ada"], PersonNotFound),
        (["x"] * 1001, [], InvalidRequest),
    ):
        with pytest.raises(error):
            gallery.link_persons(tenant, "staff", add, remove)
    with pytest.raises(CollectionNotFound):
        gallery.link_persons(tenant, "nowhere", ["ada"])
    assert gallery.person(tenant, "ada").collections == ()
    check_consistent(gallery)


def test_liveness_policies_hold_for_links_and_updates(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("gate", policy=CollectionPolicy(liveness=True)))
    put(gallery, tenant, "ada")
    with pytest.raises(LivenessRequired):
        gallery.link_persons(tenant, "gate", ["ada"])
    with pytest.raises(LivenessRequired):
        gallery.update_person(tenant, "ada", PersonUpdate(collections=("gate",)))
    dull = PersonUpdate(collections=("gate",), replace_faces=True, new_faces=(face(2, liveness=0.2),))
    with pytest.raises(FaceNotLive):
        gallery.update_person(tenant, "ada", dull)
    with pytest.raises(LivenessRequired):
        gallery.search(tenant, query(1, collections=None))  # type: ignore[arg-type]
    live = PersonUpdate(collections=("gate",), replace_faces=True, new_faces=(face(2, liveness=0.9),))
    assert gallery.update_person(tenant, "ada", live).person.collections == ("gate",)


def test_a_collection_may_be_deleted_without_its_persons(gallery: Gallery, tenant: str) -> None:
    for name in ("staff", "guests"):
        gallery.create_collection(tenant, NewCollection(name))
    put(gallery, tenant, "ada", "staff", seeds=(1, 2))
    put(gallery, tenant, "bob", "staff", "guests", seeds=(3,))
    gone = gallery.delete_collection(tenant, "staff", keep_persons=True)
    assert (gone.persons, gone.faces) == (0, 0)
    assert (found(gallery, tenant, 2), found(gallery, tenant, 3)) == ([("ada", "")], [("bob", "guests")])
    check_consistent(gallery)


def test_a_person_changes_all_at_once_or_not_at_all(gallery: Gallery, tenant: str) -> None:
    for name in ("staff", "guests"):
        gallery.create_collection(tenant, NewCollection(name))
    born = PersonFields(name="Ada", date_of_birth=dt.date(1815, 12, 10), notes="first")
    gallery.put_person(tenant, "ada", ("staff",), born, [face(1), face(2)])
    first, second = gallery.person(tenant, "ada").faces

    def update(**changes: object) -> PersonUpdate:
        return PersonUpdate(**{"min_faces": 1, "max_faces": 3, **changes})  # type: ignore[arg-type]

    refused: list[tuple[PersonUpdate, type[FacegraphError]]] = [
        (update(removed_faces=(first.id, second.id), fields=PersonFields(name="Eve")), FaceCountRefused),
        (update(new_faces=(face(3), face(4)), collections=("guests",)), FaceCountRefused),
        (update(removed_faces=("f" * 32,)), FaceIdNotFound),
        (update(collections=("nowhere",)), CollectionNotFound),
        (update(fields=PersonFields(name="x" * 201)), InvalidRequest),
    ]
    before = gallery.person(tenant, "ada")
    for bad, error in refused:
        with pytest.raises(error):
            gallery.update_person(tenant, "ada", bad)
    assert gallery.person(tenant, "ada") == before
    with pytest.raises(PersonNotFound):
        gallery.update_person(tenant, "nobody", update())

    done = gallery.update_person(
        tenant,
        "ada",
        update(
            fields=PersonFields(notes="", date_of_birth=""),
            removed_faces=(first.id,),
            new_faces=(face(3), face(4)),
            collections=("guests",),
        ),
    )
    person = done.person
    assert (person.name, person.date_of_birth, person.notes) == ("Ada", None, "")
    assert [item.id for item in person.faces] == [second.id, *(item.id for item in done.faces)]
    assert (person.collections, found(gallery, tenant, 1), found(gallery, tenant, 4)) == (
        ("guests",),
        [],
        [("ada", "guests")],
    )
    alone = gallery.update_person(tenant, "ada", update(collections=(), replace_faces=True, new_faces=(face(5),)))
    assert (alone.person.collections, len(alone.person.faces)) == ((), 1)
    assert (found(gallery, tenant, 5), found(gallery, tenant, 2)) == ([("ada", "")], [])
    check_consistent(gallery)


def test_several_persons_are_erased_or_none(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    put(gallery, tenant, "ada", seeds=(1, 2))
    put(gallery, tenant, "bob", "staff", seeds=(3,))
    with pytest.raises(PersonNotFound):
        gallery.delete_persons(tenant, ["ada", "nobody"])
    assert found(gallery, tenant, 1) == [("ada", "")]
    gone = gallery.delete_persons(tenant, ["ada", "bob", "ada"])
    assert (gone.persons, gone.faces, gone.erased) == (2, 3, True)
    assert gallery.persons(tenant).items == ()
    check_consistent(gallery)


def test_listings_by_position(gallery: Gallery, tenant: str) -> None:
    for name in ("b", "a", "c"):
        gallery.create_collection(tenant, NewCollection(name, title=f"Group {name.upper()}"))
    people = {
        "1": PersonFields(name="Zoe", gender="F", date_of_birth=dt.date(1990, 1, 1), nationality="NL"),
        "2": PersonFields(name="adam", gender="M", date_of_birth=dt.date(1980, 1, 1)),
        "3": PersonFields(name="", nationality="AT"),
        "4": PersonFields(name="Adam", gender="M", date_of_birth=dt.date(2000, 1, 1)),
    }
    for person_id, fields in people.items():
        gallery.put_person(tenant, person_id, ("a",) if person_id != "4" else (), fields)
    gallery.link_persons(tenant, "c", ["1"])

    def listed(*arguments: object, **options: object) -> list[str]:
        return [person.id for person in gallery.persons_slice(tenant, *arguments, **options).items]  # type: ignore[arg-type]

    assert listed() == ["4", "1", "2", "3"]
    assert listed(descending=True) == ["2", "1", "4", "3"]
    assert listed(order=PersonOrder.DATE_OF_BIRTH) == ["2", "1", "4", "3"]
    assert listed(order=PersonOrder.DATE_OF_BIRTH, descending=True) == ["4", "1", "2", "3"]
    assert listed(order=PersonOrder.GENDER) == ["1", "2", "4", "3"]
    assert listed(order=PersonOrder.NATIONALITY) == ["3", "1", "2", "4"]
    assert listed(order=PersonOrder.CREATED) == ["1", "2", "3", "4"]
    assert listed(order=PersonOrder.MODIFIED, descending=True) == ["4", "3", "2", "1"]
    assert listed("a") == ["1", "2", "3"]
    assert listed(q="ADA") == ["4", "2"]
    page = gallery.persons_slice(tenant, limit=2, offset=1)
    assert ([person.id for person in page.items], page.total) == (["1", "2"], 4)
    assert gallery.persons_slice(tenant, limit=0).total == 4

    def names(*arguments: object, **options: object) -> list[str]:
        return [item.name for item in gallery.collections_slice(tenant, *arguments, **options).items]  # type: ignore[arg-type]

    assert (names(), names(descending=True), names(q="group b")) == (["a", "b", "c"], ["c", "b", "a"], ["b"])
    assert (names(person_id="1"), names(person_id="4")) == (["a", "c"], [])
    assert gallery.collections_slice(tenant, limit=1, offset=1).total == 3
    assert {item.name for item in gallery.collections_named(tenant, ["a", "c", "nowhere"])} == {"a", "c"}
    with pytest.raises(PersonNotFound):
        gallery.collections_slice(tenant, person_id="nobody")
    for bad in ({"limit": -1}, {"limit": 1001}, {"offset": -1}):
        with pytest.raises(InvalidRequest):
            gallery.persons_slice(tenant, **bad)


def test_the_pool_survives_a_reindex(tmp_path: Path) -> None:
    tenant = "0" * 32
    with in_memory(tmp_path) as gallery:
        put(gallery, tenant, "ada")
        gallery.reindex()
        assert found(gallery, tenant, 1) == [("ada", "")]
        check_consistent(gallery)


@pytest.mark.parametrize(("mine", "after"), [(None, "theirs"), ("mine", "mine")])
def test_a_merge_keeps_a_consent(gallery: Gallery, tenant: str, mine: str | None, after: str) -> None:
    expires = dt.datetime(2099, 1, 1, tzinfo=dt.UTC)
    gallery.put_person(tenant, "ada", [], PersonFields(consent=Consent(mine) if mine else None), [face(1)])
    gallery.put_person(tenant, "king", [], PersonFields(consent=Consent("theirs", expires=expires)), [face(2)])
    consent = gallery.merge_persons(tenant, "ada", "king").consent
    assert consent is not None
    assert (consent.basis, consent.expires) == (after, None if mine else expires)
    assert consent == gallery.person(tenant, "ada").consent


def test_two_records_of_one_person_become_one(gallery: Gallery, tenant: str) -> None:
    for name in ("staff", "visitors"):
        gallery.create_collection(tenant, NewCollection(name))
    mine = PersonFields(name="Ada Lovelace", metadata={"badge": "1"}, watch_list=("a",))
    theirs = PersonFields(name="A. King", notes="seen twice", metadata={"badge": "2", "desk": "3"}, watch_list=("b",))
    gallery.put_person(tenant, "ada", ["staff"], mine, [face(1)])
    gallery.put_person(tenant, "king", ["staff", "visitors"], theirs, [face(2), face(3)])
    merged = gallery.merge_persons(tenant, "ada", "king", "staff")
    assert (merged.id, merged.name, merged.notes) == ("ada", "Ada Lovelace", "seen twice")
    assert (merged.metadata, merged.watch_list) == ({"badge": "1", "desk": "3"}, ("a", "b"))
    assert (merged.collections, len(merged.faces)) == (("staff", "visitors"), 3)
    for seed in (1, 2, 3):
        assert found(gallery, tenant, seed, "visitors") == [("ada", "visitors")]
        assert found(gallery, tenant, seed, "staff") == [("ada", "staff")]
    with pytest.raises(PersonNotFound):
        gallery.person(tenant, "king")
    counts = {name: gallery.collection(tenant, name) for name in ("staff", "visitors")}
    assert {name: (c.person_count, c.face_count) for name, c in counts.items()} == {
        "staff": (1, 3),
        "visitors": (1, 3),
    }
    check_consistent(gallery)


def test_merging_takes_persons_out_of_the_pool(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    put(gallery, tenant, "ada", seeds=(1,))
    put(gallery, tenant, "king", "staff", seeds=(2,))
    assert gallery.merge_persons(tenant, "ada", "king").collections == ("staff",)
    assert found(gallery, tenant, 1, "staff") == [("ada", "staff")]
    put(gallery, tenant, "lovelace", seeds=(3,))
    assert gallery.merge_persons(tenant, "ada", "lovelace").collections == ("staff",)
    assert found(gallery, tenant, 3) == [("ada", "staff")]
    check_consistent(gallery)


def test_a_refused_merge_changes_nothing(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    gallery.create_collection(tenant, NewCollection("gate", policy=CollectionPolicy(liveness=True)))
    put(gallery, tenant, "ada", "staff", seeds=(1,))
    gallery.put_person(tenant, "king", ["gate"], FIELDS, [face(2, liveness=0.99)])
    with pytest.raises(LivenessRequired):
        gallery.merge_persons(tenant, "king", "ada")
    with pytest.raises(PersonNotFound, match="in the collection staff"):
        gallery.merge_persons(tenant, "ada", "king", "staff")
    with pytest.raises(PersonNotFound):
        gallery.merge_persons(tenant, "ada", "nobody")
    with pytest.raises(InvalidRequest, match="Another person"):
        gallery.merge_persons(tenant, "ada", "ada")
    assert found(gallery, tenant, 1, "staff") == [("ada", "staff")]
    assert len(gallery.person(tenant, "king").faces) == 1
    check_consistent(gallery)
