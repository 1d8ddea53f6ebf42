"""The OpenAPI document, and its page. The page works offline: its scripts come from an installed package."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import fastapi_offline
from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles

METHODS = frozenset({"get", "put", "post", "patch", "delete"})
SCHEMA_PREFIX = "#/components/schemas/"


class DocumentedApp(FastAPI):
    """FastAPI whose document has named schemas for request bodies, and no default 422, which is never answered."""

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document; built on the first call."""
        if self.openapi_schema is None:
            document = super().openapi()
            schemas = document.setdefault("components", {}).setdefault("schemas", {})
            for path in document["paths"].values():
                for method, operation in path.items():
                    if method in METHODS:
                        _name_bodies(operation, schemas)
                        _drop_default_validation(operation)
            for unused in ("HTTPValidationError", "ValidationError"):
                schemas.pop(unused, None)
        return self.openapi_schema or {}

    def setup(self) -> None:
        """Add the route of the document. It is encoded once, because anybody may ask for it and that takes 10 ms."""
        encoded: dict[str, bytes] = {}

        async def document(request: Request) -> Response:
            root = request.scope.get("root_path", "").rstrip("/")
            if root not in encoded:
                servers = {"servers": [{"url": root}]} if root else {}
                encoded[root] = bytes(JSONResponse({**self.openapi(), **servers}).body)
            return Response(encoded[root], media_type="application/json")

        self.add_route("/openapi.json", document, include_in_schema=False)


def _name_bodies(operation: dict[str, Any], schemas: dict[str, Any]) -> None:
    bodies = operation.get("requestBody", {}).get("content", {}).values()
    answers = [media for answer in operation["responses"].values() for media in answer.get("content", {}).values()]
    for media in (*bodies, *(each for each in answers if "$defs" in each.get("schema", {}))):
        schema = media["schema"]
        if "title" in schema:
            named = {key: value for key, value in schema.items() if key != "$defs"}
            schemas.update(schema.get("$defs", {}))
            schemas[schema["title"]] = named
            media["schema"] = {"$ref": SCHEMA_PREFIX + schema["title"]}


def _drop_default_validation(operation: dict[str, Any]) -> None:
    default = operation["responses"].get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if default.get("$ref", "").endswith("/HTTPValidationError"):
        del operation["responses"]["422"]


def add_docs_page(app: FastAPI) -> None:
    """Add ``/docs``. Its links are relative, so that it also works behind a path prefix."""
    app.mount("/docs/assets", StaticFiles(directory=str(files(fastapi_offline) / "static")), name="docs-assets")

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        root = "../" if request.scope.get("raw_path", b"").endswith(b"/") else ""
        return get_swagger_ui_html(
            openapi_url=f"{root}openapi.json",
            title=app.title,
            swagger_js_url=f"{root}docs/assets/swagger-ui-bundle.js",
            swagger_css_url=f"{root}docs/assets/swagger-ui.css",
            swagger_favicon_url=f"{root}docs/assets/favicon.png",
            swagger_ui_parameters={"persistAuthorization": True, "displayRequestDuration": True},
        )
