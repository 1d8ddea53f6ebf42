"""Path and query parameters that several paths take, and slashes in paths.

The caller chooses the ids of persons, and they may contain a slash: ``a%2Fb`` in a path. Servers decode the path before
routes are matched, and a decoded slash looks like a separator. So another character stands for it until the path is
split into parameters.

A slash at the end means nothing, nor does a second one at the start, which clients send whose base URL ends in one.
"""

from __future__ import annotations

from typing import Annotated
from urllib.parse import unquote, unquote_to_bytes

from fastapi import Path, Query
from pydantic import BeforeValidator
from starlette.types import Scope

from serve_app.api.schemas.base import CollectionName, FaceId, PersonId, Plain
from serve_app.api.urlencoded import refuse_many_fields
from serve_app.errors import InvalidRequest

KEPT_SLASH = "\ufdd0"
"""A Unicode noncharacter, which is reserved for internal use by programs."""


def normalised(scope: Scope) -> Scope:
    """The ASGI scope of a request, with :data:`KEPT_SLASH` in place of each escaped slash of the path, and without
    superfluous slashes at the path's ends."""
    raw: bytes = scope.get("raw_path") or b""
    path: str = scope["path"]
    if b"%2f" in raw.lower():
        parts = raw.partition(b"?")[0].decode("ascii", "replace").split("/")
        path = "/".join(unquote(part).replace("/", KEPT_SLASH) for part in parts)
    root: str = scope.get("root_path", "")
    path = f"{root}/{path.removeprefix(root).strip('/')}"
    return scope if path == scope["path"] else {**scope, "path": path}


def refuse_unreadable(scope: Scope) -> None:
    """Raise InvalidRequest if the query string has too many fields, or path or query is not UTF-8.

    Servers replace bytes that are not, so that different texts would be one.
    """
    query = scope.get("query_string") or b""
    refuse_many_fields(query, "A query string")
    for what, sent in (("path", (scope.get("raw_path") or b"").partition(b"?")[0]), ("query", query)):
        try:
            unquote_to_bytes(sent).decode()
        except UnicodeDecodeError as error:
            wrong = error.object[error.start : error.end].hex(" ")
            raise InvalidRequest(f"The {what} must be UTF-8, percent-encoded; got the bytes {wrong}.") from None


def _with_slashes(value: object) -> object:
    return value.replace(KEPT_SLASH, "/") if isinstance(value, str) else value


InPathPerson = Annotated[
    PersonId,
    BeforeValidator(_with_slashes),
    Path(description="The person's id, chosen by the caller; send a slash in it as `%2F`."),
]
InPathCollection = Annotated[CollectionName, Path(description="A collection's name.")]
InPathFace = Annotated[FaceId, Path(description="An enrolled face's id.")]
InPathTask = Annotated[FaceId, Path(description="A task's id.")]
Limit = Annotated[int, Query(ge=1, le=1000, description="Items on a page.")]
Cursor = Annotated[str | None, Query(max_length=1000, description="The cursor of the previous page.")]
Filter = Annotated[
    str,
    Query(
        max_length=200,
        description="Only items whose id, name or title contains this text; case and marks on letters do not count.",
    ),
    Plain,
]
