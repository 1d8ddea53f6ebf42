"""A wall clock that jumps erases nobody: not in a running service, and not after a start."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from serve_app.domain import DEFAULT_TENANT, CollectionPolicy, Consent, NewCollection, PersonFields
from serve_app.errors import PersonNotFound
from serve_app.gallery import Gallery
from serve_app.gallery.privacy import expiry_clock
from serve_app.gallery.privacy.expiry_clock import PATIENCE, STOPPED, believe
from serve_app.gallery.sql.schema import faces
from tests.gallery.samples import face
from tests.gallery.stores import in_memory

MINUTE, DAY = dt.timedelta(minutes=1), dt.timedelta(days=1)


class Clocks:
    """The machine's two clocks: ``pass_`` moves both, ``jump`` only the one on the wall."""

    def __init__(self) -> None:
        self.wall, self.ticks = dt.datetime.now(dt.UTC), 1000.0

    def pass_(self, time: dt.timedelta) -> None:
        self.wall += time
        self.ticks += time.total_seconds()

    def jump(self, by: dt.timedelta) -> None:
        self.wall += by


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    made = Clocks()
    monkeypatch.setattr(expiry_clock, "wall_time", lambda: made.wall)
    monkeypatch.setattr(expiry_clock, "_ticks", lambda: made.ticks)
    return made


@pytest.fixture
def start(tmp_path: Path, clocks: Clocks) -> Callable[[], contextlib.AbstractContextManager[Gallery]]:
    """Opens the same gallery as a start of the service does."""

    @contextlib.contextmanager
    def opened() -> Iterator[Gallery]:
        with in_memory(tmp_path) as gallery:
            gallery.recover()
            yield gallery

    return opened


def enrol(gallery: Gallery) -> None:
    """Who is due in 30 days: by retention, by the end of a consent, and an unassigned face."""
    gallery.create_collection(
        DEFAULT_TENANT, NewCollection("visitors", policy=CollectionPolicy(retention_days=30, keep_unknown_h=1))
    )
    gallery.create_collection(DEFAULT_TENANT, NewCollection("staff"))
    consent = Consent("explicit consent", "form 17", None, dt.datetime.now(dt.UTC) + 30 * DAY)
    gallery.put_person(DEFAULT_TENANT, "ada", ["visitors"], PersonFields(), [face(1)])
    gallery.put_person(DEFAULT_TENANT, "ben", ["staff"], PersonFields(consent=consent), [face(2)])
    gallery.add_faces(DEFAULT_TENANT, [face(3)])
    gallery.keep_unknown(DEFAULT_TENANT, "visitors", [face(4)])


def keep_house(gallery: Gallery) -> None:
    gallery._expiry_due = 0
    gallery.maintain()


def everybody_is_there(gallery: Gallery) -> bool:
    with gallery._database.read() as connection:
        rows = connection.execute(faces.select()).all()
    with contextlib.suppress(PersonNotFound):
        gallery.person(DEFAULT_TENANT, "ada")
        gallery.person(DEFAULT_TENANT, "ben")
        return len(rows) == 4
    assert len(rows) < 4
    return False


def warned(gallery: Gallery) -> bool:
    return "clock_doubted" in gallery.ready()["warnings"]


Start = Callable[[], contextlib.AbstractContextManager[Gallery]]


def test_a_jump_ahead_and_back_erases_nobody(start: Start, clocks: Clocks, caplog: pytest.LogCaptureFixture) -> None:
    with start() as gallery, caplog.at_level(logging.WARNING):
        enrol(gallery)
        gallery._audit_kept = 20 * DAY
        entries = len(gallery.audit(DEFAULT_TENANT).items)
        for jump in (40 * DAY, 365 * DAY, dt.timedelta(hours=2)):
            clocks.pass_(MINUTE)
            clocks.jump(jump)
            for _ in range(3):
                keep_house(gallery)
                assert everybody_is_there(gallery)
                assert warned(gallery)
                clocks.pass_(MINUTE)
            clocks.jump(-jump)
            keep_house(gallery)
            assert everybody_is_there(gallery)
            assert not warned(gallery)
        assert caplog.text.count("nothing is erased by age") == 3  # once for each jump
        assert len(gallery.audit(DEFAULT_TENANT).items) == entries


def test_time_that_passes_is_believed(start: Start, clocks: Clocks) -> None:
    with start() as gallery:
        enrol(gallery)
        clocks.pass_(29 * DAY)
        keep_house(gallery)  # a machine that was asleep: both clocks went on
        assert gallery.person(DEFAULT_TENANT, "ada")
        clocks.pass_(2 * DAY)
        keep_house(gallery)
        assert not everybody_is_there(gallery)
        assert not warned(gallery)


def test_a_start_with_a_clock_far_ahead_erases_nobody(start: Start, clocks: Clocks) -> None:
    with start() as gallery:
        enrol(gallery)
        keep_house(gallery)
    clocks.jump(40 * DAY)
    with start() as gallery:
        assert warned(gallery)
        keep_house(gallery)
        assert everybody_is_there(gallery)
    clocks.jump(-40 * DAY)
    with start() as gallery:
        assert not warned(gallery)
        keep_house(gallery)
        assert everybody_is_there(gallery)


def test_a_start_after_days_of_rest_is_believed(start: Start, clocks: Clocks) -> None:
    with start() as gallery:
        enrol(gallery)
    clocks.jump(STOPPED - MINUTE)
    with start() as gallery:
        assert not warned(gallery)


def test_a_clock_that_starts_in_the_past_and_is_set_right_is_believed(start: Start, clocks: Clocks) -> None:
    with start() as gallery:
        enrol(gallery)
    clocks.jump(-20000 * DAY)
    with start() as gallery:
        assert warned(gallery)
        clocks.jump(20000 * DAY)
        keep_house(gallery)
        assert not warned(gallery)
        assert everybody_is_there(gallery)


def test_a_database_of_an_earlier_version_has_its_last_time_from_the_audit_log(start: Start, clocks: Clocks) -> None:
    with start() as gallery:
        enrol(gallery)
        with gallery._database.write() as connection:
            connection.execute(expiry_clock.installation.update().values(time_believed=None))
    clocks.jump(40 * DAY)
    with start() as gallery:
        keep_house(gallery)
        assert everybody_is_there(gallery)
        assert warned(gallery)


def test_a_confirmed_jump_is_believed(start: Start, clocks: Clocks) -> None:
    with start() as gallery:
        enrol(gallery)
        clocks.jump(40 * DAY)
        keep_house(gallery)
        assert everybody_is_there(gallery)
        gallery._database.transact(lambda connection: believe(connection, clocks.wall))
        clocks.pass_(MINUTE)
        keep_house(gallery)
        assert not everybody_is_there(gallery)
        assert not warned(gallery)


def test_a_jump_is_believed_after_a_day_of_service_over_several_starts(start: Start, clocks: Clocks) -> None:
    with start() as gallery:
        enrol(gallery)
    clocks.jump(40 * DAY)
    for _ in range(2):
        with start() as gallery:
            assert warned(gallery)
            clocks.pass_(PATIENCE / 2 - MINUTE)
            keep_house(gallery)
            assert everybody_is_there(gallery)
    with start() as gallery:
        clocks.pass_(3 * MINUTE)
        keep_house(gallery)
        assert not everybody_is_there(gallery)
        assert not warned(gallery)


def test_each_jump_is_waited_for(start: Start, clocks: Clocks) -> None:
    with start() as gallery:
        enrol(gallery)
        clocks.jump(20 * DAY)
        keep_house(gallery)
        clocks.pass_(PATIENCE - MINUTE)
        keep_house(gallery)
        clocks.jump(20 * DAY)
        clocks.pass_(3 * MINUTE)
        keep_house(gallery)
        assert everybody_is_there(gallery)


def test_a_clock_that_is_wrong_on_one_machine_is_outvoted(start: Start, clocks: Clocks) -> None:
    """Two processes on the same records, of which one has the wrong time."""
    with start() as gallery, start() as wrong:
        enrol(gallery)
        right = clocks.wall
        for _ in range(30):
            right += dt.timedelta(hours=1)
            clocks.pass_(dt.timedelta(hours=1))
            clocks.wall = right + 40 * DAY
            keep_house(wrong)
            assert warned(wrong)
            clocks.wall = right
            keep_house(gallery)
            assert not warned(gallery)
        assert gallery.person(DEFAULT_TENANT, "ada")
