"""Adding faces to FaceSets and taking them out, at once and as tasks alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from serve_app.api.api_context import ApiContext
from serve_app.api.dialects.facepp.common import FacesetParams, tokens_of
from serve_app.api.dialects.facepp.errors import missing
from serve_app.api.dialects.facepp.outer_ids import outer_id_of
from serve_app.api.dialects.facepp.views import FaceppAnswer
from serve_app.api.schemas.base import Answer
from serve_app.domain import Collection, UnassignedFacesChange

MAX_FACES = 10_000
"""Of a FaceSet, as Face++ has it; the native API knows no such limit."""

MAX_REMOVED = 1000
EVERYTHING = "RemoveAllFaceTokens"


class AddParams(FacesetParams):
    """Faces to add."""

    face_tokens: str = Field(description="Up to five, separated by commas.")


class RemoveParams(FacesetParams):
    """Faces to take out."""

    face_tokens: str | None = Field(None, description="Up to 1,000, separated by commas, or `RemoveAllFaceTokens`.")
    face_token: str | None = Field(None, description="As some clients misspell it.")

    def tokens(self) -> list[str] | None:
        """The tokens; None for all. Raises Refused."""
        sent = self.face_tokens if self.face_tokens is not None else self.face_token
        if sent is None:
            raise missing("face_tokens")
        return None if sent.strip() == EVERYTHING else tokens_of(sent, MAX_REMOVED)


class FaceppFailure(Answer):
    """A face that was left out."""

    face_token: str
    reason: str = Field(description="INVALID_FACE_TOKEN or QUOTA_EXCEEDED.")


class FaceppAdded(FaceppAnswer):
    """What was added."""

    faceset_token: str
    outer_id: str
    face_added: int
    face_count: int = Field(description="Faces in the FaceSet now.")
    failure_detail: list[FaceppFailure]


class FaceppRemoved(FaceppAnswer):
    """What was taken out."""

    faceset_token: str
    outer_id: str
    face_removed: int
    face_count: int = Field(description="Faces in the FaceSet now.")
    failure_detail: list[FaceppFailure]


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
