"""The parts that all dialects share."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import JSONResponse, Response
from fastapi.testclient import TestClient

from serve_app.api.api_context import Context
from serve_app.api.app import create_app
from serve_app.api.auth import authenticate
from serve_app.api.dialect import Dialect
from serve_app.domain import ApiKey, Role
from serve_app.errors import FacegraphError
from tests.api.conftest import World, code

MOST = 100


def translate(request: Request, error: FacegraphError) -> Response:
    return JSONResponse({"oops": error.code}, 499)


def dialect(prefix: str) -> Dialect:
    router = APIRouter()

    def key(context: Context, token: Annotated[str, Query()] = "") -> ApiKey:
        return authenticate(context, token, Role.SEARCH)

    @router.post("/lookup")
    async def lookup(request: Request, size: int, caller: ApiKey = Depends(key)) -> dict[str, int]:
        if size > MOST:
            raise RuntimeError("a fault of the service")
        return {"size": size, "bytes": len(await request.body())}

    return Dialect("vendor", [router], translate, prefix)


def test_a_dialect_words_its_own_errors(world: World) -> None:
    app = create_app(lambda: world.context, [dialect("/vendor"), dialect("")])
    secret = world.search["X-API-Key"]
    with TestClient(app) as client:
        for prefix in ("/vendor", ""):
            path = f"{prefix}/lookup"
            assert client.post(path, params={"token": secret, "size": 3}).json() == {"size": 3, "bytes": 0}
            for params, content, expected in (
                ({"size": 3}, b"", "api_key_missing"),
                ({"token": secret, "size": "x"}, b"", "invalid_request"),
                ({"token": secret, "size": 3}, b"x" * 200_001, "request_too_large"),
                ({"token": secret, "size": MOST + 1}, b"", "internal_error"),
            ):
                answer = client.post(path, params=params, content=content)  # type: ignore[arg-type]
                assert (answer.status_code, answer.json()) == (499, {"oops": expected})
        assert client.get("/vendor/nothing").json() == {"oops": "route_not_found"}
        assert code(client.get("/nothing")) == (404, "route_not_found")
        assert code(client.get("/v1/info")) == (401, "api_key_missing")
