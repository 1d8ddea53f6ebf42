"""Capture of faces that a search did not recognise, as unknowns to be named later."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace

from serve_app.domain import CheckedFace, CollectionPolicy, ImageStorage, NewFace, QualityCode, SearchResult, Vectors
from serve_app.errors import InvalidRequest, UnknownsNotKept
from serve_app.service.new_faces import NewTemplates, new_face
from serve_app.service.operations import Operations

BEARABLE = frozenset({QualityCode.FACE_TOO_SMALL, QualityCode.FACE_TOO_CLOSE, QualityCode.FACE_CLOSE_TO_BORDER})
"""Defects that affect a liveness decision but not recognition."""


class UnknownCaptureOperations(Operations):
    """Steps of a search that keeps unknown faces."""

    async def _keeping_policy(self, tenant: str, collections: Sequence[str] | None, name: str) -> CollectionPolicy:
        """The policy of the collection that unknown faces are to be kept in.

        Raises:
            InvalidRequest: the collection is not among the searched ones.
            CollectionNotFound.
            UnknownsNotKept: the policy forbids it.
        """
        if name not in (collections or ()):
            raise InvalidRequest(f"keep_unknown must name one of the searched collections, got {name[:100]}.")
        policy = (await self.matcher.collection(tenant, name)).policy
        if not policy.keep_unknown_h:
            raise UnknownsNotKept(
                f"The policy of the collection {name} does not allow searches to keep unknown faces.", collection=name
            )
        return policy

    async def _kept(
        self, tenant: str, name: str, policy: CollectionPolicy, result: SearchResult, templates: Vectors
    ) -> SearchResult:
        """Keep faces without matches that are live and good enough to enrol; the result then names their unknowns."""
        chosen: dict[int, NewFace] = {}
        image_id = uuid.uuid4().hex
        # Never the full image, even if the policy keeps it at enrolment: it can show other people, who are known.
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
