"""The matcher: the gallery's methods, off the event loop, and the gallery's upkeep."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from functools import partial
from typing import Any

from serve_app.domain import GalleryAnswer, GalleryQuery
from serve_app.errors import StoreUnavailable
from serve_app.gallery import open_gallery
from serve_app.observability.metrics import Metrics
from serve_app.request_context import Caller, become
from serve_app.settings import Settings
from serve_app.vision.catalogue import Catalogue

log = logging.getLogger(__name__)

UPKEEP_PERIOD_S = 1.0
"""Between two rounds of flushing the index and retrying what a store outage left undone."""

WORK_PAUSE_S = 0.1
"""Between two steps of work in the background, so that searches get their share of the processors."""

THREADS = 8
"""Calls worked on at the same time in one replica: they wait for stores more than they compute. There are so many for
calls that need the index, and as many for the others, which do not wait behind those when it does not answer."""


def _threaded(name: str, index: bool = False) -> Any:
    async def call(self: MatcherStage, *args: Any, caller: Caller | None = None, **kwargs: Any) -> Any:
        self._start_upkeep()
        with self._metrics.operation(name):
            context = copy_context()
            if caller is not None:  # told by another process
                context.run(become, caller)
            method = partial(context.run, getattr(self._gallery, name), *args, **kwargs)
            return await asyncio.get_running_loop().run_in_executor(
                self._indexing if index else self._recording, method
            )

    call.__name__ = name
    call.__doc__ = f"See :meth:`serve_app.contracts.matcher.Matcher.{name}`."
    return call


class MatcherStage:
    """Implements :class:`~serve_app.contracts.matcher.Matcher` over a :class:`~serve_app.gallery.Gallery`.

    Opening it migrates and repairs the stores and takes as long as that takes.

    Raises:
        ConfigurationError, StoreUnavailable.
    """

    def __init__(self, settings: Settings, metrics: Callable[[str], Metrics] = Metrics) -> None:
        catalogue = Catalogue.load()
        catalogue.get(settings.embedder.model).calibration()  # says in words what is wrong with it
        self._gallery = open_gallery(settings, catalogue.calibrations())
        try:
            self._gallery.aim(settings.embedder.model)
        except BaseException:
            self._gallery.close()
            raise
        self._metrics = metrics("matcher")
        self._indexing = ThreadPoolExecutor(THREADS, thread_name_prefix="matcher-index")
        self._recording = ThreadPoolExecutor(THREADS, thread_name_prefix="matcher-records")
        self._upkeep: list[asyncio.Task[None]] = []

    _search = _threaded("search", index=True)
    verify = _threaded("verify")
    template = _threaded("template")
    create_collection = _threaded("create_collection")
    collection = _threaded("collection")
    collections_by_id = _threaded("collections_by_id")
    collections = _threaded("collections")
    update_collection = _threaded("update_collection")
    delete_collection = _threaded("delete_collection", index=True)
    put_person = _threaded("put_person", index=True)
    person = _threaded("person")
    persons = _threaded("persons")
    delete_person = _threaded("delete_person", index=True)
    face = _threaded("face")
    faces = _threaded("faces")
    delete_face = _threaded("delete_face", index=True)
    face_image = _threaded("face_image")
    face_images = _threaded("face_images")
    add_faces = _threaded("add_faces", index=True)
    attach_faces = _threaded("attach_faces", index=True)
    detach_faces = _threaded("detach_faces", index=True)
    face_collections = _threaded("face_collections")
    set_user_id = _threaded("set_user_id")
    add_task = _threaded("add_task")
    task = _threaded("task")
    tasks = _threaded("tasks")
    cancel_task = _threaded("cancel_task")
    find_duplicates = _threaded("find_duplicates")
    duplicates = _threaded("duplicates")
    tell_apart = _threaded("tell_apart")
    begin_bulk = _threaded("begin_bulk")
    add_bulk = _threaded("add_bulk")
    start_bulk = _threaded("start_bulk")
    bulk_work = _threaded("bulk_work")
    note_bulk = _threaded("note_bulk")
    bulk_report = _threaded("bulk_report")
    keep_unknown = _threaded("keep_unknown", index=True)
    unknowns = _threaded("unknowns")
    unknown = _threaded("unknown")
    name_unknown = _threaded("name_unknown", index=True)
    merge_unknowns = _threaded("merge_unknowns", index=True)
    discard_unknown = _threaded("discard_unknown", index=True)
    collections_named = _threaded("collections_named")
    collections_slice = _threaded("collections_slice")
    persons_slice = _threaded("persons_slice")
    update_person = _threaded("update_person", index=True)
    link_persons = _threaded("link_persons", index=True)
    merge_persons = _threaded("merge_persons", index=True)
    delete_persons = _threaded("delete_persons", index=True)
    audit = _threaded("audit")
    check_audit = _threaded("check_audit")
    check_receipt = _threaded("check_receipt")
    embedders = _threaded("embedders")
    embedder_change = _threaded("embedder_change")
    left_behind = _threaded("left_behind")
    crops_to_embed = _threaded("crops_to_embed")
    add_templates = _threaded("add_templates", index=True)

    async def search(self, tenant: str, query: GalleryQuery, caller: Caller | None = None) -> GalleryAnswer:
        """See :meth:`serve_app.contracts.matcher.Matcher.search`."""
        answer: GalleryAnswer = await self._search(tenant, query, caller=caller)
        self._metrics.outcomes("match" if matches else "no_match" for matches in answer.matches)
        return answer

    async def ready(self) -> Mapping[str, Any]:
        """See :class:`~serve_app.contracts.matcher.Stage`."""
        self._start_upkeep()
        facts: Mapping[str, Any] = await asyncio.get_running_loop().run_in_executor(
            self._recording, self._gallery.ready
        )
        return facts

    async def check_health(self) -> None:
        """Called by Serve: an answer at all is the proof. What a restart cannot mend is for :meth:`ready` to tell."""

    async def close(self) -> None:
        """Stop the upkeep, finish what runs, close the stores."""
        for loop in self._upkeep:
            loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loop
        for executor in (self._indexing, self._recording):
            await asyncio.to_thread(executor.shutdown, wait=True)
        await asyncio.to_thread(self._gallery.close)

    def _start_upkeep(self) -> None:
        if not self._upkeep:
            loop, nobodys = asyncio.get_running_loop(), Context()  # neither the first caller's name nor its trace
            self._upkeep = [
                loop.create_task(self._keep_up(), name="gallery-upkeep", context=nobodys),
                loop.create_task(self._work(), name="gallery-work", context=nobodys.copy()),
            ]

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(UPKEEP_PERIOD_S)
            try:
                await asyncio.get_running_loop().run_in_executor(self._indexing, self._gallery.maintain)
            except StoreUnavailable as error:
                log.warning("The gallery's upkeep has to wait: %s", error)

    async def _work(self) -> None:
        while True:
            loop = asyncio.get_running_loop()
            busy = await loop.run_in_executor(self._indexing, self._gallery.work)
            busy |= await loop.run_in_executor(self._indexing, self._gallery.move_index)
            await asyncio.sleep(WORK_PAUSE_S if busy else UPKEEP_PERIOD_S)
