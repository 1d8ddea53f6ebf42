"""Checks of values from outside. The ``check_...`` functions return the value, or raise InvalidRequest.

A value that passed its check is safe in SQL, in a filter expression of the vector index and in a path of the images
store.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json

from serve_app.domain import NewFace, PersonFields, Vectors
from serve_app.domain.names import NAME_RULE, is_name
from serve_app.domain.texts import no_control
from serve_app.errors import InvalidRequest

T = TypeVar("T")

MAX_PAGE = 1000
MAX_OFFSET = 10**15

HEX_ID = re.compile(r"[0-9a-f]{32}")
MODEL_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")  # NUL and lone surrogates: neither database stores them
LONGEST_PERSON_ID = 100
_PERSON_ID = re.compile(rf"[^\x00-\x1f\x7f-\x9f\ud800-\udfff]{{1,{LONGEST_PERSON_ID}}}")

PERSON_TEXTS = {"name": 200, "gender": 50, "nationality": 100, "id_number": 100, "address": 1000, "notes": 10_000}
"""Text fields of a person, and the most characters of each."""

CONSENT_TEXTS = {"basis": 200, "reference": 500}
COLLECTION_TEXTS = {"title": 256, "description": 10_000, "user_data": 65_536}
"""The same of a consent, and of a collection."""

MOST_WATCH_LISTS, LONGEST_WATCH_LIST = 100, 200
MOST_TAGS, LONGEST_TAG = 100, 255
"""Most entries of a list, and most characters of one."""

MOST_METADATA, LONGEST_METADATA_KEY, LONGEST_METADATA = 200, 200, 10_000
LONGEST_KEY_NAME = 200
LONGEST_USER_ID = 255

FEWEST_DIMENSIONS, MOST_DIMENSIONS = 2, 32_768
"""Of a template."""


def is_text(value: object) -> bool:
    """Whether it is a text that the databases can store, and that a query can therefore look for."""
    return isinstance(value, str) and _NOT_TEXT.search(value) is None


def is_id(value: object) -> bool:
    """Whether it has the form of an id of this product: 32 lower-case hex digits."""
    return isinstance(value, str) and HEX_ID.fullmatch(value) is not None


def check_name(name: object, what: str) -> str:
    """The name of a collection or tenant, `domain.names.NAME_RULE`; ``what`` is how the error message calls it."""
    if not isinstance(name, str) or not is_name(name):
        raise InvalidRequest(f"{what} is {NAME_RULE}; got {quoted(name)}.")
    return name


def check_person_id(person_id: object) -> str:
    """1 to 100 characters without control characters; not ``.`` or ``..``, which paths cannot have as a part."""
    if not isinstance(person_id, str) or not _PERSON_ID.fullmatch(person_id) or person_id in (".", ".."):
        raise InvalidRequest(
            "A person's id is 1 to 100 characters without control characters, and neither . nor ..; "
            f"got {quoted(person_id)}."
        )
    return person_id


def check_text(field: str, value: object, longest: int) -> str:
    """A text of at most ``longest`` characters that both databases can store, without control characters."""
    if not isinstance(value, str):
        raise InvalidRequest(f"{field} must be a text, got {type(value).__name__}.")
    if len(value) > longest:
        raise InvalidRequest(f"{field} may have {longest} characters, got {len(value)}.")
    if _NOT_TEXT.search(value):
        raise InvalidRequest(f"{field} contains a NUL or half a surrogate pair, which is not text.")
    try:
        return no_control(value)
    except ValueError as error:
        raise InvalidRequest(f"{field}: {error}.") from None


def check_texts(field: str, values: object, most: int, longest: int) -> tuple[str, ...]:
    """A sequence of at most ``most`` texts."""
    if isinstance(values, str | bytes) or not isinstance(values, Sequence):
        raise InvalidRequest(f"{field} must be a list of texts, got {type(values).__name__}.")
    if len(values) > most:
        raise InvalidRequest(f"{field} may have {most} entries, got {len(values)}.")
    return tuple(check_text(field, value, longest) for value in values)


def check_number(field: str, value: object, low: float, high: float) -> float:
    """A finite number from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
        raise InvalidRequest(f"{field} must be a number from {low:g} to {high:g}, got {quoted(value)}.")
    return float(value)


def check_whole(field: str, value: object, low: int, high: int) -> int:
    """A whole number from ``low`` to ``high``."""
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise InvalidRequest(f"{field} must be a whole number from {low} to {high}, got {quoted(value)}.")
    return value


def check_person_fields(fields: PersonFields) -> None:
    """Check lengths and contents of the fields that are given (not None)."""
    for field, longest in PERSON_TEXTS.items():
        value = getattr(fields, field)
        if value is not None:
            check_text(field, value, longest)
    if fields.consent is not None:
        for name, longest in CONSENT_TEXTS.items():
            check_text(f"consent.{name}", getattr(fields.consent, name), longest)
        for name in ("given", "expires"):
            time = getattr(fields.consent, name)
            if time is not None and time.tzinfo is None:
                raise InvalidRequest(f"consent.{name} must have its time zone, got {time.isoformat()}.")
    if fields.watch_list is not None:
        check_texts("watch_list", fields.watch_list, MOST_WATCH_LISTS, LONGEST_WATCH_LIST)
    if fields.metadata is not None:
        if len(fields.metadata) > MOST_METADATA:
            raise InvalidRequest(f"metadata may have {MOST_METADATA} entries, got {len(fields.metadata)}.")
        for key, value in fields.metadata.items():
            check_text("a key of metadata", key, LONGEST_METADATA_KEY)
            check_text(f"metadata[{key!r}]", value, LONGEST_METADATA)


def are_templates(rows: Vectors) -> NDArray[np.bool_]:
    """Which float32 rows are templates: finite, of unit norm within 1e-3. Shape (...,) for rows (..., dimension)."""
    with np.errstate(all="ignore"):  # the norm of what is not finite is not finite either
        found: NDArray[np.bool_] = np.abs(np.linalg.norm(rows, axis=-1) - 1.0) < 1e-3
        return found


def check_template(template: Vectors) -> Vectors:
    """Templates as float32 rows: finite, of unit norm within 1e-3."""
    rows = np.ascontiguousarray(template, dtype=np.float32)
    if not are_templates(rows).all():
        raise InvalidRequest("A template must be finite and of unit norm.")
    return rows


def check_new_face(face: NewFace) -> None:
    """Check templates, model ids and image id of a new face."""
    for model, template in ((face.model, face.template), *face.further.items()):
        check_new_template(model, template)
    if not is_id(face.image_id):
        raise InvalidRequest(f"An image id is 32 hex digits, got {quoted(face.image_id)}.")


def check_new_template(model: object, template: Vectors) -> None:
    """Check one template, shape (dimension,), dimension 2 to 32,768, and the id of the model that made it."""
    if template.ndim != 1 or not FEWEST_DIMENSIONS <= template.size <= MOST_DIMENSIONS:
        raise InvalidRequest(
            f"A template has the shape (dimension,) with {FEWEST_DIMENSIONS} to {MOST_DIMENSIONS} dimensions, got "
            f"{template.shape}."
        )
    check_template(template)
    check_model(model)


def check_model(model: object) -> str:
    """The id of an embedder: 1 to 100 of ``A-Z a-z 0-9 _ . -``, a letter or digit first."""
    if not isinstance(model, str) or not MODEL_ID.fullmatch(model):
        raise InvalidRequest(
            "The id of an embedding model is 1 to 100 characters out of A-Z, a-z, 0-9, underscore, dot and hyphen, a "
            f"letter or digit first; got {quoted(model)}."
        )
    return model


def check_limit(limit: object) -> int:
    """1 to :data:`MAX_PAGE`."""
    return check_whole("limit", limit, 1, MAX_PAGE)


def check_offset(offset: object) -> int:
    """0 to :data:`MAX_OFFSET`."""
    return check_whole("offset", offset, 0, MAX_OFFSET)


def check_slice(limit: int, offset: int) -> tuple[int, int]:
    """Limit and offset of a slice; a limit of 0 is allowed, to get only the total."""
    return limit and check_limit(limit), check_offset(offset)


def encode_cursor(key: str) -> str:
    """The cursor of the page after this key: an opaque text."""
    return base64.urlsafe_b64encode(json.dumps([1, key]).encode()).decode().rstrip("=")


def decode_cursor(cursor: str | None, parse: Callable[[str], T]) -> T | None:
    """What ``parse`` makes of the key that :func:`encode_cursor` was given; None without a cursor.

    Raises InvalidRequest if the cursor is no such text, or ``parse`` raises ValueError.
    """
    if cursor is None:
        return None
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        version, key = from_json(base64.b64decode(padded, altchars=b"-_", validate=True))
        if version != 1:
            raise ValueError
        return parse(check_text("cursor", key, 200))
    except (ValueError, TypeError, binascii.Error, InvalidRequest):
        raise InvalidRequest("cursor must be one that the previous page returned.") from None


def whole(text: str) -> int:
    """The whole number that 1 to 15 digits stand for. Raises ValueError."""
    if not re.fullmatch("[0-9]{1,15}", text):
        raise ValueError
    return int(text)


def quoted(value: Any) -> str:
    """A value for quotation in an error message: as ASCII with escapes, at most 80 characters."""
    text = ascii(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
