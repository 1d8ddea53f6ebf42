"""Rules that requests check before they write hold for requests that come at once, in one process and in several."""

from __future__ import annotations

import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from scripts.servers.postgres import PostgresServer
from serve_app.domain import (
    DEFAULT_TENANT,
    CollectionPolicy,
    NewCollection,
    PersonFields,
    PersonUpdate,
    ThresholdRequest,
    Vectors,
)
from serve_app.errors import (
    CollectionExists,
    CollectionNotEmpty,
    CollectionNotFound,
    DuplicateFace,
    FaceCountRefused,
    FacegraphError,
    PersonExists,
    TaskRunning,
    UnknownNotFound,
)
from serve_app.gallery import Gallery
from serve_app.gallery.blobs import BlobStore
from serve_app.gallery.index.base import Hit, IndexRow, RowKey
from serve_app.gallery.jobs.bulk_uploads import MOST_AT_ONCE
from serve_app.gallery.sql.database import Database
from serve_app.gallery.sql.migrations import upgrade_database
from tests.fakes.memory_index import MemoryIndex
from tests.gallery.samples import CALIBRATIONS, MODEL, face, template
from tests.gallery.stores import check_consistent, in_memory

TENANT = DEFAULT_TENANT
SAME = ThresholdRequest(min_score=0.6)
ROUNDS = 3
AT_ONCE = (2, 3, 24)
PATIENCE_S = 0.05


class MeetingIndex(MemoryIndex):
    """The first search waits until as many have looked as are awaited: all those that nothing keeps apart.

    Then every one of them has looked before the first of them writes. Where something does keep them apart, nobody
    comes, and the first search waits for :data:`PATIENCE_S`. As on a server, searches find a row once it is settled.
    """

    def __init__(self) -> None:
        super().__init__()
        self._changed = threading.Condition()
        self._awaited = self._looked = 0
        self._unsettled: set[RowKey] = set()

    def expect(self, searches: int) -> None:
        """Await this many searches."""
        with self._changed:
            self._awaited, self._looked = searches, 0

    def upsert(self, model: str, rows: Sequence[IndexRow]) -> None:
        self._unsettled |= {row.key for row in rows}
        super().upsert(model, rows)

    def settle(self, model: str, key: RowKey) -> None:
        collection = key.collection_id
        self._unsettled = {each for each in self._unsettled if each.collection_id != collection}

    def search(self, model: str, probes: Vectors, collections: Sequence[str], limit: int) -> list[list[Hit]]:
        hits = super().search(model, probes, collections, limit)
        found = [[hit for hit in each if hit.key not in self._unsettled] for each in hits]
        with self._changed:
            self._looked += 1
            self._changed.notify_all()
            if not self._changed.wait_for(lambda: self._looked >= self._awaited, timeout=PATIENCE_S):
                self._awaited = 0
        return found


class Processes:
    """Galleries of one installation, each as a process would have it; requests take turns among them."""

    def __init__(self, galleries: list[Gallery], index: MeetingIndex) -> None:
        self.galleries, self.index = galleries, index

    def at_once(self, calls: list[Callable[[Gallery], object]]) -> Counter[str]:
        """Make the calls at the same time; how many had which outcome, an error's class or ``done``."""
        barrier = threading.Barrier(len(calls))
        self.index.expect(len(calls))

        def call(number: int) -> str:
            gallery = self.galleries[number % len(self.galleries)]
            barrier.wait(60)
            try:
                calls[number](gallery)
            except FacegraphError as error:
                return type(error).__name__
            return "done"

        with ThreadPoolExecutor(len(calls)) as pool:
            outcomes = Counter(pool.map(call, range(len(calls))))
        self.index.expect(0)
        return outcomes


@pytest.fixture(params=["one process", pytest.param("several processes", marks=pytest.mark.postgres)])
def processes(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Processes]:
    index = MeetingIndex()
    if request.param == "one process":
        with in_memory(tmp_path, index) as gallery:
            yield Processes([gallery], index)
        return
    server: PostgresServer = request.getfixturevalue("postgres")
    url = server.create_database()
    databases = [Database(url) for _ in range(3)]
    upgrade_database(databases[0])
    blobs = f"file://{tmp_path / 'blobs'}"
    galleries = [Gallery(each, index, BlobStore(blobs), CALIBRATIONS, alone=False) for each in databases]
    yield Processes(galleries, index)
    for gallery in galleries:
        gallery.close()


def collection(gallery: Gallery, keep_unknown_h: int = 0) -> str:
    """A new collection's name."""
    name = f"c{uuid.uuid4().hex[:12]}"
    gallery.create_collection(TENANT, NewCollection(name, policy=CollectionPolicy(keep_unknown_h=keep_unknown_h)))
    return name


@pytest.mark.parametrize("number", AT_ONCE)
def test_a_face_sent_at_once_under_several_ids_has_one_person(processes: Processes, number: int) -> None:
    (gallery, *_) = processes.galleries
    for _ in range(ROUNDS):
        name = collection(gallery)
        outcomes = processes.at_once(
            [
                partial(enrol_unless_present, name, f"{name}-{k}", template(k, near=100, cosine=0.95))
                for k in range(number)
            ]
        )
        assert outcomes == {"done": 1, DuplicateFace.__name__: number - 1}
        assert gallery.collection(TENANT, name).person_count == 1
    check_consistent(gallery)


def enrol_unless_present(name: str, person_id: str, vector: Vectors, gallery: Gallery) -> None:
    gallery.put_person(TENANT, person_id, [name], PersonFields(), [face(vector)], duplicate_threshold=SAME)


def test_different_faces_sent_at_once_are_all_enrolled(processes: Processes) -> None:
    (gallery, *_) = processes.galleries
    name = collection(gallery)
    calls = [partial(enrol_unless_present, name, f"p{k}", template(k)) for k in range(24)]
    assert processes.at_once(list(calls)) == {"done": 24}


def test_a_person_who_is_replaced_at_once_is_no_duplicate_of_themselves(processes: Processes) -> None:
    (gallery, *_) = processes.galleries
    name = collection(gallery)
    calls = [partial(enrol_unless_present, name, "ada", template(k, near=100, cosine=0.95)) for k in range(8)]
    assert processes.at_once(list(calls)) == {"done": 8}
    assert len(gallery.person(TENANT, "ada").faces) == 1


def test_who_does_not_look_for_duplicates_waits_for_nobody(processes: Processes) -> None:
    (gallery, *_) = processes.galleries
    name = collection(gallery)
    id_ = gallery.collection(TENANT, name).id
    with gallery._database.exclusive(f"enrolment {id_}"):
        gallery.put_person(TENANT, "ada", [name], PersonFields(), [face(1)])


@pytest.mark.parametrize("number", AT_ONCE)
def test_an_id_that_must_be_new_is_given_once(processes: Processes, number: int) -> None:
    (gallery, *_) = processes.galleries
    for k in range(ROUNDS):
        name, person = collection(gallery), f"p{k}"
        outcomes = processes.at_once(
            [
                lambda g, s=seed, n=name, p=person: g.put_person(  # type: ignore[misc]
                    TENANT, p, [n], PersonFields(), [face(s)], must_be_new=True
                )
                for seed in range(number)
            ]
        )
        assert outcomes == {"done": 1, PersonExists.__name__: number - 1}
        assert len(gallery.person(TENANT, person).faces) == 1


def test_a_name_is_given_to_one_collection(processes: Processes) -> None:
    (gallery, *_) = processes.galleries
    outcomes = processes.at_once([lambda g: g.create_collection(TENANT, NewCollection("staff"))] * 24)
    assert outcomes == {"done": 1, CollectionExists.__name__: 23}
    others = [collection(gallery) for _ in range(8)]
    outcomes = processes.at_once(
        [lambda g, n=name: g.update_collection(TENANT, n, {"name": "guests"}) for name in others]  # type: ignore[misc]
    )
    assert outcomes == {"done": 1, CollectionExists.__name__: 7}


@pytest.mark.parametrize("number", AT_ONCE)
def test_a_stranger_seen_at_once_is_one_unknown(processes: Processes, number: int) -> None:
    (gallery, *_) = processes.galleries
    for _ in range(ROUNDS):
        name = collection(gallery, keep_unknown_h=24)
        vectors = [template(k, near=100, cosine=0.95) for k in range(number)]
        outcomes = processes.at_once(
            [lambda g, v=v, n=name: g.keep_unknown(TENANT, n, [face(v)]) for v in vectors]  # type: ignore[misc]
        )
        assert outcomes == {"done": number}
        (kept,) = gallery.unknowns(TENANT, name).items
        assert kept.sightings == number
    check_consistent(gallery)


def test_an_unknown_is_given_to_one_new_person(processes: Processes) -> None:
    (gallery, *_) = processes.galleries
    for k in range(ROUNDS):
        name = collection(gallery, keep_unknown_h=24)
        (kept,) = gallery.keep_unknown(TENANT, name, [face(1)])
        assert kept is not None
        outcomes = processes.at_once(
            [
                lambda g, n=name, u=kept.id, p=f"{k}-{j}": g.name_unknown(TENANT, n, u, p, must_be_new=True)  # type: ignore[misc]
                for j in range(3)
            ]
        )
        assert outcomes == {"done": 1, UnknownNotFound.__name__: 2}
        assert gallery.collection(TENANT, name).person_count == 1
    check_consistent(gallery)


def test_a_person_has_no_more_faces_than_allowed(processes: Processes) -> None:
    (gallery, *_) = processes.galleries
    name = collection(gallery)
    gallery.put_person(TENANT, "ada", [name], PersonFields(), [face(1)])
    outcomes = processes.at_once(
        [
            lambda g, s=seed: g.update_person(TENANT, "ada", PersonUpdate(new_faces=(face(s),), max_faces=3))  # type: ignore[misc]
            for seed in range(2, 10)
        ]
    )
    assert outcomes == {"done": 2, FaceCountRefused.__name__: 6}
    assert len(gallery.person(TENANT, "ada").faces) == 3


def test_a_collection_has_no_more_faces_than_allowed(processes: Processes) -> None:
    (gallery, *_) = processes.galleries
    name = collection(gallery)
    added = gallery.add_faces(TENANT, [face(seed) for seed in range(12)])
    processes.at_once([lambda g, f=f.id: g.attach_faces(TENANT, name, [f], limit=5) for f in added])  # type: ignore[misc]
    assert gallery.collection(TENANT, name).face_count == gallery.faces(TENANT, name).total == 5


def test_a_collection_that_is_deleted_if_empty_takes_nobody_with_it(processes: Processes) -> None:
    (gallery, *_) = processes.galleries
    for k in range(ROUNDS):
        name, person = collection(gallery), f"p{k}"
        outcomes = processes.at_once(
            [
                lambda g, n=name: g.delete_collection(TENANT, n, only_if_empty=True),  # type: ignore[misc]
                lambda g, n=name, p=person: g.put_person(TENANT, p, [n], PersonFields(), [face(1)]),  # type: ignore[misc]
            ]
        )
        refused = {each for each in outcomes if each != "done"}
        assert outcomes["done"] == 1
        assert refused <= {CollectionNotEmpty.__name__, CollectionNotFound.__name__}
    check_consistent(gallery)


def test_a_tenant_has_no_more_unfinished_uploads_than_allowed(processes: Processes) -> None:
    (gallery, *_) = processes.galleries
    name = collection(gallery)
    for _ in range(MOST_AT_ONCE - 2):
        gallery.begin_bulk(TENANT, name, {})
    outcomes = processes.at_once([lambda g: g.begin_bulk(TENANT, name, {})] * 12)
    assert outcomes == {"done": 2, TaskRunning.__name__: 10}


def test_a_collection_is_searched_for_duplicates_once(processes: Processes) -> None:
    (gallery, *_) = processes.galleries
    name = collection(gallery)
    outcomes = processes.at_once([lambda g: g.find_duplicates(TENANT, name, MODEL)] * 8)
    assert outcomes == {"done": 1, TaskRunning.__name__: 7}


def test_a_probe_of_several_images_is_compared_whole(processes: Processes) -> None:
    """The face that two requests share is the second of each."""
    (gallery, *_) = processes.galleries
    name = collection(gallery)
    shared = np.asarray(template(7))
    outcomes = processes.at_once(
        [
            lambda g, k=k: g.put_person(  # type: ignore[misc]
                TENANT, f"p{k}", [name], PersonFields(), [face(k), face(shared)], duplicate_threshold=SAME
            )
            for k in (100, 200)
        ]
    )
    assert outcomes == {"done": 1, DuplicateFace.__name__: 1}
