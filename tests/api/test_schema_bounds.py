"""Every list, mapping and text that a request can bring has a bound, in every wire format."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field

from serve_app.api.app import create_app
from serve_app.api.dialects import chosen
from serve_app.api.dialects.opencv_fr_server.requests import FrServerPersonItem, FrServerPersonsBody
from serve_app.api.schemas.base import Body, ImageText, JsonText, OneOrMore, Separated
from serve_app.vision.catalogue import ModelEntry

APP = create_app(lambda: None, chosen(("all",)))
DOCUMENT = APP.openapi()

ANYTHING = {"UncheckedPersons.persons[]", "ReceiptBody.statement{}"}
"""Values of any kind: a person's item is checked on its own, and a receipt is only compared with its signature."""


def bodies(base: type[BaseModel] = Body) -> Iterator[type[BaseModel]]:
    """All models of request bodies, whether or not a path documents them; the lines of uploads are among them."""
    for model in base.__subclasses__():
        if model.__module__.startswith("serve_app."):
            yield model
            yield from bodies(model)


MODELS = tuple(dict.fromkeys(bodies()))


def unbounded(model: type[BaseModel]) -> list[str]:
    """What has no bound in a model: where, and what is missing."""
    return [
        f"{path}: {fault}"
        for path, node in _nodes(model.__pydantic_core_schema__, model.__name__)
        for fault in _faults(path, node)
    ]


NOT_PARTS = {"metadata", "function", "serialization", "json_schema_input_schema", "definitions"}
LISTS = {"list", "set", "frozenset", "tuple"}


def _nodes(node: Any, path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The parts of pydantic's schema that describe a value, each with the path of that value."""
    if isinstance(node, list | tuple):
        for each in node:
            yield from _nodes(each, path)
    elif isinstance(node, dict) and "contentEncoding" not in node.get("metadata", {}).get("pydantic_js_extra", {}):
        if node.get("type") == "model-fields":
            for name, field in node["fields"].items():
                yield from _nodes(field, f"{path}.{name}")
            return
        path += {"dict": "{}", **dict.fromkeys(LISTS, "[]")}.get(str(node.get("type")), "")
        yield path, node
        for key, value in node.items():
            if key not in NOT_PARTS:
                yield from _nodes(value, path)


def _faults(path: str, node: dict[str, Any]) -> Iterator[str]:
    kind = node.get("type")
    if kind == "str" and not node.keys() & {"max_length", "pattern"}:
        yield "a text without max_length"
    if kind == "any" and path not in ANYTHING:
        yield "a value of any kind"
    if kind == "dict" and "max_length" not in node:
        yield "a mapping without max_length"
    if kind in LISTS and not (kind == "tuple" and "variadic_item_index" not in node):
        if "max_length" not in node:
            yield "a list without max_length"
        if not node.get("fail_fast"):
            yield "a list without fail_fast"


def values(node: Any) -> int:
    """How many JSON values a schema allows, all levels together."""
    if isinstance(node, list | tuple):
        return max(map(values, node), default=1)
    if not isinstance(node, dict):
        return 1
    kind = node.get("type")
    if kind == "model-fields":
        return 1 + sum(values(field["schema"]) for field in node["fields"].values())
    if kind in LISTS or kind == "dict":
        return 1 + int(node["max_length"]) * values(node["values_schema" if kind == "dict" else "items_schema"])
    if kind == "any":
        return 1
    return max([1, *(values(value) for key, value in node.items() if key not in NOT_PARTS)])


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__qualname__)
def test_each_list_mapping_and_text_has_a_bound(model: type[BaseModel]) -> None:
    assert unbounded(model) == []


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__qualname__)
def test_a_body_may_have_as_many_values_as_its_schema_allows(model: type[Body]) -> None:
    if not issubclass(model, FrServerPersonsBody):
        assert values(model.__pydantic_core_schema__) <= model.most_values(0)
    assert values(FrServerPersonItem.__pydantic_core_schema__) + 2 < FrServerPersonsBody.VALUES_EACH


def test_there_are_models() -> None:
    names = {model.__name__ for model in MODELS}
    assert len(names) > 70
    assert {"SearchBody", "BulkLine", "CloudSearch", "FaceppSearchParams", "NinthSenseSearchForm"} <= names


def test_the_model_catalogue_has_bounds() -> None:
    assert [each for each in unbounded(ModelEntry) if not each.endswith("without fail_fast")] == []


class Next(Body):
    """What the test must find in the next schema."""

    text: str = ""
    image: ImageText = ""
    several: Annotated[list[str], OneOrMore] = Field([], max_length=3)
    separated: Annotated[list[Annotated[str, Field(max_length=3)]], Separated] = Field([], fail_fast=True)
    optional: dict[str, int] | None = None
    members: Annotated[dict[str, Any], Field(max_length=3), JsonText] = Field({})


def test_what_has_no_bound_is_found() -> None:
    assert unbounded(Next) == [
        "Next.text: a text without max_length",
        "Next.several[]: a list without fail_fast",
        "Next.several[]: a text without max_length",
        "Next.separated[]: a list without max_length",
        "Next.optional{}: a mapping without max_length",
        "Next.optional{}: a text without max_length",
        "Next.members{}: a text without max_length",
        "Next.members{}: a value of any kind",
    ]


def parameters() -> Iterator[tuple[str, dict[str, Any]]]:
    """The parameters in path and query of every documented operation, with their schemas."""
    for path, operations in DOCUMENT["paths"].items():
        for method, operation in operations.items():
            for each in operation.get("parameters", ()):
                yield f"{method.upper()} {path} {each['name']}", each["schema"]


def test_parameters_in_paths_and_queries_have_bounds() -> None:
    found = [(name, branch) for name, schema in parameters() for branch in schema.get("anyOf", [schema])]
    texts = [(name, schema) for name, schema in found if schema.get("type") == "string"]
    assert len(texts) > 50
    assert [name for name, schema in texts if not schema.keys() & {"maxLength", "pattern", "enum", "const"}] == []
    assert [name for name, schema in found if not schema.keys() & {"$ref", "type", "const", "enum"}] == []
    assert [name for name, schema in found if schema.get("type") in ("array", "object")] == []
