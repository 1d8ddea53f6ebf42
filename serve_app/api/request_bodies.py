"""Request bodies: JSON and multipart forms are read into the same model, and the OpenAPI document shows both.

The texts of a form become fields of the model (pydantic converts them to numbers and booleans), a field that is sent
several times becomes a list, and files become :class:`~serve_app.api.schemas.base.Upload`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from functools import cache, partial
from typing import Any, TypeVar

from fastapi import Request
from pydantic import ValidationError

from serve_app.api.api_context import ApiContext
from serve_app.api.errors import MediaTypeUnsupported, from_pydantic
from serve_app.api.multipart import Part, parts_of
from serve_app.api.openapi_docs import SCHEMA_PREFIX
from serve_app.api.parsing import parsed
from serve_app.api.schemas.base import BINARY, Body, FormValues, Upload
from serve_app.api.urlencoded import MAX_FIELDS
from serve_app.errors import InvalidRequest

B = TypeVar("B", bound=Body)

JSON = "application/json"
FORM = "multipart/form-data"

EXAMPLE_BASE64 = "/9j/4AAQSkZJRgABAQAAAQABAAD..."
EXAMPLE_FILE = "(an image)"


async def read_body(
    request: Request, context: ApiContext, model: type[B], *, max_files: int = 0, most_values: int | None = None
) -> B:
    """Read the request's body as ``model``: JSON, or a form with up to ``max_files`` files if that is not 0.

    ``most_values``: of a JSON body, if they are not those of the model.
    Raises InvalidRequest, MediaTypeUnsupported or RequestTooLarge.
    """
    kind = media_type(request)
    encoding = request.headers.get("content-encoding", "identity")
    if encoding.strip().lower() not in ("identity", ""):
        raise MediaTypeUnsupported(
            f"The body's Content-Encoding is {encoding[:100]!r}; bodies are read as they are sent, without one.",
            accepted=["identity"],
        )
    if kind == JSON:
        content = await request.body() or b"{}"
        return await parsed(len(content), _checked, model, partial(model.from_json, most=most_values), content)
    if kind == FORM and max_files:
        content = await request.body()
        return await parsed(len(content), _checked, model, partial(_from_form, model, request, max_files), content)
    if not kind and not await request.body():
        return _checked(model, model.from_json, b"{}")
    raise unsupported(kind, [JSON, FORM] if max_files else [JSON])


def _checked(model: type[B], read: Callable[[bytes], B], content: bytes) -> B:
    try:
        return read(content)
    except ValidationError as error:
        raise from_pydantic(error, model) from None


def media_type(request: Request) -> str:
    """The media type of the body in lower case, without parameters; empty if there is no Content-Type."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def unsupported(kind: str, accepted: list[str]) -> MediaTypeUnsupported:
    """The error for a body of another media type than the accepted ones."""
    return MediaTypeUnsupported(
        f"The body's Content-Type is {kind[:100]!r}; this path reads {' or '.join(accepted)}.", accepted=accepted
    )


def form_parts(request: Request, content: bytes) -> list[Part]:
    """The parts of a form, the request's body. Raises InvalidRequest."""
    return parts_of(content, request.headers["content-type"], MAX_FIELDS)


def _from_form(model: type[B], request: Request, max_files: int, content: bytes) -> B:
    files = file_fields(model)
    values: dict[str, list[Any]] = {}
    uploads = 0
    for part in form_parts(request, content):
        is_upload = part.name in files and (part.as_file or not _is_text(part.content))
        uploads += is_upload
        values.setdefault(part.name, []).append(Upload(part.content) if is_upload else part.text)
    if uploads > max_files:
        raise InvalidRequest(f"Too many files: at most {max_files} was expected, got {uploads}.", limit=max_files)
    return model.model_validate(
        {name: several[0] if len(several) == 1 else FormValues(several) for name, several in values.items()}
    )


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


@cache
def file_fields(model: type[Body]) -> frozenset[str]:
    """The names of the model's fields that are files."""
    properties = model.model_json_schema(by_alias=False)["properties"]
    return frozenset(name for name, field in properties.items() if any(map(_is_binary, (field, *_branches(field)))))


def _is_binary(schema: Mapping[str, Any] | None) -> bool:
    return schema is not None and BINARY.items() <= schema.items()


def at_most(name: str, value: int, most: int) -> None:
    """Refuse a number above its limit. Raises InvalidRequest."""
    if value > most:
        raise InvalidRequest(f"{name}: at most {most} was expected, got {value}", limit=most)


def exactly_one(ways: Mapping[str, Any]) -> str:
    """The name of the one field of these that was sent (is not None). Raises InvalidRequest unless it is one."""
    given = [name for name, value in ways.items() if value is not None]
    if len(given) != 1:
        raise InvalidRequest(
            f"Send exactly one of {', '.join(ways)}; got {' and '.join(given) or 'none'}.",
            expected=list(ways),
            got=given,
        )
    return given[0]


def body_docs(model: type[Body], example: Mapping[str, Any], form: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """``openapi_extra`` of a path that reads ``model`` with :func:`read_body`, with examples of a JSON body and of a
    form's fields; None if the path reads JSON only."""
    schema = model.model_json_schema(ref_template=SCHEMA_PREFIX + "{model}", by_alias=False)
    as_json = copy.deepcopy(schema)
    for name in file_fields(model):
        del as_json["properties"][name]
    content = {JSON: {"schema": as_json, "example": dict(example)}}
    if form is not None:
        properties = {name: _without_null(field) for name, field in schema["properties"].items()}
        as_form = {**schema, "title": f"{schema['title']}Form", "properties": properties}
        content[FORM] = {"schema": as_form, "example": dict(form)}
    return {"requestBody": {"required": True, "content": content}}


def form_docs(model: type[Body], example: Mapping[str, Any]) -> dict[str, Any]:
    """``openapi_extra`` of a path that reads ``model`` from forms only."""
    documented = body_docs(model, {}, form=example)
    content = documented["requestBody"]["content"]
    content[FORM]["schema"]["title"] = model.__name__
    del content[JSON]
    return documented


def _without_null(field: Mapping[str, Any]) -> dict[str, Any]:
    """A field's schema without null: forms cannot send it, and clients do not recognise a file in a union with null."""
    branches = [branch for branch in field.get("anyOf", ()) if branch != {"type": "null"}]
    others = {key: value for key, value in field.items() if key != "anyOf" and (key, value) != ("default", None)}
    return {**branches[0], **others} if len(branches) == 1 else {**others, **({"anyOf": branches} if branches else {})}


def _branches(field: Mapping[str, Any]) -> list[Any]:
    """The schemas of the field's type inside unions (optional fields) and arrays (repeated fields)."""
    return [*field.get("anyOf", ()), field.get("items")]
