"""Which embedder is in use, and how far a change to another one has come."""

from __future__ import annotations

from pydantic import Field

from serve_app.api.schemas.base import Answer, View
from serve_app.domain import ChangeState


class EmbedderView(View):
    """The embedder and its change, counted over the faces of the caller's tenant."""

    state: ChangeState = Field(
        description="none: no change. embedding: stored crops are being embedded by the target. waiting: only faces "
        "without a stored crop are left. finishing: searches use the new model, the old templates are cleared away.",
        examples=["embedding"],
    )
    active: str = Field(description="What searches use.", examples=["sface-2021dec"])
    target: str | None = Field(description="What they will use; null without a change.", examples=["fr-feature"])
    faces: int = Field(description="All faces.", examples=[1200])
    done: int = Field(description="Those that the target (else the active model) has a template of.", examples=[900])
    without_image: int = Field(
        description="Those of the others that no crop is stored of: enrol these persons again.", examples=[3]
    )


class LeftBehindView(View):
    """Somebody who cannot be embedded for want of a stored crop."""

    person_id: str | None = Field(description="null: a face without a person.", examples=["ada"])
    face_ids: list[str] = Field(description="The faces without a template.", examples=[["0" * 32]])
    remaining: int = Field(description="The person's other faces; 0: not found at all after the switch.", examples=[0])


class LeftBehindPage(Answer):
    """One page; ``cursor`` fetches the next one."""

    left_behind: list[LeftBehindView]
    cursor: str | None
