"""Two matchers on one PostgreSQL database and one Milvus server, as in a cluster."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from scripts.servers.milvus import MilvusServer
from scripts.servers.postgres import PostgresServer
from serve_app.domain import DEFAULT_TENANT, NewCollection, PersonFields
from serve_app.errors import NotFound, PersonNotFound, StoreUnavailable
from serve_app.gallery import Gallery, open_gallery
from serve_app.settings import Settings, StorageSettings
from tests.gallery.samples import CALIBRATIONS, face, query
from tests.gallery.stores import check_consistent

pytestmark = [pytest.mark.postgres, pytest.mark.milvus_server]

TENANT = DEFAULT_TENANT
TIMEOUT_S = 3


@pytest.fixture
def replicas(tmp_path: Path, postgres: PostgresServer, milvus: MilvusServer) -> Iterator[tuple[Gallery, Gallery]]:
    """Two galleries on the same stores."""
    storage = StorageSettings(database_url=postgres.create_database(), milvus_uri=milvus.uri, timeout_s=TIMEOUT_S)
    settings = Settings(data_dir=tmp_path, storage=storage)
    opened = open_gallery(settings, CALIBRATIONS), open_gallery(settings, CALIBRATIONS)
    yield opened
    for gallery in opened:
        gallery.close()


def test_what_one_wrote_the_other_finds_at_once(replicas: tuple[Gallery, Gallery]) -> None:
    one, other = replicas
    one.create_collection(TENANT, NewCollection("staff"))
    for seed in range(5):
        one.put_person(TENANT, f"p{seed}", ["staff"], PersonFields(), [face(seed)])
        (match,) = other.search(TENANT, query(seed)).matches[0]
        assert match.person == one.person(TENANT, f"p{seed}")
        other.delete_person(TENANT, f"p{seed}")
        assert one.search(TENANT, query(seed)).matches == ((),)
    check_consistent(one)


def test_writers_in_both_never_leave_a_mess(replicas: tuple[Gallery, Gallery]) -> None:
    replicas[0].create_collection(TENANT, NewCollection("staff"))
    replicas[0].create_collection(TENANT, NewCollection("guests"))

    def work(number: int) -> None:
        gallery = replicas[number % 2]
        person = f"p{number % 3}"
        try:
            if number % 7 == 3:
                gallery.delete_person(TENANT, person)
            elif number % 7 == 5:
                gallery.delete_person(TENANT, person, "staff")
            elif number == 20:
                gallery.delete_collection(TENANT, "guests")
            else:
                names = ["staff", "guests"] if number % 2 else ["staff"]
                mode = "add" if number % 4 else "replace"
                gallery.put_person(TENANT, person, names, PersonFields(), [face(number)], mode)  # type: ignore[arg-type]
            gallery.retry_journal()
        except NotFound:
            return  # another thread has deleted it

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(work, range(40)))
    check_consistent(replicas[0])
    assert replicas[1].recover().removed == 0


def test_an_outage_of_the_index_is_reported_in_time_and_leaves_nothing(
    replicas: tuple[Gallery, Gallery], milvus: MilvusServer
) -> None:
    gallery, _ = replicas
    gallery.create_collection(TENANT, NewCollection("staff"))
    gallery.put_person(TENANT, "p", ["staff"], PersonFields(), [face(1)])
    milvus.pause()
    try:
        started = time.monotonic()
        with pytest.raises(StoreUnavailable):
            gallery.search(TENANT, query(1))
        with pytest.raises(StoreUnavailable):
            gallery.put_person(TENANT, "q", ["staff"], PersonFields(), [face(2)])
        with pytest.raises(StoreUnavailable):
            gallery.delete_person(TENANT, "p")
        assert time.monotonic() - started < 10 * TIMEOUT_S
    finally:
        milvus.resume()
    with pytest.raises(PersonNotFound):
        gallery.person(TENANT, "q")
    deadline = time.monotonic() + 180
    while True:
        try:
            gallery._repairer.settle_journal(age=dt.timedelta(0))
            break
        except StoreUnavailable:
            assert time.monotonic() < deadline
            time.sleep(1)
    check_consistent(gallery)
    assert len(gallery.search(TENANT, query(1)).matches[0]) == 1
