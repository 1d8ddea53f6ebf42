"""Adding faces to FaceSets and taking them out, at once and as tasks alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from serve_app.api.api_context import ApiContext
from serve_app.api.dialects.facepp.identifiers import outer_id_of
from serve_app.domain import Collection, UnassignedFacesChange

MAX_FACES = 10_000
"""Of a FaceSet, as Face++ has it; the native API knows no such limit."""


async def add(context: ApiContext, tenant: str, collection: Collection, tokens: Sequence[str]) -> UnassignedFacesChange:
    """Put faces into a FaceSet."""
    return await context.service.matcher.attach_faces(tenant, collection.name, tokens, limit=MAX_FACES)


def added(change: UnassignedFacesChange) -> dict[str, Any]:
    """The answer's fields."""
    return _fields(change, "face_added")


async def remove(
    context: ApiContext, tenant: str, collection: Collection, tokens: Sequence[str] | None
) -> dict[str, Any]:
    """Take faces out of a FaceSet; the answer's fields."""
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
