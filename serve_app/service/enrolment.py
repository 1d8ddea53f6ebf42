"""Enrolment: pictures of a person into a collection, all of them or none."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import Literal

from serve_app.domain import CollectionPolicy, DetectOptions, Enrolment, ImageStorage, NewFace, PersonFields
from serve_app.errors import FaceNotLive, LivenessRequired
from serve_app.service.base import EnrolmentChoice, Operations, main_face
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
    ) -> Enrolment:
        """Create or update a person from any number of pictures, all of them or none.

        Args:
            mode: whether the pictures replace the person's faces or add to them; without pictures the faces stay.
            faces: ``one`` refuses a picture where a second face is about as large; ``largest`` takes the largest.
            liveness: None follows the collection's policy; True checks anyway, by the policy's threshold.
            image_storage: what to keep of the pictures; None follows the collection's policy.

        Raises:
            CollectionNotFound; ImageError, FaceError with ``details["image"]``, the picture's position from 0.
        """
        policy = (await self.matcher.collection(tenant, collection)).policy
        checks_liveness = policy.liveness or bool(liveness)
        storage = image_storage or policy.image_storage
        try:
            new = await self._new_faces(images, faces, policy, checks_liveness, storage)
            return await self.matcher.put_person(tenant, person_id, (collection,), fields, new, mode, must_be_new)
        except LivenessRequired as required:  # by another collection of the same person
            policy = replace(policy, liveness=True, liveness_threshold=required.details["threshold"])
            new = await self._new_faces(images, faces, policy, True, storage)
            return await self.matcher.put_person(tenant, person_id, (collection,), fields, new, mode, must_be_new)

    async def _new_faces(
        self,
        images: Sequence[bytes],
        choice: EnrolmentChoice,
        policy: CollectionPolicy,
        liveness: bool,
        storage: ImageStorage,
    ) -> list[NewFace]:
        options = DetectOptions(liveness=liveness)
        detections = await asyncio.gather(
            *(self._one_detection(image, index, options) for index, image in enumerate(images))
        )
        found = [main_face(detection, choice, image=index) for index, detection in enumerate(detections)]
        checked, templates = await asyncio.gather(
            self._checked(found, liveness, policy.liveness_threshold),
            self.embedder.embed([face.crop for face in found]),
        )
        for index, face in enumerate(checked):
            if face.liveness is not None and not face.liveness.is_live:
                raise FaceNotLive(
                    f"The face on picture {index} is not live: probability {face.liveness.probability:.2f}, "
                    f"needed {face.liveness.threshold:.2f}.",
                    image=index,
                    probability=face.liveness.probability,
                    threshold=face.liveness.threshold,
                )
        return [
            NewFace(
                template=template,
                model=self.model,
                image_id=uuid.uuid4().hex,
                box=face.face.box,
                quality=face.face.quality.value,
                detection_score=face.face.detection_score,
                storage=storage,
                thumbnail=None if storage is ImageStorage.NONE else encode_jpeg(face.face.crop),
                photograph=image if storage is ImageStorage.FULL else None,
                liveness=face.liveness.probability if face.liveness else None,
            )
            for image, face, template in zip(images, checked, templates, strict=True)
        ]
