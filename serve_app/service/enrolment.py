"""Enrolment: pictures of a person into a collection, all of them or none."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from serve_app.domain import (
    Appearance,
    CollectionPolicy,
    DetectOptions,
    Enrolment,
    GalleryQuery,
    ImageStorage,
    NewFace,
    PersonFields,
    QualityCode,
    ThresholdRequest,
)
from serve_app.errors import DuplicateFace, LivenessRequired
from serve_app.score import check_threshold
from serve_app.service.operations import (
    NOTHING,
    EnrolmentChoice,
    Operations,
    main_face,
    refuse_not_live,
    refuse_poor,
    refuse_unfit,
)
from serve_app.vision.image import encode_jpeg


class EnrolmentOperations(Operations):
    """How persons and faces get into the gallery."""

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
        """Create or update a person from any number of pictures, all of them or none.

        Args:
            mode: whether the pictures replace the person's faces or add to them; without pictures the faces stay.
            faces: ``one`` refuses a picture where a second face is about as large; ``largest`` takes the largest.
            liveness: None follows the collection's policy; True checks anyway, by the policy's threshold.
            image_storage: what to keep of the pictures; None follows the collection's policy.
            reject: refuse a face that has one of these faults.
            min_face_side: refuse a face that is narrower or lower, in pixels.
            reject_below: refuse a face of a lower quality; the collection's policy may demand more.
            check_duplicates: refuse a face that somebody else in the collection has already. Two such requests at the
                same moment do not see each other.
            duplicate_min_score: the score from which it is the same face, 0 to 1; None as a search decides.

        Raises:
            CollectionNotFound, PersonExists; ImageError, FaceError, DuplicateFace with ``details["image"]``, the
            picture's position from 0.
        """
        check_threshold(ThresholdRequest(duplicate_min_score))
        policy = (await self.matcher.collection(tenant, collection)).policy
        policy = replace(policy, reject_below=max(policy.reject_below, reject_below))
        checks_liveness = policy.liveness or bool(liveness)
        storage = image_storage or policy.image_storage

        async def write(policy: CollectionPolicy, liveness: bool) -> Enrolment:
            new = await self._new_faces(images, faces, reject, min_face_side, policy, liveness, storage)
            if check_duplicates:
                await self._refuse_duplicates(tenant, person_id, collection, new, duplicate_min_score)
            return await self.matcher.put_person(tenant, person_id, (collection,), fields, new, mode, must_be_new)

        try:
            return await write(policy, checks_liveness)
        except LivenessRequired as required:  # by another collection of the same person
            return await write(replace(policy, liveness=True, liveness_threshold=required.details["threshold"]), True)

    async def _refuse_duplicates(
        self, tenant: str, person_id: str, collection: str, new: Sequence[NewFace], min_score: float | None
    ) -> None:
        if not new:
            return
        query = GalleryQuery(
            probes=np.stack([face.template for face in new]),
            model=new[0].model,
            collections=(collection,),
            max_results=2,  # the person and the nearest other one
            threshold=ThresholdRequest(min_score),
            liveness_threshold=1.0,  # a search by the service itself: nothing of it is reported to a stranger
        )
        answer = await self.matcher.search(tenant, query)
        for index, matches in enumerate(answer.matches):
            for match in matches:
                if match.person is None or match.person.id != person_id:
                    other = match.person.id if match.person else match.face.id
                    raise DuplicateFace(
                        f"The face on picture {index} belongs to {other!r} already, with a score of {match.score:.2f}.",
                        image=index,
                        person_id=other,
                        score=match.score,
                    )

    async def _new_faces(
        self,
        images: Sequence[bytes],
        choice: EnrolmentChoice,
        reject: Collection[QualityCode],
        min_face_side: float,
        policy: CollectionPolicy,
        liveness: bool,
        storage: ImageStorage,
    ) -> list[NewFace]:
        options = DetectOptions(liveness=liveness)
        detections = await asyncio.gather(
            *(self._one_detection(image, index, options) for index, image in enumerate(images))
        )
        found = [main_face(detection, choice, image=index) for index, detection in enumerate(detections)]
        for index, face in enumerate(found):
            refuse_unfit(face, reject, image=index, min_side=min_face_side)
            refuse_poor(face, policy.reject_below, index)
        checked, templates = await asyncio.gather(
            self._checked(found, liveness, policy.liveness_threshold),
            self._embed_new(found),
        )
        for index, item in enumerate(checked):
            refuse_not_live(item.liveness, image=index)
        return [
            NewFace(
                template=new.template,
                model=new.model,
                further=new.further,
                image_id=uuid.uuid4().hex,
                box=item.face.box,
                quality=item.face.quality.value,
                detection_score=item.face.detection_score,
                storage=storage,
                thumbnail=None if storage is ImageStorage.NONE else encode_jpeg(item.face.crop),
                photograph=image if storage is ImageStorage.FULL else None,
                liveness=item.liveness.probability if item.liveness else None,
                appearance=Appearance.of(item.face),
            )
            for image, item, new in zip(images, checked, templates, strict=True)
        ]
