"""Request forms of the 9thSense dialect, with the vendor's field names."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field, WithJsonSchema

from serve_app.api.schemas.base import Body, Reference, Separated, UploadField
from serve_app.score import DEFAULT_MIN_SCORE

MAX_INDEXES = 100

SeparatedIds = Annotated[
    list[Reference],
    Separated,
    WithJsonSchema({"type": "string", "description": "Comma-separated list of face database ids to search against."}),
]


class _Form(Body):
    # The vendor's page does not mention unknown fields, so a client that sends more fields must not fail.
    model_config = ConfigDict(extra="ignore")


class NinthSenseSearchForm(_Form):
    """A search."""

    source_image: UploadField = Field(description="The face image to search for.")
    target_index_ids: SeparatedIds = Field(min_length=1, max_length=MAX_INDEXES, fail_fast=True)
    min_match_score: float = Field(
        100 * DEFAULT_MIN_SCORE, ge=0, le=100, description="Minimum match score threshold (0-100)."
    )
    max_results: int = Field(5, ge=1, le=10_000, description="Maximum number of matches to return.")


class NinthSenseMatchForm(_Form):
    """Two images to compare."""

    source_image: UploadField = Field(description="The face image to check.")
    target_image: UploadField = Field(description="The face image to compare with.")
