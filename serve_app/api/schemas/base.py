"""Base classes and field types of all requests and responses."""

from __future__ import annotations

import codecs
import datetime as dt
from dataclasses import dataclass
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)
from pydantic_core import from_json

from serve_app.domain.names import MAX_NAME, NAME_RULE, is_name
from serve_app.domain.texts import in_utc, no_control, no_number, one_line
from serve_app.errors import InvalidRequest
from serve_app.json_bounds import has_more_values
from serve_app.known_names import refuse_repeated_names


class Body(BaseModel):
    """A request body, from JSON or from a form. Unknown fields are refused, so that typing errors are noticed.

    Each text, list and mapping has a bound. ``contentEncoding`` marks texts that the limits of images bound.
    """

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)

    @classmethod
    def most_values(cls, size: int) -> int:
        """Values that a JSON object of ``size`` bytes may have, all levels together; its fields do not allow more."""
        return 12_000

    @classmethod
    def from_json(cls, content: bytes, most: int | None = None) -> Self:
        """Read a JSON object with at most ``most`` values, by default :meth:`most_values`.

        A byte-order mark before it is left out. Raises ValidationError, and InvalidRequest if it has more values, or a
        name twice in one object.
        """
        content = content.removeprefix(codecs.BOM_UTF8)
        most = cls.most_values(len(content)) if most is None else most
        if has_more_values(content, most):
            raise InvalidRequest(f"A JSON object of at most {most} values was expected; this one has more.")
        read = cls.model_validate_json(content)
        try:
            refuse_repeated_names(content)
        except ValueError as error:
            raise InvalidRequest(f"body: {error}") from None
        return read


class Answer(BaseModel):
    """A response, or a part of one."""

    model_config = ConfigDict(frozen=True, ser_json_inf_nan="null")


class View(Answer):
    """A response, or a part of one, whose fields have the names of a domain value's attributes.

    A field with a view as its type also accepts the domain value itself.
    """

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def of(cls, value: Any) -> Self:
        """Build from the domain value."""
        return cls.model_validate(value)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file of a multipart body."""

    content: bytes


def _upload(value: Any) -> Upload:
    if not isinstance(value, Upload):
        raise ValueError("a file of a multipart/form-data body was expected; JSON carries images in *_base64 fields")
    return value


BINARY = {"type": "string", "format": "binary"}
UploadField = Annotated[Upload, PlainValidator(_upload), WithJsonSchema(BINARY)]


def _new_name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"expected {NAME_RULE}")
    return text


Plain = AfterValidator(no_control)
"""Refuses control characters in a text of several lines. It comes after the text's bound, which costs nothing."""

ImageText = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]
"""An image as base64, bare or as a ``data:`` URL; :func:`~serve_app.api.request_images.load` bounds it."""

Url = Annotated[str, Field(max_length=10_000)]
"""The URL of an image; :class:`~serve_app.api.image_url.ImageFetcher` refuses long ones in its own way."""

Reference = Annotated[str, Field(max_length=1000)]
"""An id or a name that may exist or not; one that is longer than any is not found, as others that do not exist."""

NewCollectionName = Annotated[str, Field(max_length=MAX_NAME, examples=["staff"]), AfterValidator(_new_name)]
"""The name of a collection to create."""

CollectionName = Annotated[str, Field(min_length=1, max_length=100, examples=["staff"]), AfterValidator(one_line)]
"""The name of an existing collection; a name that no collection can have is not found."""

PersonId = Annotated[str, Field(min_length=1, max_length=100, examples=["ada-lovelace"]), AfterValidator(one_line)]
NextPage = Annotated[str | None, Field(description="Send it to get the next page; null on the last page.")]
FaceId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", examples=["5f0c6d7e8a9b4c1d8e2f3a4b5c6d7e8f"])]


MAX_SEPARATED = 1000
"""Commas in a list that is sent as text; no list may have as many entries."""

MAX_MEMBERS = 200
"""Members of an object that is a field of a body."""


class FormValues(list[Any]):
    """The values of a field that a form has several times."""


def _split(value: Any) -> Any:
    """A list stays as it is. Forms have no lists: a text is a JSON array of texts or is split at commas."""
    values = [value] if isinstance(value, str) else value
    if isinstance(value, list) and not isinstance(value, FormValues):
        return value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        return value
    if sum(item.count(",") for item in values) > MAX_SEPARATED:
        raise ValueError(f"at most {MAX_SEPARATED} texts, separated by commas, were expected")
    return [part for item in values for part in _parts(item)]


def _parts(text: str) -> list[str]:
    if text.lstrip().startswith("["):
        try:
            parts = from_json(text)
        except ValueError:
            parts = None
        if isinstance(parts, list) and all(isinstance(part, str) for part in parts):
            return parts
    return [part.strip() for part in text.split(",") if part.strip()]


def _as_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


def _json_object(value: Any) -> Any:
    if isinstance(value, str):
        content = value.encode("utf-8", "replace")
        if has_more_values(content, MAX_MEMBERS):
            raise ValueError(f"a JSON object of at most {MAX_MEMBERS} members was expected")
        try:
            value = from_json(content)
        except ValueError:
            raise ValueError("a JSON object was expected") from None
        refuse_repeated_names(content)
    if isinstance(value, dict) and len(value) > MAX_MEMBERS:
        raise ValueError(f"at most {MAX_MEMBERS} members were expected, got {len(value)}")
    return value


Separated = BeforeValidator(_split)
"""Accepts a list; in a form, texts separated by commas, or a JSON array, in one field or several."""

OneOrMore = BeforeValidator(_as_list)
"""Accepts a single value as a list of one."""

JsonText = BeforeValidator(_json_object)
"""Accepts an object of texts and numbers, also as JSON text, as forms send it."""

Time = Annotated[dt.datetime, BeforeValidator(no_number), AfterValidator(in_utc)]
"""A time with a time zone, as text."""

Date = Annotated[dt.date, BeforeValidator(no_number)]
"""A date as text; a time at midnight is one too."""


class ErrorBody(Answer):
    """An error."""

    code: str = Field(description="Stable, for programs to read.", examples=["collection_not_found"])
    message: str = Field(description="For people to read: what was expected and what came.")
    details: dict[str, Any] = Field(description="Further facts, which depend on the code.")
    request_id: str = Field(description="The request's id, also in the header X-Request-ID and in the log.")


class ErrorEnvelope(Answer):
    """The body of every error of the native API."""

    error: ErrorBody


def is_none(value: object) -> bool:
    """For ``exclude_if``: the response leaves the field out if it is None."""
    return value is None
