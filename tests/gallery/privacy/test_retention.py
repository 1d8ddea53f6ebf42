"""Retention periods and consents: persons who are due are erased, and no others."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serve_app.domain import DEFAULT_TENANT, CollectionPolicy, Consent, NewCollection, PersonFields
from serve_app.errors import FaceIdNotFound, InvalidRequest, PersonNotFound
from serve_app.gallery import Gallery
from tests.gallery.samples import face, query
from tests.gallery.stores import check_consistent, in_memory

NOW = dt.datetime.now(dt.UTC)


def later(**time: float) -> dt.datetime:
    return dt.datetime.now(dt.UTC) + dt.timedelta(**time)


def test_who_is_kept_too_long_goes(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("visitors", policy=CollectionPolicy(retention_days=30)))
    gallery.create_collection(tenant, NewCollection("staff"))
    gallery.put_person(tenant, "ada", ["visitors"], PersonFields(), [face(1)])
    gallery.put_person(tenant, "ben", ["visitors", "staff"], PersonFields(), [face(2)])
    (unassigned,) = gallery.add_faces(tenant, [face(3)])
    gallery.attach_faces(tenant, "visitors", [unassigned.id])
    assert gallery.collection(tenant, "visitors").policy.retention_days == 30
    assert gallery.expire_persons(later(days=29)) == 0
    assert gallery.expire_persons(later(days=31)) == 3
    with pytest.raises(PersonNotFound):
        gallery.person(tenant, "ada")
    with pytest.raises(FaceIdNotFound):
        gallery.face(tenant, unassigned.id)
    assert gallery.person(tenant, "ben").collections == ("staff",)
    assert gallery.search(tenant, query(1, 2, 3, collections=("visitors",))).matches == ((), (), ())
    assert gallery.expire_persons(later(days=31)) == 0
    assert [e.action for e in gallery.audit(tenant, limit=4).items][1:] == ["delete_face", "retention", "retention"]
    check_consistent(gallery)


def test_each_collection_has_its_own_period(gallery: Gallery, tenant: str) -> None:
    for name, days in (("visitors", 30), ("guests", 60), ("press", 90)):
        gallery.create_collection(tenant, NewCollection(name, policy=CollectionPolicy(retention_days=days)))
        gallery.put_person(tenant, name, [name], PersonFields(), [face(days)])
    left = {"visitors", "guests", "press"}
    for days, name in ((31, "visitors"), (61, "guests"), (91, "press")):
        assert gallery.expire_persons(later(days=days)) == 1
        left.remove(name)
        assert {person.id for person in gallery.persons(tenant).items} == left
    for name, days in (("visitors", 30), ("guests", 60), ("press", 90)):
        gallery.put_person(tenant, name, [name], PersonFields(), [face(days)])
    assert gallery.expire_persons(later(days=91)) == 3, "all of them in one run"
    check_consistent(gallery)


@pytest.fixture
def own_gallery(tmp_path: Path) -> Iterator[Gallery]:
    """A gallery that no other test has persons in."""
    with in_memory(tmp_path) as opened:
        yield opened


def change_before_the_erasure(gallery: Gallery, monkeypatch: pytest.MonkeyPatch, fields: PersonFields) -> None:
    """Another caller changes ada after retention has found her due."""
    run = gallery._eraser.run

    def run_late(*arguments: Any) -> Any:
        monkeypatch.undo()
        gallery.put_person(DEFAULT_TENANT, "ada", ["visitors"], fields)
        return run(*arguments)

    monkeypatch.setattr(gallery._eraser, "run", run_late)


def test_who_changes_before_the_erasure_stays(own_gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    own_gallery.create_collection(DEFAULT_TENANT, NewCollection("visitors", policy=CollectionPolicy(retention_days=1)))
    own_gallery.put_person(DEFAULT_TENANT, "ada", ["visitors"], PersonFields(), [face(1)])
    due = own_gallery.person(DEFAULT_TENANT, "ada").modified + dt.timedelta(days=1)
    change_before_the_erasure(own_gallery, monkeypatch, PersonFields(name="Ada"))
    own_gallery.expire_persons(due)
    assert own_gallery.person(DEFAULT_TENANT, "ada").name == "Ada"
    assert own_gallery.expire_persons(later(days=1)) == 1


def test_who_consents_again_before_the_erasure_stays(own_gallery: Gallery, monkeypatch: pytest.MonkeyPatch) -> None:
    own_gallery.create_collection(DEFAULT_TENANT, NewCollection("visitors"))
    ending = Consent("explicit consent", expires=later(days=1))
    own_gallery.put_person(DEFAULT_TENANT, "ada", ["visitors"], PersonFields(consent=ending), [face(1)])
    renewed = Consent("explicit consent", expires=later(days=9))
    change_before_the_erasure(own_gallery, monkeypatch, PersonFields(consent=renewed))
    own_gallery.expire_persons(later(days=2))
    assert own_gallery.person(DEFAULT_TENANT, "ada").consent == renewed


def test_a_change_begins_the_period_anew(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("visitors", policy=CollectionPolicy(retention_days=30)))
    gallery.put_person(tenant, "ada", ["visitors"], PersonFields(), [face(1)])
    due = gallery.person(tenant, "ada").modified + dt.timedelta(days=30)
    gallery.put_person(tenant, "ada", ["visitors"], PersonFields(name="Ada"))
    assert gallery.expire_persons(due) == 0
    gallery.update_collection(tenant, "visitors", {"policy": CollectionPolicy()})
    assert gallery.expire_persons(later(days=99)) == 0


def test_a_consent_is_kept_and_ends(gallery: Gallery, tenant: str) -> None:
    gallery.create_collection(tenant, NewCollection("staff"))
    consent = Consent("explicit consent", "form 17", NOW, later(days=10))
    gallery.put_person(tenant, "ada", ["staff"], PersonFields(consent=consent), [face(1)])
    gallery.put_person(tenant, "ben", ["staff"], PersonFields(consent=consent), [face(2)])
    gallery.put_person(tenant, "eve", ["staff"], PersonFields(consent=consent), [face(3)])
    assert gallery.person(tenant, "ada").consent == consent
    gallery.put_person(tenant, "ada", ["staff"], PersonFields(name="Ada"))
    assert gallery.person(tenant, "ada").consent == consent
    gallery.put_person(tenant, "ben", ["staff"], PersonFields(consent=Consent("contract")))
    gallery.put_person(tenant, "eve", ["staff"], PersonFields(consent=Consent("")))
    assert gallery.person(tenant, "eve").consent is None
    assert gallery.expire_persons(later(days=9)) == 0
    assert gallery.expire_persons(later(days=11)) == 1
    with pytest.raises(PersonNotFound):
        gallery.person(tenant, "ada")
    assert gallery.person(tenant, "ben").consent == Consent("contract")


def test_all_whose_consent_has_ended_go_in_one_run(own_gallery: Gallery) -> None:
    own_gallery.create_collection(DEFAULT_TENANT, NewCollection("staff"))
    for seed, name in enumerate(("ada", "ben", "eve", "zoe")):
        consent = Consent("consent", expires=later(days=seed + 1))
        own_gallery.put_person(DEFAULT_TENANT, name, ["staff"], PersonFields(consent=consent), [face(seed)])
    assert own_gallery.expire_persons(later(days=3)) == 3
    assert [person.id for person in own_gallery.persons(DEFAULT_TENANT).items] == ["zoe"]
    check_consistent(own_gallery)


def test_impossible_values_are_refused(gallery: Gallery, tenant: str) -> None:
    with pytest.raises(InvalidRequest, match="retention_days"):
        gallery.create_collection(tenant, NewCollection("staff", policy=CollectionPolicy(retention_days=0)))
    gallery.create_collection(tenant, NewCollection("staff"))
    naive = Consent("consent", expires=dt.datetime(2030, 1, 1))  # noqa: DTZ001
    with pytest.raises(InvalidRequest, match="time zone"):
        gallery.put_person(tenant, "ada", ["staff"], PersonFields(consent=naive))
