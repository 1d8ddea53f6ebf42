"""Unassigned faces: enrolment from an image, and comparison by id."""

from __future__ import annotations

import uuid

from serve_app.domain import DetectOptions, ImageStorage, RegisteredFaces
from serve_app.errors import ImageDimensions, InvalidRequest
from serve_app.service.new_faces import new_face
from serve_app.service.operations import Operations


class UnassignedFacesOperations(Operations):
    """Operations on unassigned faces."""

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
        """Store every face of an image as an unassigned face; it expires unless it is added to a collection.

        Args:
            storage: what to keep of the image.
            liveness: also check and record liveness, for collections that demand it.
            min_side, max_side: bounds for each side of the image in pixels; None for no upper bound.

        Raises ImageDimensions if a side is outside the bounds; ImageError, LivenessUnavailable.
        """
        options = DetectOptions(max_faces=self.max_faces, liveness=liveness, every=True)
        detection = await self.detector.detect(image, options)
        sides = (detection.image.width, detection.image.height)
        if min(sides) < min_side or (max_side is not None and max(sides) > max_side):
            bounds = f"at least {min_side}" if max_side is None else f"{min_side} to {max_side}"
            text = f"Expected an image with sides of {bounds} pixels, got {sides[0]} x {sides[1]}."
            raise ImageDimensions(text, width=sides[0], height=sides[1])
        checked = await self._checked(detection.faces, liveness)
        templates = await self._embed_new(detection.faces)
        image_id = uuid.uuid4().hex
        parts = zip(checked, templates, strict=True)
        new = [new_face(face, made, image_id, storage, image) for face, made in parts]
        stored = await self.matcher.add_faces(tenant, new)
        return RegisteredFaces(detection.image, image_id, stored, detection.faces)

    async def similarity(self, tenant: str, first_id: str, second_id: str) -> float:
        """The calibrated score, 0 to 1, of two stored faces.

        Raises FaceIdNotFound; InvalidRequest if the faces have templates of different models (one was left behind by a
        change of embedder).
        """
        first, a = await self.matcher.template(tenant, first_id)
        second, b = await self.matcher.template(tenant, second_id)
        if first.model != second.model:
            raise InvalidRequest(
                "Only faces with templates of the same model can be compared, "
                f"these have templates of {first.model} and {second.model}."
            )
        return self._score(first.model, float(a[0] @ b[0]))
