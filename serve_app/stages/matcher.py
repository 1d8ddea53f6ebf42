"""The matcher stage: runs the gallery's methods in threads, and its upkeep in the background."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from functools import partial
from typing import Any, Literal

from serve_app.cancellation import in_thread
from serve_app.contracts import Matcher, Method, methods, named
from serve_app.domain import (
    Enrolment,
    GalleryAnswer,
    GalleryQuery,
    NewFace,
    PersonFields,
    Sighting,
    ThresholdRequest,
)
from serve_app.errors import StoreUnavailable
from serve_app.gallery import Gallery, open_gallery
from serve_app.observability.metrics import Metrics
from serve_app.settings import Settings
from serve_app.vision.catalogue import Catalogue

log = logging.getLogger(__name__)

UPKEEP_PERIOD_S = 1.0
"""Seconds between two rounds of upkeep: flushing the index, and retrying what a store outage left undone."""

WORK_PAUSE_S = 0.1
"""Seconds between two steps of background work, so that searches get their share of the processors."""

THREADS = 8
"""Threads for calls that need the index, and threads for calls that do not; the latter do not wait when the index does
not answer. Calls wait for stores more than they compute."""

IN_TURN = THREADS // 2
"""Calls at a time whose check and write are exclusive. They may wait for each other, so they do not get all threads."""


def _opened(settings: Settings) -> Gallery:
    catalogue = Catalogue.load()
    catalogue.get(settings.embedder.model).calibration()  # raises ConfigurationError for an uncalibrated model
    gallery = open_gallery(settings, catalogue.calibrations())
    try:
        gallery.aim(settings.embedder.model)
    except BaseException:
        gallery.close()
        raise
    return gallery


def _over_gallery(stage: type) -> Any:
    """Class decorator that adds the contract's missing methods; each runs the gallery's method in a thread."""
    for method in methods(Matcher):
        if method.name not in vars(stage):
            setattr(stage, method.name, named(method, _threaded(method)))
    return stage


def _threaded(method: Method) -> Callable[..., Awaitable[Any]]:
    async def call(self: MatcherStage, *args: Any, **kwargs: Any) -> Any:
        return await self._call(method.name, method.indexed, *args, **kwargs)

    return call


@_over_gallery
class MatcherStage:
    """Implements :class:`~serve_app.contracts.Matcher` over a :class:`~serve_app.gallery.Gallery`.

    Args:
        metrics: makes the metrics of a stage from its name.
        gallery: an open gallery, which is closed with the stage. None opens the gallery of the settings; this migrates
            and repairs its stores, which can take long.

    Raises ConfigurationError, StoreUnavailable if the gallery of the settings cannot be opened.
    """

    def __init__(
        self, settings: Settings, metrics: Callable[[str], Metrics] = Metrics, gallery: Gallery | None = None
    ) -> None:
        self._gallery = gallery or _opened(settings)
        self._metrics = metrics("matcher")
        self._indexing = ThreadPoolExecutor(THREADS, thread_name_prefix="matcher-index")
        self._recording = ThreadPoolExecutor(THREADS, thread_name_prefix="matcher-records")
        self._upkeep: list[asyncio.Task[None]] = []
        self._in_turn = asyncio.Semaphore(IN_TURN)

    async def search(self, tenant: str, query: GalleryQuery) -> GalleryAnswer:
        """See :meth:`serve_app.contracts.search.Search.search`."""
        answer: GalleryAnswer = await self._call("search", True, tenant, query)
        self._metrics.outcomes("match" if matches else "no_match" for matches in answer.matches)
        return answer

    async def put_person(
        self,
        tenant: str,
        person_id: str,
        collections: Sequence[str],
        fields: PersonFields,
        faces: Sequence[NewFace] = (),
        mode: Literal["replace", "add"] = "replace",
        must_be_new: bool = False,
        duplicate_threshold: ThresholdRequest | None = None,
    ) -> Enrolment:
        """See :meth:`serve_app.contracts.persons.Persons.put_person`."""
        arguments = (tenant, person_id, collections, fields, faces, mode, must_be_new, duplicate_threshold)
        async with contextlib.nullcontext() if duplicate_threshold is None else self._in_turn:
            done: Enrolment = await self._call("put_person", True, *arguments)
        return done

    async def keep_unknown(self, tenant: str, collection: str, faces: Sequence[NewFace]) -> tuple[Sighting | None, ...]:
        """See :meth:`serve_app.contracts.unknowns.Unknowns.keep_unknown`."""
        async with self._in_turn:
            kept: tuple[Sighting | None, ...] = await self._call("keep_unknown", True, tenant, collection, faces)
        return kept

    async def _call(self, name: str, indexed: bool, *args: Any, **kwargs: Any) -> Any:
        self._start_upkeep()
        with self._metrics.operation(name):
            executor = self._indexing if indexed else self._recording
            # Only long reads look whether they are wanted: a write that was begun is made whole.
            return await in_thread(executor, partial(getattr(self._gallery, name), *args, **kwargs))

    async def ready(self) -> Mapping[str, Any]:
        """See :class:`~serve_app.contracts.Stage`."""
        self._start_upkeep()
        return await asyncio.get_running_loop().run_in_executor(self._recording, self._gallery.ready)

    async def close(self) -> None:
        """Stop the upkeep, finish running calls, close the stores."""
        for loop in self._upkeep:
            loop.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await loop
        for executor in (self._indexing, self._recording):
            await asyncio.to_thread(executor.shutdown, wait=True)
        await asyncio.to_thread(self._gallery.close)

    def _start_upkeep(self) -> None:
        if not self._upkeep:
            loop, empty = asyncio.get_running_loop(), Context()  # without the first caller's identity and trace
            self._upkeep = [
                loop.create_task(self._keep_up(), name="gallery-upkeep", context=empty),
                loop.create_task(self._work(), name="gallery-work", context=empty.copy()),
            ]

    async def _keep_up(self) -> None:
        while True:
            await asyncio.sleep(UPKEEP_PERIOD_S)
            try:
                await asyncio.get_running_loop().run_in_executor(self._indexing, self._gallery.maintain)
            except StoreUnavailable as error:
                log.warning("The gallery's upkeep is postponed: %s", error)

    async def _work(self) -> None:
        while True:
            loop = asyncio.get_running_loop()
            busy = await loop.run_in_executor(self._indexing, self._gallery.work)
            busy |= await loop.run_in_executor(self._indexing, self._gallery.move_index)
            await asyncio.sleep(WORK_PAUSE_S if busy else UPKEEP_PERIOD_S)
