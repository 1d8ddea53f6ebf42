"""Background worker in each ingress replica that enrols accepted uploads, some images at a time.

It keeps no state: the gallery records what is left to do, and assigns an upload to one worker at a time.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from serve_app.api.api_context import ApiContext
from serve_app.api.bulk.payload import Content, Payload
from serve_app.api.schemas.persons import person_fields
from serve_app.bulk.enroller import Enroller, Mode, Refused, TargetUnreachable, blamed, failed
from serve_app.bulk.entries import Entry, Outcome, PictureFile
from serve_app.bulk.files import NotRead
from serve_app.domain import BulkPerson, BulkWork, ImageStorage
from serve_app.errors import FacegraphError, ImageError
from serve_app.request_context import RequestContext, enter
from serve_app.service import FaceService
from serve_app.service.background import Background

log = logging.getLogger(__name__)

WINDOW = 32
"""Images per step: enough for full batches, and enrolled long before the worker's claim on the upload expires."""

IDLE_S = 1.0
BUSY = frozenset({429, 503})
"""Statuses of temporary errors, after which the person is tried again later."""


class BulkWorker:
    """Enrols uploads step by step; waits ``idle_s`` when there was nothing to do or the service was too busy."""

    def __init__(self, context: ApiContext, idle_s: float = IDLE_S) -> None:
        self._context = context
        self._idle_s = idle_s
        self._worker = uuid.uuid4().hex
        self._background = Background(self._run, "bulk")

    def start(self) -> None:
        """Start working, on the running event loop."""
        self._background.start()

    async def close(self) -> None:
        """Stop working. The worker that continues the upload enrols the persons of the current step again."""
        await self._background.close()

    async def step(self) -> bool:
        """Enrol the next persons. False if the next step should wait: nothing to do, or the service was busy."""
        matcher = self._context.service.matcher
        work = await matcher.bulk_work(self._worker, WINDOW)
        if work is None:
            return False
        enter(RequestContext(caller=work.actor))
        outcomes = await asyncio.gather(*(self._enroll(work, person) for person in work.persons.values()))
        noted = {
            position: {name: value for name, value in outcome.as_json().items() if name in REPORTED}
            for position, outcome in zip(work.persons, outcomes, strict=True)
            if outcome is not None
        }
        if noted:
            await matcher.note_bulk(self._worker, work.task_id, noted)
        return len(noted) == len(outcomes)

    async def _enroll(self, work: BulkWork, person: BulkPerson) -> Outcome | None:
        """The outcome; None if the person must be tried again."""
        entry = Entry(person.person)
        try:
            payload = Payload.unpack(person.payload)
        except ValueError:
            return failed(entry, "upload_lost", "The uploaded data of this person no longer exist, or are damaged.")
        contents = {picture.name: picture for picture in payload.pictures}
        files = tuple(PictureFile(name, len(picture.content)) for name, picture in contents.items())
        entry = Entry(person.person, files, payload.fields)

        async def read(file: PictureFile) -> bytes:
            return await self._read(contents[file.location])

        limits = self._context.settings.limits
        target = ServiceTarget(self._context.service, work)
        try:
            return await Enroller(target, read, limits.max_images_per_request, limits.max_body_bytes).enroll(entry)
        except TargetUnreachable as error:
            log.info("an upload waits: %s", error)
            return None
        except Exception:
            log.exception("a person of the upload %s was not enrolled", work.task_id)
            return failed(entry, "internal_error", "An unexpected error occurred; the service's log has the cause.")

    async def _read(self, picture: Content) -> bytes:
        if not picture.url:
            return picture.content
        try:
            return await self._context.by_url.fetch(picture.url)
        except ImageError as error:
            raise _NotFetched(error) from None

    async def _run(self) -> None:
        while True:
            try:
                worked = await self.step()
            except FacegraphError as error:
                log.warning("uploads wait: %s", error)
                worked = False
            except Exception:  # accepted uploads must be enrolled, so the loop survives every error
                log.exception("uploads wait")
                worked = False
            if not worked:
                await asyncio.sleep(self._idle_s)


REPORTED = frozenset({"files", "status", "faces", "errors"})
"""Fields of an outcome that the gallery keeps: no personal data besides the person's id."""


class _NotFetched(NotRead):
    def __init__(self, error: ImageError) -> None:
        super().__init__(error.message)
        self.code = error.code


@dataclass(frozen=True)
class ServiceTarget:
    """Implements :class:`~serve_app.bulk.enroller.EnrolmentTarget` with the service of this process."""

    service: FaceService
    work: BulkWork

    async def put(self, person: str, images: Sequence[bytes], fields: Mapping[str, Any], mode: Mode) -> int:
        """See :class:`~serve_app.bulk.enroller.EnrolmentTarget`."""
        options = dict(self.work.options)
        if options.get("image_storage"):
            options["image_storage"] = ImageStorage(options["image_storage"])
        if not self.work.collection:
            raise Refused("collection_not_found", "The collection was deleted.")
        try:
            enrolment = await self.service.enroll(
                self.work.tenant, person, self.work.collection, images, person_fields(fields), mode=mode, **options
            )
        except FacegraphError as error:
            if error.status in BUSY:
                raise TargetUnreachable(error.message) from None
            raise Refused(error.code, error.message, blamed(error.details, error.status, len(images))) from None
        return len(enrolment.faces)

    async def returns(self) -> bool:
        """See :class:`~serve_app.bulk.enroller.EnrolmentTarget`; the worker tries again on its own."""
        return False
