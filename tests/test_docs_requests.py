"""The requests in README and docs/ name paths, fields and parameters that the native API knows."""

from __future__ import annotations

import json
import re
import shlex
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from serve_app.api.app import create_app

ROOT = Path(__file__).parents[1]
DOCUMENT = create_app(lambda: None).openapi()
ALIASES = {"collection": "collections"}
LINES = [
    line.strip()
    for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
    for line in page.read_text().splitlines()
    if line.strip().startswith("curl ") and re.search(r"/(v1|healthz|readyz)\b", line)
]


def words_of(line: str) -> list[str]:
    return shlex.split(line, comments=True)


def operation_of(method: str, path: str) -> dict[str, Any]:
    for template, operations in DOCUMENT["paths"].items():
        if method in operations and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", template), path):
            found: dict[str, Any] = operations[method]
            return found
    raise AssertionError(f"no operation: {method} {path}")


def fields_of(operation: dict[str, Any]) -> set[str]:
    content = operation.get("requestBody", {}).get("content", {})
    schemas = [each["schema"] for each in content.values()]
    named = [DOCUMENT["components"]["schemas"][each["$ref"].rsplit("/", 1)[1]] for each in schemas if "$ref" in each]
    return {name for schema in named for name in schema.get("properties", {})}


def test_there_are_requests() -> None:
    assert len(LINES) > 40


@pytest.mark.parametrize("line", LINES)
def test_a_request_names_what_the_api_knows(line: str) -> None:
    words = words_of(line)
    options = list(pairwise(words))
    (url,) = [word for word in words if re.search(r"/(v1|healthz|readyz)\b", word)]
    forms = [value.partition("=")[0] for option, value in options if option == "-F"]
    bodies = [value for option, value in options if option in ("-d", "--data")]
    method = next((value for option, value in options if option == "-X"), "POST" if forms or bodies else "")
    method = method or ("POST" if "--data-binary" in words else "GET")
    parts = urlsplit(re.sub(r"^.*?/(?=v1|healthz|readyz)", "http://host/", url))
    operation = operation_of(method.lower(), parts.path)
    known = {each["name"] for each in operation.get("parameters", []) if each["in"] == "query"}
    assert {name for name, _ in parse_qsl(parts.query)} <= known
    members = [name for body in bodies if body.startswith("{") for name in json.loads(body)]
    assert {ALIASES.get(name, name) for name in (*forms, *members)} <= fields_of(operation)
