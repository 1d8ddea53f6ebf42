"""Enrolment of a person's images into a collection: all of them or none."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Literal

from serve_app.domain import (
    CheckedFace,
    DetectedFace,
    Enrolment,
    ImageStorage,
    NewFace,
    PersonFields,
    QualityCode,
    ThresholdRequest,
)
from serve_app.score import check_threshold
from serve_app.service.face_checks import NOTHING, EnrolmentChoice, refuse_not_live, refuse_poor, refuse_unfit
from serve_app.service.new_faces import new_face
from serve_app.service.operations import Operations


class EnrolmentOperations(Operations):
    """Operations that enrol persons and their faces."""

    async def enroll(
        self,
        tenant: str,
        person_id: str,
        collection: str,
        images: Sequence[bytes] = (),
        fields: PersonFields = PersonFields(),
        *,
        mode: Literal["replace", "add"] = "replace",
        faces: EnrolmentChoice = "one",
        liveness: bool | None = None,
        image_storage: ImageStorage | None = None,
        must_be_new: bool = False,
        reject: Collection[QualityCode] = NOTHING,
        min_face_side: float = 0.0,
        reject_below: float = 0.0,
        check_duplicates: bool = False,
        duplicate_min_score: float | None = None,
    ) -> Enrolment:
        """Create or update a person from any number of images; all images are enrolled or none.

        Args:
            mode: whether the images replace the person's faces or add to them; without images the faces stay.
            faces: ``one`` refuses an image in which a second face is about as large; ``largest`` takes the largest.
            liveness: True checks liveness even if the collection's policy does not demand it, by the policy's
                threshold; None and False follow the policy.
            image_storage: what to keep of the images; None follows the collection's policy.
            must_be_new: refuse a person that exists.
            reject: refuse a face that has one of these defects.
            min_face_side: refuse a face that is narrower or lower, in pixels.
            reject_below: refuse a face of lower quality; the collection's policy can demand more.
            check_duplicates: refuse a face that belongs to another person of the collection. Of such requests for the
                same face at the same time, one is accepted.
            duplicate_min_score: score from which two faces are the same, 0 to 1; None decides as a search does.

        Raises CollectionNotFound, PersonExists; ImageError, FaceError, DuplicateFace: with ``details["image"]``, the
        image's position from 0.
        """
        check_threshold(ThresholdRequest(duplicate_min_score))
        policy = (await self.matcher.collection(tenant, collection)).policy
        check_liveness = policy.liveness or bool(liveness)
        storage = image_storage or policy.image_storage
        found = await self._detect_each(images, faces, check_liveness)
        for index, face in enumerate(found):
            refuse_unfit(face, reject, image=index, min_side=min_face_side)
            refuse_poor(face, max(policy.reject_below, reject_below), index)

        duplicates = ThresholdRequest(duplicate_min_score) if check_duplicates else None

        async def write(new: Sequence[NewFace]) -> Enrolment:
            return await self.matcher.put_person(
                tenant, person_id, (collection,), fields, new, mode, must_be_new, duplicates
            )

        threshold = policy.liveness_threshold if check_liveness else None
        return await self._write_faces(images, found, storage, write, threshold)

    async def _write_faces(
        self,
        images: Sequence[bytes],
        found: Sequence[DetectedFace],
        storage: ImageStorage,
        write: Callable[[Sequence[NewFace]], Awaitable[Enrolment]],
        live_from: float | None = None,
    ) -> Enrolment:
        """Enrol one face of each image with ``write``, checking liveness if a collection demands it.

        Args:
            found: the face of each image; with liveness crops if ``live_from`` is given.
            storage: what to keep of the images.
            live_from: check liveness by this threshold in any case.

        Raises FaceNotLive with ``details["image"]``. Also the errors of ``write``.
        """
        checked, templates = await asyncio.gather(
            self._checked(found, live_from is not None, live_from), self._embed_new(found)
        )

        async def attempt(checked: Sequence[CheckedFace], demanded: float | None) -> Enrolment:
            for index, each in enumerate(checked):
                refuse_not_live(each.liveness, image=index)
            parts = zip(images, checked, templates, strict=True)
            return await write([new_face(face, made, uuid.uuid4().hex, storage, image) for image, face, made in parts])

        found_on = [(image, [each]) for image, each in zip(images, checked, strict=True)]
        return await self._meeting_demand(found_on, attempt)
