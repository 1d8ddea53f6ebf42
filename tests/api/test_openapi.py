"""The OpenAPI document."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.testclient import TestClient

from serve_app.api.app import create_app
from tests.api.conftest import World

DOCUMENT = create_app(lambda: None).openapi()
OPERATIONS = [
    pytest.param(path, method, operation, id=f"{method} {path}")
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
]
OPEN = {"/healthz", "/readyz"}


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


@pytest.mark.parametrize(("path", "method", "operation"), OPERATIONS)
def test_every_operation_is_documented(path: str, method: str, operation: dict[str, Any]) -> None:
    assert operation["summary"]
    assert operation["tags"]
    responses = operation["responses"]
    if path not in OPEN:
        assert operation["description"]
        assert operation["security"] == [{"ApiKey": []}]
        assert {"400", "401", "403", "429", "500", "503"} <= set(responses)
    success = next(answer for status, answer in responses.items() if status.startswith("2"))
    assert success["content"]
    for status, answer in responses.items():
        if status.startswith(("4", "5")):
            content = answer["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/ErrorEnvelope"}
            assert content["examples"]
            for name, example in content["examples"].items():
                assert example["value"]["error"]["code"] == name
    if method in {"put", "post", "patch"}:
        for media in operation["requestBody"]["content"].values():
            assert media["example"]
            assert media["schema"]["$ref"]


@pytest.mark.parametrize(
    "path",
    [
        *("/v1/search", "/v1/detect", "/v1/compare", "/v1/verify", "/v1/liveness", "/v1/embed"),
        *("/v1/collections/{name}/persons/{person_id}", "/v1/collections/{name}/persons/{person_id}/faces"),
    ],
)
def test_picture_paths_show_both_bodies(path: str) -> None:
    method = "put" if path.endswith("{person_id}") else "post"
    content = DOCUMENT["paths"][path][method]["requestBody"]["content"]
    assert set(content) == {"application/json", "multipart/form-data"}
    schemas = DOCUMENT["components"]["schemas"]
    as_json, as_form = (
        schemas[content[kind]["schema"]["$ref"].rpartition("/")[2]]["properties"]
        for kind in ("application/json", "multipart/form-data")
    )
    files = set(as_form) - set(as_json)
    assert files == ({"image1", "image2", "image"} if path == "/v1/compare" else {"image"})
    assert set(as_json) < set(as_form)
    assert "binary" not in str(as_json)


def test_optional_files_of_forms_are_shown_as_files() -> None:
    form = DOCUMENT["components"]["schemas"]["DetectBodyForm"]["properties"]
    assert (form["image"]["type"], form["image"]["format"]) == ("string", "binary")
    assert form["image_url"]["type"] == "string"
    assert "null" not in str(form)


def test_every_reference_leads_somewhere() -> None:
    names = {reference.removeprefix("#/components/schemas/") for reference in references(DOCUMENT)}
    assert names <= set(DOCUMENT["components"]["schemas"])
    assert "HTTPValidationError" not in str(DOCUMENT)


def test_every_field_of_a_search_is_explained() -> None:
    properties = DOCUMENT["components"]["schemas"]["SearchBody"]["properties"]
    assert set(properties) == {
        *("image_base64", "image_url", "face_id", "collections", "max_results"),
        *("min_score", "fpir", "faces", "liveness", "keep_unknown", "trace"),
    }
    assert all(schema.get("description") for schema in properties.values())


def test_the_page_works_offline(world: World) -> None:
    page = world.client.get("/docs")
    assert page.status_code == 200
    links = re.findall(r'(?:src|href)="([^"]+)"', page.text) + re.findall(r"url: '([^']+)'", page.text)
    assert len(links) >= 4
    for link in links:
        assert not link.startswith(("http", "/")), link
        asset = world.client.get(f"/{link}")
        assert asset.status_code == 200, link
    assert world.client.get("/openapi.json").json()["openapi"].startswith("3.")


def test_the_document_is_encoded_once(monkeypatch: pytest.MonkeyPatch) -> None:
    app = create_app(lambda: None)
    client = TestClient(app)
    first = client.get("/openapi.json")
    monkeypatch.setattr(app, "openapi", lambda: pytest.fail("encoded again"))
    assert client.get("/openapi.json").content == first.content
    assert first.json() == DOCUMENT
    assert first.headers["content-type"] == "application/json"


def test_the_document_names_the_prefix_of_its_paths() -> None:
    client = TestClient(create_app(lambda: None), root_path="/faces")
    assert client.get("/openapi.json").json() == {**DOCUMENT, "servers": [{"url": "/faces"}]}


def test_an_authorize_button() -> None:
    scheme = DOCUMENT["components"]["securitySchemes"]["ApiKey"]
    assert (scheme["type"], scheme["in"], scheme["name"]) == ("apiKey", "header", "X-API-Key")
