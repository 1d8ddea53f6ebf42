"""Request bodies of the ARGOS dialect, with the vendor's field names."""

# ruff: noqa: N815

from __future__ import annotations

from pydantic import ConfigDict, Field

from serve_app.api.schemas.base import Body, ImageText, Reference


class _ArgosBody(Body):
    # All fields are optional: the routes check them in the order of ARGOS's codes. Unknown fields are ignored.
    model_config = ConfigDict(extra="ignore")

    collectionId: Reference | None = Field(None, description="The collection's id, or its name.")
    userName: str | None = Field(None, max_length=1000, description="The name that belongs to the face.")
    faceImage: ImageText | None = Field(
        None, description="JPEG, PNG or BMP of at most 5 MB as base64, bare or as a `data:` URL."
    )


class ArgosFaceBody(_ArgosBody):
    """A face to add."""

    model_config = ConfigDict(json_schema_extra={"required": ["collectionId", "userName", "faceImage"]})


class ArgosSearchBody(_ArgosBody):
    """A search. The name is returned in the response; it can be sent as `userName`, as in the vendor's sample."""

    model_config = ConfigDict(json_schema_extra={"required": ["collectionId", "faceImage"]})

    requestName: str | None = Field(None, max_length=1000, description="The name that belongs to the request.")
