"""Change of the embedder: rows of both models, the switch, crashes, and abandoned changes."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from serve_app.domain import (
    DEFAULT_TENANT,
    ChangeState,
    EmbeddersInUse,
    GalleryAnswer,
    ImageStorage,
    NewCollection,
    NewFace,
    PersonFields,
    Vectors,
)
from serve_app.errors import ConfigurationError, StoreUnavailable
from serve_app.gallery import Gallery, open_gallery
from serve_app.gallery.embedder_change.state import KEPT_UP
from serve_app.settings import Settings, StorageSettings
from tests.fakes.memory_index import MemoryIndex
from tests.gallery.conftest import BACKENDS, new_tenant
from tests.gallery.samples import CALIBRATIONS, MODEL, OTHER_MODEL, face, query, template
from tests.gallery.stores import check_consistent, in_memory

WORKER = "ab" * 16
LATER = KEPT_UP + dt.timedelta(seconds=1)


@pytest.fixture(params=BACKENDS)
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Settings:
    """Separate stores for each test, because all tenants of a gallery use the same embedder."""
    storage = StorageSettings()
    if request.param == "postgres":
        storage = StorageSettings(database_url=request.getfixturevalue("postgres").create_database())
    elif request.param == "milvus":
        storage = StorageSettings(milvus_uri=request.getfixturevalue("milvus").uri)
    return Settings(data_dir=tmp_path, storage=storage)


@pytest.fixture
def gallery(settings: Settings) -> Iterator[Gallery]:
    opened = open_gallery(settings, CALIBRATIONS)
    yield opened
    opened.close()


def new(seed: int) -> Vectors:
    """The other model's template of the person with this seed."""
    return template(seed + 1000, dimension=64)


def stored(seed: int, **changes: Any) -> NewFace:
    """A face whose stored crop is its seed, so that the worker below can embed it."""
    return face(seed, thumbnail=str(seed).encode(), **changes)


def both(seed: int) -> NewFace:
    """A face as it is enrolled during a change: with templates by both models."""
    return stored(seed, further={OTHER_MODEL: new(seed)})


def without_image(seed: int) -> NewFace:
    return face(seed, storage=ImageStorage.NONE, thumbnail=None)


def work(gallery: Gallery, most: int = 1000, batch: int = 2) -> int:
    """Do what the worker does, with templates from seeds; the number of faces embedded."""
    after, done = "", 0
    while done < most and (crops := gallery.crops_to_embed(WORKER, after, batch)) is not None:
        made = {id_: _made(crops.model, int(crop)) for id_, crop in crops.crops.items()}
        done += gallery.add_templates(crops.model, made)
        after = crops.last
    return done


def _made(model: str, seed: int) -> Vectors:
    return new(seed) if model == OTHER_MODEL else template(seed)


def enrol(gallery: Gallery, tenant: str, person: str, *faces: NewFace, where: tuple[str, ...] = ("staff",)) -> None:
    gallery.put_person(tenant, person, where, PersonFields(), faces)


def found(answer: GalleryAnswer) -> list[str]:
    return [match.person.id if match.person else match.face.id for matches in answer.matches for match in matches]


def old_search(gallery: Gallery, tenant: str, seed: int) -> list[str]:
    return found(gallery.search(tenant, query(seed)))


def new_search(gallery: Gallery, tenant: str, seed: int, *collections: str) -> list[str]:
    where = collections or ("staff",)
    return found(gallery.search(tenant, query(new(seed), model=OTHER_MODEL, collections=where)))


@pytest.fixture
def tenant(gallery: Gallery) -> str:
    """A tenant: Ada in two collections, Bob without an image, Cy, and an unassigned face. A second tenant has Dee."""
    gallery.aim(MODEL)
    tenant = new_tenant(gallery)
    for name in ("staff", "guests"):
        gallery.create_collection(tenant, NewCollection(name))
    enrol(gallery, tenant, "ada", stored(1), stored(2), where=("staff",))
    gallery.put_person(tenant, "ada", ("guests",), PersonFields())
    enrol(gallery, tenant, "bob", without_image(3))
    enrol(gallery, tenant, "cy", stored(4))
    (unassigned,) = gallery.add_faces(tenant, [stored(5)])
    gallery.attach_faces(tenant, "staff", [unassigned.id])
    other = new_tenant(gallery)
    gallery.create_collection(other, NewCollection("staff"))
    enrol(gallery, other, "dee", stored(6))
    return tenant


def test_from_one_model_to_another(gallery: Gallery, tenant: str) -> None:
    assert gallery.embedder_change().state is ChangeState.NONE
    assert gallery.aim(OTHER_MODEL) == EmbeddersInUse(MODEL, OTHER_MODEL)
    assert work(gallery, most=2) == 2
    assert gallery.embedder_change().state is ChangeState.EMBEDDING

    # Writes during the change are made to the rows of both models.
    enrol(gallery, tenant, "eve", both(7))
    gallery.delete_person(tenant, "cy")
    gallery.put_person(tenant, "ada", ("guests",), PersonFields(), [both(8)], "add")
    gallery.delete_person(tenant, "ada", "guests")
    gallery.put_person(tenant, "eve", ("guests",), PersonFields())
    assert [old_search(gallery, tenant, seed) for seed in (1, 3, 7)] == [["ada"], ["bob"], ["eve"]]
    check_consistent(gallery)

    work(gallery)
    change = gallery.embedder_change(tenant)
    assert (change.state, change.target) == (ChangeState.WAITING, OTHER_MODEL)
    assert (change.faces, change.done, change.without_image) == (6, 5, 1)
    assert gallery.embedder_change().faces == 7, "with the other tenant's"
    (bob,) = gallery.left_behind(tenant).items
    assert (bob.person_id, len(bob.face_ids), bob.remaining) == ("bob", 1, 0)
    assert gallery.embedders() == EmbeddersInUse(MODEL, OTHER_MODEL), "the switch waits until the operator gives Bob up"
    assert old_search(gallery, tenant, 3) == ["bob"]
    assert [new_search(gallery, tenant, seed, "guests") for seed in (1, 7)] == [[], ["eve"]]
    check_consistent(gallery)

    gallery.leave_behind()
    assert gallery.embedders() == EmbeddersInUse(OTHER_MODEL, MODEL), "the former one is kept up for a while"
    assert [new_search(gallery, tenant, seed) for seed in (1, 3, 7)] == [["ada"], [], ["eve"]]
    assert old_search(gallery, tenant, 1) == ["ada"], "a process that has not noticed the switch finds the same"
    assert gallery.embedder_change().state is ChangeState.FINISHING
    assert not gallery.finish_change()

    finish(gallery)
    assert gallery.embedders() == EmbeddersInUse(OTHER_MODEL)
    assert {one.model for one in gallery.person(tenant, "ada").faces} == {OTHER_MODEL}
    assert gallery._index.count(MODEL) == 1, "the row of the face that was given up"
    assert [item.person_id for item in gallery.left_behind(tenant).items] == ["bob"]
    assert new_search(gallery, tenant, 1) == ["ada"]
    assert gallery.verify(tenant, "ada", new(1)[None], OTHER_MODEL)[1] == pytest.approx(1)
    check_consistent(gallery)
    before = gallery._index.count(OTHER_MODEL)
    assert gallery.reindex() == before + 1
    assert new_search(gallery, tenant, 7) == ["eve"]
    check_consistent(gallery)

    enrol(gallery, tenant, "bob", face(new(3), model=OTHER_MODEL))
    assert new_search(gallery, tenant, 3) == ["bob"]
    assert gallery.left_behind(tenant).items == ()


def test_it_switches_by_itself_when_nobody_is_left(gallery: Gallery, tenant: str) -> None:
    gallery.aim(OTHER_MODEL)
    work(gallery)
    enrol(gallery, tenant, "bob", both(3))
    work(gallery)
    assert gallery.embedders().active == OTHER_MODEL
    assert new_search(gallery, tenant, 3) == ["bob"]


def test_changing_one_s_mind_before_the_switch(gallery: Gallery, tenant: str) -> None:
    gallery.aim(OTHER_MODEL)
    work(gallery, most=2)
    enrol(gallery, tenant, "eve", both(7))
    assert gallery.aim(MODEL) == EmbeddersInUse(MODEL), "new faces are no longer embedded by both"
    finish(gallery)
    assert gallery._index.count(OTHER_MODEL) == 0
    assert gallery.embedder_change().state is ChangeState.NONE
    assert old_search(gallery, tenant, 7) == ["eve"]
    check_consistent(gallery)


def test_changing_one_s_mind_after_the_switch(gallery: Gallery, tenant: str) -> None:
    gallery.aim(OTHER_MODEL)
    work(gallery)
    gallery.leave_behind()
    assert gallery.aim(MODEL).active == MODEL, "every face still has its template by the former model"
    assert old_search(gallery, tenant, 3) == ["bob"]
    finish(gallery)
    assert gallery.aim(OTHER_MODEL).further == OTHER_MODEL
    work(gallery)
    gallery.leave_behind()
    finish(gallery)
    assert gallery.aim(MODEL) == EmbeddersInUse(OTHER_MODEL, MODEL), (
        "its templates were erased, so faces are embedded again from the crops"
    )
    assert work(gallery) == 5
    assert gallery.embedders().active == MODEL
    assert [old_search(gallery, tenant, seed) for seed in (1, 3)] == [["ada"], ["bob"]]
    check_consistent(gallery)


def finish(gallery: Gallery) -> None:
    """Run maintenance at a time when the former model need not be kept up any more."""
    for _ in range(20):
        if not gallery.finish_change(dt.datetime.now(dt.UTC) + LATER):
            return
    raise AssertionError("the finish of the change never ends")


# -- without servers


class Dying(MemoryIndex):
    """An index whose process dies at a call, before or after the call has had its effect."""

    def __init__(self) -> None:
        super().__init__()
        self.dies_at: int | None = None
        self.after = False

    def upsert(self, model: str, rows: Any) -> None:
        if self.dies_at is not None and model == OTHER_MODEL:
            self.dies_at -= 1
            if self.dies_at < 0:
                if self.after:
                    super().upsert(model, rows)
                raise SystemExit("killed")
        super().upsert(model, rows)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("dies_at", [0, 1, 2])
def test_a_crash_in_the_middle_costs_nothing(dies_at: int, after: bool, tmp_path: Path) -> None:
    index = Dying()
    with in_memory(tmp_path, index) as gallery:
        gallery.aim(MODEL)
        gallery.create_collection(DEFAULT_TENANT, NewCollection("staff"))
        for seed in range(6):
            enrol(gallery, DEFAULT_TENANT, f"p{seed}", stored(seed))
        gallery.aim(OTHER_MODEL)
        index.dies_at, index.after = dies_at, after
        with pytest.raises(SystemExit):
            work(gallery)
        index.dies_at = None
    with in_memory(tmp_path, index) as gallery:
        gallery.recover()
        check_consistent(gallery)
        assert gallery.aim(OTHER_MODEL) == EmbeddersInUse(MODEL, OTHER_MODEL)
        assert [old_search(gallery, DEFAULT_TENANT, seed) for seed in range(6)] == [[f"p{s}"] for s in range(6)]
        assert work(gallery) == 6 - 2 * dies_at, "what had been embedded is not embedded again"
        assert gallery.embedders().active == OTHER_MODEL
        assert [new_search(gallery, DEFAULT_TENANT, seed) for seed in range(6)] == [[f"p{s}"] for s in range(6)]
        check_consistent(gallery)


def test_a_crash_while_clearing_away(tmp_path: Path) -> None:
    index = MemoryIndex()
    with in_memory(tmp_path, index) as gallery:
        gallery.aim(MODEL)
        gallery.create_collection(DEFAULT_TENANT, NewCollection("staff"))
        enrol(gallery, DEFAULT_TENANT, "ada", stored(1))
        gallery.aim(OTHER_MODEL)
        work(gallery)
        assert gallery.finish_change(dt.datetime.now(dt.UTC) + LATER), "promoted, the old index not yet cleared"
    with in_memory(tmp_path, index) as gallery:
        gallery.recover()
        check_consistent(gallery)
        gallery.aim(OTHER_MODEL)
        finish(gallery)
        assert index.models() == [OTHER_MODEL]


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Gallery]:
    """A gallery without servers and with one collection."""
    with in_memory(tmp_path) as gallery:
        gallery.aim(MODEL)
        gallery.create_collection(DEFAULT_TENANT, NewCollection("staff"))
        yield gallery


def test_an_empty_gallery_changes_at_once(small: Gallery) -> None:
    assert small.aim(OTHER_MODEL) == EmbeddersInUse(OTHER_MODEL)


def test_a_gallery_from_before_takes_the_configured_model_if_it_has_faces_of_it(small: Gallery) -> None:
    enrol(small, DEFAULT_TENANT, "ada", stored(1))
    enrol(small, DEFAULT_TENANT, "bob", face(new(2), model=OTHER_MODEL))
    with small._database.write() as connection:
        connection.exec_driver_sql("DELETE FROM embedders")
    assert small.aim(MODEL) == EmbeddersInUse(MODEL)


def test_faces_of_another_model_are_embedded_without_a_change(small: Gallery) -> None:
    enrol(small, DEFAULT_TENANT, "ada", stored(1))
    enrol(small, DEFAULT_TENANT, "bob", face(new(2), model=OTHER_MODEL, thumbnail=b"2"))
    assert old_search(small, DEFAULT_TENANT, 2) == []
    assert work(small) == 1
    finish(small)
    assert old_search(small, DEFAULT_TENANT, 2) == ["bob"]
    assert small._index.count(OTHER_MODEL) == 0
    check_consistent(small)


def test_one_worker_at_a_time(small: Gallery) -> None:
    enrol(small, DEFAULT_TENANT, "ada", stored(1))
    small.aim(OTHER_MODEL)
    assert small.crops_to_embed(WORKER) is not None
    assert small.crops_to_embed("cd" * 16) is None
    assert small.crops_to_embed(WORKER) is not None


def test_a_crop_that_is_gone_counts_as_none(small: Gallery) -> None:
    enrol(small, DEFAULT_TENANT, "ada", stored(1), without_image(2))
    lost = small.person(DEFAULT_TENANT, "ada").faces[0].id
    small._blobs.delete(DEFAULT_TENANT, lost)
    small.aim(OTHER_MODEL)
    assert work(small) == 0
    change = small.embedder_change()
    assert (change.state, change.without_image) == (ChangeState.WAITING, 2)
    (ada,) = small.left_behind(DEFAULT_TENANT).items
    assert (lost in ada.face_ids, len(ada.face_ids), ada.remaining) == (True, 2, 0)


def test_the_listing_has_pages(small: Gallery) -> None:
    for seed in range(5):
        enrol(small, DEFAULT_TENANT, f"p{seed}", without_image(seed))
    (unassigned,) = small.add_faces(DEFAULT_TENANT, [without_image(9)])
    small.aim(OTHER_MODEL)
    seen, cursor = [], None
    while True:
        page = small.left_behind(DEFAULT_TENANT, 2, cursor)
        seen += page.items
        cursor = page.cursor
        if cursor is None:
            break
    assert [item.person_id for item in seen] == ["p0", "p1", "p2", "p3", "p4", None]
    assert seen[-1].face_ids == (unassigned.id,)


def test_templates_for_faces_that_are_gone_are_passed_over(small: Gallery) -> None:
    enrol(small, DEFAULT_TENANT, "ada", stored(1))
    small.aim(OTHER_MODEL)
    crops = small.crops_to_embed(WORKER)
    assert crops is not None
    small.delete_person(DEFAULT_TENANT, "ada")
    assert small.add_templates(OTHER_MODEL, {id_: new(1) for id_ in crops.crops}) == 0
    check_consistent(small)


def test_a_face_s_own_template_is_by_the_active_model(small: Gallery) -> None:
    enrol(small, DEFAULT_TENANT, "ada", stored(1))
    (one,) = small.person(DEFAULT_TENANT, "ada").faces
    small.aim(OTHER_MODEL)
    assert small.template(DEFAULT_TENANT, one.id)[0].model == MODEL
    work(small)
    by, vector = small.template(DEFAULT_TENANT, one.id)
    assert by.model == OTHER_MODEL
    np.testing.assert_allclose(vector[0], new(1))


def test_an_unknown_active_model_is_said_in_words(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery:
        gallery.create_collection(DEFAULT_TENANT, NewCollection("staff"))
        enrol(gallery, DEFAULT_TENANT, "ada", face(1, model="forgotten"))
        with pytest.raises(ConfigurationError, match="'forgotten', which is not in the catalogue"):
            gallery.aim(MODEL)


def test_nothing_is_known_before_the_first_start(tmp_path: Path) -> None:
    with in_memory(tmp_path) as gallery, pytest.raises(StoreUnavailable, match="has not started"):
        gallery.embedders()
