"""The PyPI client ``opencv-face-recognition``, as published, against a running instance, on real photographs."""

from __future__ import annotations

import datetime as dt
import importlib
import io
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from tests import photos
from tests.graph.inprocess import InProcessService
from tests.graph.service import RunningService, key_of_tenant

pytestmark = pytest.mark.graph

MODULES = ("collections", "persons", "search", "compare", "liveness")


def load() -> SimpleNamespace:
    """The client's classes; its modules make syntax and deprecation warnings of their own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        names = dict(vars(importlib.import_module("opencv.fr")))
        for module in (*(f"{name}.schemas" for name in MODULES), "api_error", "schemas"):
            names.update(vars(importlib.import_module(f"opencv.fr.{module}")))
    return SimpleNamespace(**names)


def image(photo: bytes) -> Any:
    """As the client takes it."""
    return Image.open(io.BytesIO(photo)).convert("RGB")


COLLINS, HOPPER = image(photos.astronaut()), image(photos.grace_hopper())
COLLINS_AGAIN = image(photos.variant(photos.astronaut()))
BOTH = image(photos.group([photos.astronaut(), photos.grace_hopper()]))
TWINS = image(photos.group([photos.grace_hopper(), photos.grace_hopper()]))
NOBODY = image(photos.no_face())


@pytest.fixture(scope="module")
def fr() -> SimpleNamespace:
    return load()


@pytest.fixture(scope="module")
def address(running: RunningService | InProcessService) -> tuple[str, str]:
    """Base URL and the key of a tenant of its own, since the client lists all that there is."""
    return f"{running.url}/opencv-fr", key_of_tenant(running.data_dir, "opencv-cloud")


@pytest.fixture
def sdk(fr: SimpleNamespace, address: tuple[str, str]) -> Iterator[Any]:
    """The client, over a service in which it finds nobody, and leaves nobody."""
    client = fr.FR(*address)
    yield client
    while ids := [person.id for person in client.persons.list(take=100).persons]:
        client.persons.update_persons(fr.UpdatePersonsRequest(fr.Action.DELETE, ids))
    for collection in client.collections.list(take=100).collections:
        client.collections.delete(collection.id)


def failure(fr: SimpleNamespace, call: Any) -> tuple[int, str]:
    """Status and code of the client's error."""
    with pytest.raises(fr.APIError) as raised:
        call()
    assert raised.value.messsage
    return raised.value.http_status_code, raised.value.err_code


def test_collections(fr: SimpleNamespace, sdk: Any) -> None:
    made = sdk.collections.create(fr.CollectionBase("Visitors of 2026", "Ground floor"))
    assert (made.name, made.description, made.count) == ("Visitors of 2026", "Ground floor", 0)
    assert sdk.collections.get(made.id).name == made.name
    made.name, made.description = "Visitors", "First floor"
    changed = sdk.collections.update(made)
    assert (changed.name, changed.description) == ("Visitors", "First floor")
    assert changed.modified_date > made.create_date
    sdk.collections.create(fr.CollectionBase("Besucher"))
    assert [item.name for item in sdk.collections.list().collections] == ["Besucher", "Visitors"]
    found = sdk.collections.list(take=1, order=fr.SortOrder.DESC)
    assert (found.count, [item.name for item in found.collections]) == (2, ["Visitors"])
    assert [item.name for item in sdk.collections.list(search="visit").collections] == ["Visitors"]
    assert failure(fr, lambda: sdk.collections.create(fr.CollectionBase("Visitors"))) == (409, "ERR_DUPLICATE_ENTITY")
    sdk.collections.delete(made.id)
    assert failure(fr, lambda: sdk.collections.get(made.id)) == (404, "ERR_ENTITY_NOT_FOUND")


def test_persons(fr: SimpleNamespace, sdk: Any, tmp_path: Path) -> None:
    place = sdk.collections.create(fr.CollectionBase("Crew"))
    path = tmp_path / "collins.jpg"
    path.write_bytes(photos.astronaut())
    born = dt.datetime(1956, 11, 19)  # noqa: DTZ001 - the client's own form
    new = fr.PersonBase(
        [path, COLLINS_AGAIN],
        id="collins",
        name="Eileen Collins",
        gender=fr.PersonGender.F,
        date_of_birth=born,
        nationality="US",
        collections=[place],
        notes="STS-93",
    )
    made = sdk.persons.create(new)
    assert (made.id, made.name, made.gender) == ("collins", "Eileen Collins", fr.PersonGender.F)
    assert (made.date_of_birth, made.nationality, made.notes) == (born, "US", "STS-93")
    assert [item.id for item in made.collections] == [place.id]
    assert made.get_image(1).size == (112, 112)

    person = sdk.persons.get("collins")
    person.notes, person.date_of_birth, person.name = None, None, "Collins"
    person.images = [COLLINS]
    person.collections = []
    changed = sdk.persons.update(person)
    assert (changed.name, changed.notes, changed.date_of_birth) == ("Collins", None, None)
    assert (changed.nationality, changed.collections) == ("US", [])
    with pytest.raises(IndexError):
        changed.get_image(1)

    hopper = sdk.persons.create(fr.PersonBase([HOPPER], name="Grace Hopper", is_bulk_insert=True))
    assert len(hopper.id) == 36
    links = fr.UpdateCollectionRequest(place.id, [hopper.id], [])
    assert sdk.collections.update_collection_persons(links).new_person_ids == [hopper.id]
    assert sdk.collections.get(place.id).count == 1
    assert [item.name for item in sdk.persons.list().persons] == ["Collins", "Grace Hopper"]
    for order_by in fr.PersonOrderBy:
        assert sdk.persons.list(order_by=order_by, order=fr.SortOrder.DESC, search="hopper").count == 1
    sdk.persons.delete("collins")
    assert failure(fr, lambda: sdk.persons.get("collins")) == (404, "ERR_ENTITY_NOT_FOUND")
    erased = sdk.persons.update_persons(fr.UpdatePersonsRequest(fr.Action.DELETE, [hopper.id]))
    assert (erased.person_ids, sdk.persons.list().count) == ([hopper.id], 0)


def test_searching(fr: SimpleNamespace, sdk: Any) -> None:
    place = sdk.collections.create(fr.CollectionBase("Crew"))
    sdk.persons.create(fr.PersonBase([COLLINS], id="collins", collections=[place]))
    sdk.persons.create(fr.PersonBase([HOPPER], id="hopper"))

    def found(*images: Any, **options: Any) -> list[str]:
        results = sdk.search.search(fr.SearchRequest(list(images), **options))
        assert all(0.7 <= result.score <= 1 for result in results)
        return [result.person.id for result in results]

    assert found(COLLINS_AGAIN) == ["collins"]
    assert found(HOPPER) == ["hopper"]
    assert found(HOPPER, collection_id=place.id) == []
    assert found(COLLINS_AGAIN, COLLINS, collection_id=place.id, search_mode=fr.SearchMode.ACCURATE) == ["collins"]
    assert failure(fr, lambda: found(NOBODY)) == (400, "ERR_NO_FACES_FOUND")
    assert failure(fr, lambda: found(TWINS)) == (400, "ERR_MULTIPLE_FACES")

    faces = sdk.search.detect(fr.DetectionRequest(BOTH, fr.SearchOptions()))
    assert sorted(face.persons[0].person.id for face in faces) == ["collins", "hopper"]
    assert all(face.box.left < face.landmarks.nose.x < face.box.right for face in faces)
    assert [face.persons for face in sdk.search.detect(fr.DetectionRequest(BOTH))] == [[], []]
    for face in faces:
        (crop,) = sdk.search.search_crops(fr.SearchRequest([face.thumbnail]))
        assert crop.person.id == face.persons[0].person.id
    wrong = fr.SearchRequest([COLLINS])
    assert failure(fr, lambda: sdk.search.search_crops(wrong)) == (400, "ERR_NOT_STANDARD_CROP")

    verified = sdk.search.verify(fr.VerificationRequest("collins", [COLLINS_AGAIN]))
    assert verified.person.id == "collins"
    assert verified.score >= 0.7
    assert sdk.search.verify(fr.VerificationRequest("collins", [HOPPER])).person is None


def test_comparing(fr: SimpleNamespace, sdk: Any) -> None:
    same = fr.CompareRequest([COLLINS, HOPPER], [COLLINS_AGAIN], fr.SearchMode.FAST)
    assert sdk.compare.compare_image_sets(same) >= 0.7
    other = fr.CompareRequest([HOPPER], [COLLINS_AGAIN], fr.SearchMode.FAST)
    assert sdk.compare.compare_image_sets(other) < 0.7


def test_liveness(fr: SimpleNamespace, sdk: Any) -> None:
    live, replay = image(photos.liveness("live", 0)), image(photos.liveness("replay", 0))
    sdk.persons.create(fr.PersonBase([live], id="me"))

    def liveness(photo: Any) -> float:
        answer = sdk.liveness.check_liveness(fr.LivenessRequest(photo, fr.DeviceType.DESKTOP))
        score: float = answer.score
        return score

    assert liveness(live) >= 0.5 > liveness(replay)
    found = sdk.search.search_live_face(fr.SearchLiveFaceRequest(live))
    assert [person.id for person in found.persons] == ["me"]
    assert found.liveness_score >= 0.5
    stranger = fr.SearchLiveFaceRequest(COLLINS)
    assert failure(fr, lambda: sdk.search.search_live_face(stranger)) == (404, "ERR_ENTITY_NOT_FOUND")
    compared = sdk.compare.compare_live_face(fr.CompareLiveRequest(probe=live, gallery=[live]))
    assert compared.score >= 0.7
    assert compared.liveness_score >= 0.5
    spoofed = sdk.compare.compare_live_face(fr.CompareLiveRequest(probe=replay, gallery=[replay]))
    assert (spoofed.score, spoofed.liveness_score < 0.5) == (0, True)


def test_errors(fr: SimpleNamespace, sdk: Any, address: tuple[str, str]) -> None:
    stranger = fr.FR(address[0], "wrong")
    assert failure(fr, stranger.collections.list) == (401, "ERR_INVALID_API_KEY")
    with pytest.raises(fr.APIDataValidationError) as raised:
        sdk.persons.list(take=101)
    assert raised.value.details["detail"][0]["loc"] == ["query", "take"]
    slash = fr.FR(f"{address[0]}/", address[1])
    assert slash.collections.list().count == 0
