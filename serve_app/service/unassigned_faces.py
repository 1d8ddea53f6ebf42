"""Faces without a person: from a picture into the gallery, and compared with one another by their ids."""

from __future__ import annotations

import uuid

from serve_app.domain import DetectOptions, ImageStorage, RegisteredFaces
from serve_app.errors import ImageDimensions, InvalidRequest
from serve_app.service.new_faces import new_face
from serve_app.service.operations import Operations


class RegisteringOperations(Operations):
    """What is done with faces that stand for themselves."""

    async def register_faces(
        self,
        tenant: str,
        image: bytes,
        *,
        storage: ImageStorage,
        liveness: bool = False,
        min_side: int = 1,
        max_side: int | None = None,
    ) -> RegisteredFaces:
        """Store every face of a picture without a person; they expire unless they are put into a collection.

        Args:
            storage: what to keep of the picture.
            liveness: also check and record it, for collections that demand it.
            min_side, max_side: pixels that each side of the picture must have.

        Raises:
            ImageError; ImageDimensions by the sides. LivenessUnavailable.
        """
        options = DetectOptions(max_faces=self.max_faces, liveness=liveness, every=True)
        detection = await self.detector.detect(image, options)
        sides = (detection.image.width, detection.image.height)
        if min(sides) < min_side or (max_side is not None and max(sides) > max_side):
            raise ImageDimensions(
                f"A picture of {min_side} to {max_side} pixels a side was expected, got {sides[0]} x {sides[1]}.",
                width=sides[0],
                height=sides[1],
            )
        checked = await self._checked(detection.faces, liveness)
        templates = await self._embed_new(detection.faces)
        image_id = uuid.uuid4().hex
        faces = [
            new_face(each, of_face, image_id, storage, image) for each, of_face in zip(checked, templates, strict=True)
        ]
        stored = await self.matcher.add_faces(tenant, faces)
        return RegisteredFaces(detection.image, image_id, stored, detection.faces)

    async def similarity(self, tenant: str, first_id: str, second_id: str) -> float:
        """The calibrated score, 0 to 1, of two stored faces.

        Raises:
            FaceIdNotFound; InvalidRequest if different models embedded them (one of them was left behind by a change).
        """
        first, a = await self.matcher.template(tenant, first_id)
        second, b = await self.matcher.template(tenant, second_id)
        if first.model != second.model:
            raise InvalidRequest(
                f"Faces embedded by one model can be compared, these are of {first.model} and {second.model}."
            )
        return self._score(first.model, float(a[0] @ b[0]))
