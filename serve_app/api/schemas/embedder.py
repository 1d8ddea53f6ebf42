"""The embedder in use, and the progress of a change to another one."""

from __future__ import annotations

from pydantic import Field

from serve_app.api.schemas.base import Answer, View
from serve_app.domain import ChangeState


class EmbedderView(View):
    """The embedder and its change; counts are those of the caller's tenant."""

    state: ChangeState = Field(
        description="none: no change. embedding: the target embeds the stored crops. waiting: only faces without a "
        "stored crop are left. finishing: searches use the new model, the old templates are being deleted.",
        examples=["embedding"],
    )
    active: str = Field(description="The model that searches use.", examples=["sface-2021dec"])
    target: str | None = Field(description="The model to change to; null without a change.", examples=["fr-feature"])
    faces: int = Field(description="Number of faces.", examples=[1200])
    done: int = Field(description="Faces with a template of the target, or else of the active model.", examples=[900])
    without_image: int = Field(
        description="Faces without a template and without a stored crop: enrol these persons again.", examples=[3]
    )


class LeftBehindView(View):
    """A person or face that cannot be embedded again because no crop is stored."""

    person_id: str | None = Field(description="null: an unassigned face.", examples=["ada"])
    face_ids: list[str] = Field(description="The faces without a template.", examples=[["0" * 32]])
    remaining: int = Field(description="The person's other faces; 0: not found after the change.", examples=[0])


class LeftBehindPage(Answer):
    """A page; `cursor` fetches the next one."""

    left_behind: list[LeftBehindView]
    cursor: str | None
