"""Keeping faces that a search did not know, for whoever names them later."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

from serve_app.domain import CheckedFace, CollectionPolicy, ImageStorage, NewFace, QualityCode, SearchResult, Vectors
from serve_app.errors import InvalidRequest, UnknownsNotKept
from serve_app.service.new_faces import NewTemplates, new_face
from serve_app.service.operations import Operations

BEARABLE = frozenset({QualityCode.FACE_TOO_SMALL, QualityCode.FACE_TOO_CLOSE, QualityCode.FACE_CLOSE_TO_BORDER})
"""Faults that matter to a liveness decision and not to recognition."""


class KeepingOperations(Operations):
    """What a search does besides searching when it is told to keep unknown faces."""

    async def _keeping_policy(self, tenant: str, collections: Sequence[str] | None, name: str) -> CollectionPolicy:
        """Raises InvalidRequest, CollectionNotFound, UnknownsNotKept."""
        if name not in (collections or ()):
            raise InvalidRequest(f"keep_unknown names the collection {name[:100]}, which is not one that is searched.")
        policy = (await self.matcher.collection(tenant, name)).policy
        if not policy.keep_unknown_h:
            raise UnknownsNotKept(
                f"The policy of the collection {name} does not allow to keep unknown faces.", collection=name
            )
        return policy

    async def _kept(
        self, tenant: str, name: str, policy: CollectionPolicy, result: SearchResult, templates: Vectors
    ) -> SearchResult:
        """The result with where its unknown faces are kept: those that are live and that enrolment would take."""
        chosen: dict[int, NewFace] = {}
        image_id = uuid.uuid4().hex
        # Never the photograph, whatever the policy says of enrolment: others are on it, who may be known.
        storage = ImageStorage.NONE if policy.image_storage is ImageStorage.NONE else ImageStorage.THUMBNAIL
        for number, searched in enumerate(result.faces):
            face, liveness = searched.face, searched.liveness
            if face is None or searched.matches or (liveness is not None and not liveness.is_live):
                continue
            if face.quality.codes - BEARABLE or face.quality.value < policy.reject_below:
                continue
            templates_of_face = NewTemplates(result.model, templates[number])
            chosen[number] = new_face(CheckedFace(face, liveness), templates_of_face, image_id, storage)
        if not chosen:
            return result
        sightings = await self.matcher.keep_unknown(tenant, name, list(chosen.values()))
        kept = dict(zip(chosen, sightings, strict=True))
        faces = (replace(searched, unknown=kept.get(number)) for number, searched in enumerate(result.faces))
        return replace(result, faces=tuple(faces))
