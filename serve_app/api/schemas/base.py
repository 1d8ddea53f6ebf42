"""Base classes and field types of all requests and responses."""

from __future__ import annotations

import datetime as dt
import re
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

from serve_app.domain.names import NAME_RULE, is_name
from serve_app.known_names import refuse_repeated_names


class Body(BaseModel):
    """A request body, from JSON or from a form. Unknown fields are refused, so that typing errors are noticed."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, frozen=True)


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


CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def _no_control(text: str) -> str:
    if any((ord(character) < 32 and character not in "\n\r\t") or ord(character) == 127 for character in text):
        raise ValueError("control characters are not allowed")
    return text


def _one_line(text: str) -> str:
    if CONTROL.search(text):
        raise ValueError("a text without control characters was expected")
    return text


def _new_name(text: str) -> str:
    if not is_name(text):
        raise ValueError(f"expected {NAME_RULE}")
    return text


Text = Annotated[str, AfterValidator(_no_control)]
"""Free text; each field that uses it limits its length."""

NewCollectionName = Annotated[str, Field(examples=["staff"]), AfterValidator(_new_name)]
"""The name of a collection to create."""

CollectionName = Annotated[str, Field(min_length=1, max_length=100, examples=["staff"]), AfterValidator(_one_line)]
"""The name of an existing collection; a name that no collection can have is not found."""

PersonId = Annotated[str, Field(min_length=1, max_length=100, examples=["ada-lovelace"]), AfterValidator(_one_line)]
NextPage = Annotated[str | None, Field(description="Send it to get the next page; null on the last page.")]
FaceId = Annotated[str, Field(pattern=r"^[0-9a-f]{32}$", examples=["5f0c6d7e8a9b4c1d8e2f3a4b5c6d7e8f"])]


class FormValues(list[Any]):
    """The values of a field that a form has several times."""


def _split(value: Any) -> Any:
    """A list stays as it is. Forms have no lists: a text is a JSON array of texts or is split at commas."""
    values = [value] if isinstance(value, str) else value
    if isinstance(value, list) and not isinstance(value, FormValues):
        return value
    if not isinstance(values, list) or not all(isinstance(item, str) for item in values):
        return value
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


def _no_number(value: Any) -> Any:
    """Refuse what pydantic would read as seconds since 1970; 2030 would be half an hour after its midnight."""
    try:
        float(value)
    except (TypeError, ValueError):
        return value
    raise ValueError("a date or time as text was expected, such as 2030-01-31 or 2030-01-31T12:00:00Z")


def _json_object(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    try:
        read = from_json(value)
    except ValueError:
        raise ValueError("a JSON object was expected") from None
    refuse_repeated_names(value)
    return read


Separated = BeforeValidator(_split)
"""Accepts a list; in a form, texts separated by commas, or a JSON array, in one field or several."""

OneOrMore = BeforeValidator(_as_list)
"""Accepts a single value as a list of one."""

JsonText = BeforeValidator(_json_object)
"""Accepts an object also as JSON text, as forms send it."""


def _in_utc(time: dt.datetime) -> dt.datetime:
    """Refuse a time without a time zone, and one that UTC cannot express."""
    if time.tzinfo is None:
        raise ValueError("a time with a time zone was expected, such as 2030-01-31T12:00:00Z")
    try:
        time.astimezone(dt.UTC)
    except OverflowError:
        raise ValueError("a time within the years 1 to 9999 of UTC was expected") from None
    return time


Time = Annotated[dt.datetime, BeforeValidator(_no_number), AfterValidator(_in_utc)]
"""A time with a time zone, as text."""

Date = Annotated[dt.date, BeforeValidator(_no_number)]
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
