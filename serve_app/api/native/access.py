"""Access to the native API: the key with its role, and nothing in the URL or the body that the path does not read.

Vendors' wire formats have rules of their own, so this is not part of :mod:`serve_app.api.auth`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Collection, Iterator
from typing import Annotated, Any

from fastapi import Depends, Request

from serve_app.api.auth import require
from serve_app.api.errors import MAX_FINDINGS, refusal_of
from serve_app.domain import ApiKey, Role
from serve_app.errors import InvalidRequest
from serve_app.known_names import suggestion


def _access(needed: Role) -> Callable[..., Awaitable[ApiKey]]:
    """Dependency: the request's API key, which must have this role; then unknown parameters are refused."""

    authorised = Depends(require(needed))

    async def allowed(request: Request, key: ApiKey = authorised) -> ApiKey:
        _refuse_unknown_parameters(request)
        await _refuse_unread_body(request)
        return key

    return allowed


SearchKey = Annotated[ApiKey, Depends(_access(Role.SEARCH))]
EnrollKey = Annotated[ApiKey, Depends(_access(Role.ENROLL))]
AdminKey = Annotated[ApiKey, Depends(_access(Role.ADMIN))]


def _refuse_unknown_parameters(request: Request) -> None:
    sent = Counter(name for name, _ in request.query_params.multi_items())
    known = set(_query_parameters(request.scope["route"].dependant))
    wrong = [name for name, times in sent.items() if name not in known or times > 1]
    if wrong:
        findings = [(name, _what_is_wrong(name, known)) for name in wrong[:MAX_FINDINGS]]
        raise refusal_of([{"field": name[:100], "message": message} for name, message in findings], len(wrong))


def _what_is_wrong(name: str, known: Collection[str]) -> str:
    return "was sent more than once" if name in known else f"is not a known query parameter{suggestion(name, known)}"


async def _refuse_unread_body(request: Request) -> None:
    if "requestBody" in (request.scope["route"].openapi_extra or {}):
        return
    body = (await request.body()).strip()
    if body not in (b"", b"{}"):  # clients send an empty object for nothing
        raise InvalidRequest(
            f"{request.method} of this path reads no body, got {len(body)} bytes; parameters go into the URL."
        )


def _query_parameters(dependant: Any) -> Iterator[str]:
    """The names of the query parameters that a route, or one of its dependencies, reads."""
    yield from (parameter.alias for parameter in dependant.query_params)
    for inner in dependant.dependencies:
        yield from _query_parameters(inner)
