"""Each contract method exists on every side with the same signature, and its marks are true."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from serve_app.contracts import Matcher, Method, methods
from serve_app.domain import (
    DEFAULT_TENANT,
    BulkPerson,
    CollectionPolicy,
    NewCollection,
    PersonFields,
    PersonUpdate,
)
from serve_app.gallery import Gallery
from serve_app.serving.deployments import offer
from serve_app.serving.python_handle import PythonHandle
from serve_app.serving.remote import Remote
from serve_app.serving.stage_kinds import STAGES, StageKind
from tests.gallery.copies import CopiedGallery, StoredState
from tests.gallery.samples import CALIBRATIONS, MODEL, OTHER_MODEL, face, query, template
from tests.serving.test_remote import Handle

T = DEFAULT_TENANT
WORKER = "a" * 32


class World:
    """A gallery with something for every method to find, and the ids of it."""

    def __init__(self, gallery: Gallery) -> None:
        self.gallery = gallery
        gallery.aim(MODEL)
        gallery.create_collection(T, NewCollection("staff"))
        gallery.create_collection(T, NewCollection("others", policy=CollectionPolicy(keep_unknown_h=24)))
        self.ada = gallery.put_person(T, "ada", ["staff"], PersonFields(), [face(1)]).person
        gallery.put_person(T, "eve", ["staff"], PersonFields(), [face(2)])
        gallery.put_person(T, "bob", ["others"], PersonFields(), [face(3)])
        self.face = self.ada.faces[0].id
        self.unassigned, self.attached = (each.id for each in gallery.add_faces(T, [face(4), face(5)]))
        gallery.attach_faces(T, "others", [self.attached])
        self.unknown, self.other = (
            each.id for each in gallery.keep_unknown(T, "others", [face(6), face(7)]) if each is not None
        )
        self.scan = gallery.find_duplicates(T, "staff", MODEL).id
        while gallery.work():
            pass
        self.waiting = gallery.begin_bulk(T, "staff", {}).id
        gallery.add_bulk(T, self.waiting, 0, [BulkPerson("first", 0, b"")])
        self.started = gallery.begin_bulk(T, "staff", {}).id
        gallery.add_bulk(T, self.started, 0, [BulkPerson("second", 0, b"")])
        gallery.start_bulk(T, self.started)
        self.receipt = gallery.delete_person(T, "bob").receipt
        gallery.maintain()  # records what waits for the audit log


UPDATE = PersonUpdate(fields=PersonFields(name="Ada"))

CALLS: dict[str, Callable[[World], tuple[Any, ...]]] = {
    "ready": lambda w: (),
    "search": lambda w: (T, query(1)),
    "verify": lambda w: (T, "ada", template(1)[None], MODEL),
    "template": lambda w: (T, w.face),
    "create_collection": lambda w: (T, NewCollection("new")),
    "collection": lambda w: (T, "staff"),
    "collections_by_id": lambda w: (T, []),
    "collections_named": lambda w: (T, ["staff"]),
    "collections": lambda w: (T,),
    "collections_slice": lambda w: (T,),
    "update_collection": lambda w: (T, "staff", {"title": "Staff"}),
    "delete_collection": lambda w: (T, "staff"),
    "put_person": lambda w: (T, "new", ["staff"], PersonFields(), [face(8)]),
    "person": lambda w: (T, "ada"),
    "persons": lambda w: (T, "staff"),
    "persons_slice": lambda w: (T, "staff"),
    "update_person": lambda w: (T, "ada", UPDATE),
    "link_persons": lambda w: (T, "others", ["ada"]),
    "merge_persons": lambda w: (T, "ada", "eve"),
    "delete_person": lambda w: (T, "ada"),
    "delete_persons": lambda w: (T, ["ada"]),
    "face": lambda w: (T, w.face),
    "faces": lambda w: (T, "staff"),
    "face_collections": lambda w: (T, w.face),
    "delete_face": lambda w: (T, w.face),
    "face_image": lambda w: (T, w.face, "thumbnail"),
    "face_images": lambda w: (T, [w.face], "thumbnail"),
    "add_faces": lambda w: (T, [face(9)]),
    "attach_faces": lambda w: (T, "staff", [w.unassigned]),
    "detach_faces": lambda w: (T, "others", [w.attached]),
    "set_user_id": lambda w: (T, w.unassigned, "u"),
    "keep_unknown": lambda w: (T, "others", [face(10)]),
    "unknowns": lambda w: (T, "others"),
    "unknown": lambda w: (T, "others", w.unknown),
    "name_unknown": lambda w: (T, "others", w.unknown, "named"),
    "merge_unknowns": lambda w: (T, "others", w.unknown, [w.other]),
    "discard_unknown": lambda w: (T, "others", w.unknown),
    "add_task": lambda w: (T, "kind", {}),
    "task": lambda w: (T, w.scan),
    "tasks": lambda w: (T,),
    "cancel_task": lambda w: (T, w.waiting),
    "find_duplicates": lambda w: (T, "others", MODEL),
    "duplicates": lambda w: (T, w.scan),
    "tell_apart": lambda w: (T, "ada", "eve"),
    "begin_bulk": lambda w: (T, "staff", {}),
    "add_bulk": lambda w: (T, w.waiting, 1, [BulkPerson("third", 0, b"")]),
    "start_bulk": lambda w: (T, w.waiting),
    "bulk_work": lambda w: (WORKER, 10),
    "note_bulk": lambda w: (WORKER, w.started, {}),
    "bulk_report": lambda w: (T, w.started),
    "audit": lambda w: (T,),
    "check_audit": lambda w: (T,),
    "check_receipt": lambda w: (T, w.receipt),
    "embedders": lambda w: (),
    "embedder_change": lambda w: (),
    "left_behind": lambda w: (T,),
    "crops_to_embed": lambda w: (WORKER,),
    "add_templates": lambda w: (OTHER_MODEL, {w.face: template(1)}),
}
"""Arguments with which each method of the gallery does what it is for."""

PREPARATIONS: dict[str, Callable[[World], object]] = {
    "crops_to_embed": lambda w: w.gallery.aim(OTHER_MODEL),
    "add_templates": lambda w: w.gallery.aim(OTHER_MODEL),
    "note_bulk": lambda w: w.gallery.bulk_work(WORKER, 10),
}


@pytest.fixture(scope="module")
def filled() -> tuple[World, StoredState]:
    """A world whose gallery is closed, and what that holds."""
    copy = CopiedGallery(StoredState(), CALIBRATIONS)
    made = World(copy.gallery)
    copy.gallery.close()
    return made, copy.leave()


@pytest.fixture
def world(filled: tuple[World, StoredState]) -> Iterator[World]:
    made, state = filled
    copy = CopiedGallery(state, CALIBRATIONS)
    made.gallery = copy.gallery
    yield made
    copy.gallery.close()
    copy.leave()


@contextmanager
def observed(gallery: Gallery) -> Iterator[dict[str, bool]]:
    """What a call does: whether it begins a transaction that writes, whether it uses the index."""
    done = {"writes": False, "indexes": False}
    database, index = gallery._database, gallery._index
    write = database.write

    @contextmanager
    def watched_write() -> Iterator[Any]:
        done["writes"] = True
        with write() as connection:
            yield connection

    class WatchedIndex:
        def __getattr__(self, name: str) -> Any:
            method = getattr(index, name)

            def call(*args: Any, **kwargs: Any) -> Any:
                done["indexes"] |= name in {"search", "upsert", "delete", "settle"} and bool(args[-1])
                return method(*args, **kwargs)

            return call

    database.write = watched_write  # type: ignore[method-assign]
    owners = [gallery, gallery._writer, gallery._repairer, gallery._eraser]
    for owner in owners:
        owner._index = WatchedIndex()  # type: ignore[assignment]
    try:
        yield done
    finally:
        database.write = write  # type: ignore[method-assign]
        for owner in owners:
            owner._index = index


MATCHER = {method.name: method for method in methods(Matcher)}


def test_every_method_has_arguments_here() -> None:
    assert CALLS.keys() == MATCHER.keys()


@pytest.mark.parametrize("method", MATCHER.values(), ids=MATCHER)
def test_a_method_is_marked_as_a_read_if_and_only_if_it_writes_nothing(method: Method, world: World) -> None:
    PREPARATIONS.get(method.name, lambda w: None)(world)
    arguments = CALLS[method.name](world)
    with observed(world.gallery) as done:
        getattr(world.gallery, method.name)(*arguments)
    assert method.read == (not done["writes"])
    assert method.indexed >= done["indexes"]


def parameters(function: Callable[..., Any]) -> list[tuple[Any, ...]]:
    return [(each.name, each.kind, each.default) for each in inspect.signature(function).parameters.values()]


@pytest.mark.parametrize("method", MATCHER.values(), ids=MATCHER)
def test_the_gallery_takes_the_arguments_of_the_contract(method: Method) -> None:
    of_contract = parameters(getattr(Matcher, method.name))
    assert parameters(getattr(Gallery, method.name))[: len(of_contract)] == of_contract


@pytest.mark.parametrize("kind", STAGES.values(), ids=STAGES)
def test_stage_replica_and_remote_have_every_method(kind: StageKind) -> None:
    wanted = {method.name for method in methods(kind.contract)}
    assert wanted <= {name for name in dir(kind.make) if inspect.iscoroutinefunction(getattr(kind.make, name))}
    replica = type("Replica", (), {})()
    offer(replica, kind.make, kind.contract)
    assert wanted <= set(vars(replica))
    assert wanted <= set(vars(Remote(Handle(), kind, 1)))  # type: ignore[arg-type]


def test_the_handle_has_the_methods_that_are_marked_for_it() -> None:
    marked = {method.name for method in MATCHER.values() if method.on_handle}
    assert marked <= set(dir(PythonHandle))
    assert all(getattr(PythonHandle, name).__doc__.startswith("See ") for name in marked)


def test_only_methods_of_one_tenant_are_on_the_handle() -> None:
    for method in MATCHER.values():
        if method.on_handle:
            assert next(iter(list(inspect.signature(getattr(Matcher, method.name)).parameters)[1:])) == "tenant"
