"""Path and query parameters that several native routes take."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path, Query

from serve_app.api.schemas.base import CollectionName, FaceId, Text

InPathCollection = Annotated[CollectionName, Path(description="A collection's name.")]
InPathFace = Annotated[FaceId, Path(description="An enrolled face's id.")]
InPathTask = Annotated[FaceId, Path(description="A task's id.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Items on a page.")]
Cursor = Annotated[str | None, Query(max_length=1000, description="The cursor of the previous page.")]
Filter = Annotated[Text, Query(max_length=200, description="Only items whose id, name or title contains this text.")]
