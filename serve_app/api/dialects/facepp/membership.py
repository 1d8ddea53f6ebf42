"""Adding faces to FaceSets and removing them, for direct requests and tasks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serve_app.api.api_context import ApiContext
from serve_app.api.dialects.facepp.identifiers import outer_id_of
from serve_app.domain import Collection, UnassignedFacesChange

MAX_FACES = 10_000
"""Face++'s limit of faces in a FaceSet; the native API has no such limit."""


async def add(context: ApiContext, tenant: str, collection: Collection, tokens: Sequence[str]) -> UnassignedFacesChange:
    """Add faces to a FaceSet."""
    return await context.service.matcher.attach_faces(tenant, collection.name, tokens, limit=MAX_FACES)


def added(change: UnassignedFacesChange) -> dict[str, Any]:
    """The fields of the response."""
    return _fields(change, "face_added")


async def remove(
    context: ApiContext, tenant: str, collection: Collection, tokens: Sequence[str] | None
) -> dict[str, Any]:
    """Remove faces from a FaceSet; None removes all. Returns the fields of the response."""
    change = await context.service.matcher.detach_faces(tenant, collection.name, tokens)
    return _fields(change, "face_removed")


def _fields(change: UnassignedFacesChange, number: str) -> dict[str, Any]:
    failed = [{"face_token": token, "reason": "INVALID_FACE_TOKEN"} for token in change.unknown]
    failed += [{"face_token": token, "reason": "QUOTA_EXCEEDED"} for token in change.refused]
    return {
        "faceset_token": change.collection.id,
        "outer_id": outer_id_of(change.collection),
        number: len(change.changed),
        "face_count": change.collection.face_count,
        "failure_detail": failed,
    }
