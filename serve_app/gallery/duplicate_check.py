"""Check for duplicates at enrolment: refuses faces that belong to another person of the collections."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from serve_app.domain import GalleryAnswer, GalleryQuery, NewFace, ThresholdRequest
from serve_app.errors import DuplicateFace


def refuse_duplicates(
    search: Callable[[str, GalleryQuery], GalleryAnswer],
    tenant: str,
    person_id: str,
    collections: Sequence[str],
    faces: Sequence[NewFace],
    threshold: ThresholdRequest,
) -> None:
    """Raise DuplicateFace if ``search`` finds another person than ``person_id`` for one of the faces (at least one)."""
    query = GalleryQuery(
        probes=np.stack([face.template for face in faces]),
        model=faces[0].model,
        collections=tuple(collections),
        max_results=2,  # the person and the nearest other one
        threshold=threshold,
        liveness_threshold=1.0,  # passes every liveness policy: this search only guards the enrolment
    )
    for index, matches in enumerate(search(tenant, query).matches):
        for match in matches:
            if match.person is None or match.person.id != person_id:
                other = match.person.id if match.person else match.face.id
                text = f"The face in image {index} already belongs to {other!r}, with a score of {match.score:.2f}."
                raise DuplicateFace(text, image=index, person_id=other, score=match.score)
