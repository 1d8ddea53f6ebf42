"""The table of fixed limits in docs/configuration.md has the numbers of the code, and the policy's table its fields."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serve_app import request_context
from serve_app.api import auth, errors, image_url, multipart, urlencoded
from serve_app.api.app import create_app
from serve_app.api.schemas.base import MAX_SEPARATED, Body
from serve_app.api.schemas.collections import CollectionBody, PolicyBody
from serve_app.api.schemas.keys import KeyBody
from serve_app.api.schemas.persons import ConsentBody, MergeBody, PersonBody
from serve_app.api.schemas.search import SearchBody
from serve_app.api.schemas.tasks import BulkLine
from serve_app.api.schemas.unknowns import MergeUnknownsBody
from serve_app.domain import CollectionPolicy, Consent, PersonFields
from serve_app.domain.names import MAX_NAME
from serve_app.errors import InvalidRequest
from serve_app.gallery import checks, persons, search, unassigned_faces, unknowns
from serve_app.gallery.jobs import bulk_uploads, tasks
from serve_app.service import image_sets
from serve_app.serving.connection_bounds import ConnectionBounds
from serve_app.serving.http_server import KEEP_ALIVE_S
from serve_app.settings import IngressSettings

ROOT = Path(__file__).resolve().parents[1]
SECTION = (ROOT / "docs/configuration.md").read_text("utf-8").partition("\n## Fixed limits\n")[2].partition("\n## ")[0]
ROWS = dict(re.findall(r"^\| (?!of \||---)(.*) \| (.*) \|$", SECTION, re.MULTILINE))
LISTING = create_app(lambda: None).openapi()["paths"]["/v1/collections/{name}/persons"]["get"]["parameters"]


def of(model: Any, field: str, *path: str) -> int:
    """A bound of a request's field: by default its only ``max...``, else what the path leads to."""
    schema = model.model_json_schema(by_alias=False)["properties"][field]
    schema = schema["anyOf"][0] if "anyOf" in schema else schema
    for name in path:
        schema = schema[name]
    return int(schema if path else next(iter(maxima(schema))))


def maxima(schema: dict[str, Any]) -> Iterator[int]:
    """Values of ``maxLength``, ``maxItems`` and the like, of the outermost level."""
    yield from (value for name, value in schema.items() if name.startswith("max"))


def parameter(name: str) -> int:
    """A bound of a parameter of listings."""
    schema = next(each["schema"] for each in LISTING if each["name"] == name)
    schema = schema["anyOf"][0] if "anyOf" in schema else schema
    return next(maxima(schema))


def repeated(pattern: str) -> int:
    """The longest that a pattern of one character class accepts."""
    found = re.search(r"\{1,(\d+)\}", pattern)
    assert found
    return int(found[1])


EXPECTED = {
    "a person's id": [of(MergeBody, "person_id")],
    "a person's `name`, `gender`, `nationality`, `id_number`": [
        of(PersonBody, field) for field in ("name", "gender", "nationality", "id_number")
    ],
    "`address`, `notes`": [of(PersonBody, "address"), of(PersonBody, "notes")],
    "`watch_list`": [of(PersonBody, "watch_list", "maxItems"), of(PersonBody, "watch_list", "items", "maxLength")],
    "`metadata`": [
        of(PersonBody, "metadata", "maxProperties"),
        of(PersonBody, "metadata", "propertyNames", "maxLength"),
        of(PersonBody, "metadata", "additionalProperties", "maxLength"),
    ],
    "`consent`: `basis`, `reference`": [of(ConsentBody, "basis"), of(ConsentBody, "reference")],
    "the name of a collection or a tenant": [MAX_NAME],
    "a collection's `title`, `description`, `user_data`": [
        of(CollectionBody, field) for field in ("title", "description", "user_data")
    ],
    "`tags`": [of(CollectionBody, "tags", "maxItems"), of(CollectionBody, "tags", "items", "maxLength")],
    "`retention_days`, `keep_unknown_h` of a policy": [
        of(PolicyBody, "retention_days"),
        of(PolicyBody, "keep_unknown_h"),
    ],
    "a key's `name`, `rate_limit`": [of(KeyBody, "name"), of(KeyBody, "rate_limit")],
    "an API key that is sent": [auth.MAX_SECRET],
    "collections in one search": [of(SearchBody, "collections")],
    "matches of a face (`max_results`), whatever `limits.max_results` allows": [search.MAX_RESULTS],
    "`image_url`": [image_url.MAX_URL],
    "fields of a form, or of a query string": [urlencoded.MAX_FIELDS],
    "JSON values in a body, commas of a list that is sent as text": [Body.most_values(0), MAX_SEPARATED],
    "base64 texts, and URLs, in a line of an upload": [of(BulkLine, "image_base64", "maxItems")],
    "headers of all parts of a form": [multipart.MAX_ALL_HEADERS // 1024],
    "faults that a refusal names": [errors.MAX_FINDINGS],
    "items of a page (`limit`), its `cursor`, the filter `q`": [parameter(name) for name in ("limit", "cursor", "q")],
    "persons that are changed or erased at once (vendors' wire formats)": [persons.MAX_PERSONS_PER_REQUEST],
    "faces that are added, or put into or taken out of a collection, at once (Face++, Python handle)": [
        unassigned_faces.MAX_UNASSIGNED_FACES_PER_REQUEST
    ],
    "stored images that are read at once (Python handle)": [checks.MAX_PAGE],
    "the `user_id` of a face (Face++)": [unassigned_faces.MAX_USER_ID],
    "a face crop (OpenCV cloud)": [
        image_sets.CROP_SIDE,
        image_sets.CROP_SIDE,
        image_sets.CROP_LIMITS.max_image_bytes // 2**20,
    ],
    "unknowns that are merged into one at once": [of(MergeUnknownsBody, "others", "maxItems")],
    "faces kept of an unknown, of all unknowns of a collection": [
        unknowns.MAX_FACES,
        unknowns.MAX_FACES_PER_COLLECTION,
    ],
    "pairs that a search for duplicates lists": [tasks.MAX_PAIRS],
    "unfinished bulk uploads of a tenant": [bulk_uploads.MOST_AT_ONCE],
    "`X-Request-ID`": [repeated(request_context.ACCEPTED_REQUEST_ID.pattern.decode())],
}


@pytest.mark.parametrize("row", EXPECTED)
def test_a_row_has_the_numbers_of_the_code(row: str) -> None:
    numbers = [int(text.replace(",", "")) for text in re.findall(r"\d+(?:,\d{3})*", ROWS[row].partition(";")[0])]
    assert numbers == EXPECTED[row]


def test_every_row_is_checked() -> None:
    assert list(ROWS) == list(EXPECTED)


def test_requests_and_gallery_have_the_same_limits() -> None:
    assert {field: of(PersonBody, field) for field in checks.PERSON_TEXTS} == checks.PERSON_TEXTS
    assert parameter("limit") == checks.MAX_PAGE
    assert of(MergeUnknownsBody, "others", "maxItems") == unknowns.MAX_MERGED
    assert persons.MAX_FACES_PER_REQUEST == unassigned_faces.MAX_UNASSIGNED_FACES_PER_REQUEST


@pytest.mark.parametrize(
    ("most", "one_more"),
    [
        (PersonFields(watch_list=("x" * 200,) * 100), PersonFields(watch_list=("x",) * 101)),
        (PersonFields(watch_list=("x" * 200,)), PersonFields(watch_list=("x" * 201,))),
        (
            PersonFields(metadata={str(i): "" for i in range(200)}),
            PersonFields(metadata={str(i): "" for i in range(201)}),
        ),
        (PersonFields(metadata={"x" * 200: "y" * 10_000}), PersonFields(metadata={"x" * 201: ""})),
        (PersonFields(metadata={"x": ""}), PersonFields(metadata={"x": "y" * 10_001})),
        (PersonFields(consent=Consent("x" * 200, "y" * 500)), PersonFields(consent=Consent("x" * 201))),
        (PersonFields(consent=Consent("x")), PersonFields(consent=Consent("x", "y" * 501))),
    ],
)
def test_the_gallery_refuses_one_more(most: PersonFields, one_more: PersonFields) -> None:
    checks.check_person_fields(most)
    with pytest.raises(InvalidRequest):
        checks.check_person_fields(one_more)


def written(default: object) -> str:
    """A default as the table has it."""
    if default is None:
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    return f"{default:g}" if isinstance(default, float) else str(default)


def test_the_policys_table_has_its_fields_and_defaults() -> None:
    text = (ROOT / "docs/concepts.md").read_text("utf-8").partition("\n## Collection policy\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| `?([\w.]+)`? \|", text, re.MULTILINE))
    assert rows == {field.name: written(field.default) for field in dataclasses.fields(CollectionPolicy)}


def test_the_bounds_of_connections_in_the_security_document_are_those_of_the_code() -> None:
    text = (ROOT / "docs/security.md").read_text("utf-8").partition("\n### Connections\n")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| (?!what |---)(.*?) \| (.*?) \|", text, re.MULTILINE))
    bounds = ConnectionBounds()
    assert {name: list(map(int, re.findall(r"\d+", row))) for name, row in rows.items()} == {
        "first line and headers": [bounds.head_bytes // 1024, bounds.headers],
        "a head": [bounds.head_s],
        "a body": [bounds.stalled_s, bounds.bytes_per_second // 1024, bounds.stalled_s],
        "the reading of an answer": [],
        "a connection without a request": [KEEP_ALIVE_S],
        "open connections": [],
        "requests on one connection that wait for the answer to an earlier one": [bounds.pipelined],
    }
    assert IngressSettings().max_connections == bounds.connections
