"""Authentication and authorisation: API keys and roles, and the native API's ``X-API-Key`` header.

The description of the application, :data:`serve_app.api.app.DESCRIPTION`, says what each role may do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Security
from fastapi.requests import HTTPConnection
from fastapi.security import APIKeyHeader

from serve_app.api.api_context import ApiContext, Context
from serve_app.api.places import prove
from serve_app.domain import ApiKey, Role
from serve_app.errors import InvalidRequest, KeyInvalid, KeyMissing, RoleInsufficient
from serve_app.request_context import current

MAX_SECRET = 1000
"""Characters; a longer secret is refused without a look into the key store."""

API_KEY = "X-API-Key"
AUTHORIZATION = "Authorization"


def refuse_two_keys(request: HTTPConnection, secret: str | None) -> None:
    """Raise InvalidRequest if the request has another key than ``secret``, the one that counts.

    A proxy in front may take another one of two keys than this service.
    """
    sent = request.headers
    for name in (API_KEY, AUTHORIZATION):
        if len(sent.getlist(name)) > 1:
            raise InvalidRequest(f"The header {name} was sent more than once; one was expected.")
    scheme, _, token = sent.get(AUTHORIZATION, "").partition(" ")
    others = [sent.get(API_KEY), token.strip() if scheme.lower() == "bearer" else None]
    if secret and any(other not in (None, "", secret) for other in others):
        raise InvalidRequest(f"Two different keys were sent, in {API_KEY} and in {AUTHORIZATION}; one was expected.")


class _OneKey(APIKeyHeader):
    async def __call__(self, request: HTTPConnection) -> str | None:
        secret = await super().__call__(request)
        refuse_two_keys(request, secret)
        return secret


api_key_header = _OneKey(
    name=API_KEY, scheme_name="ApiKey", description="An API key of this service.", auto_error=False
)


def authenticate(context: ApiContext, secret: str | None, needed: Role, key_id: str | None = None) -> ApiKey:
    """Authenticate a request of any dialect, check the key's role and count the request against the key's limits.

    Blocks: it can query the database. The key is recorded as the caller in the request context. ``key_id`` is for
    schemes that send it with the secret. Raises KeyMissing, KeyInvalid, RoleInsufficient, RateLimited or
    Overloaded.
    """
    if not secret:
        raise KeyMissing("This request needs an API key in the header X-API-Key.")
    if len(secret) > MAX_SECRET:
        raise KeyInvalid("The API key is unknown, revoked or expired.")
    keys = context.keys
    key = keys.authenticate(secret) if key_id is None else keys.authenticate_pair(key_id, secret)
    if not key.role.allows(needed):
        raise RoleInsufficient(
            f"This request needs the role {needed}, the API key has {key.role}.", needed=needed, has=key.role
        )
    prove(key.id)
    context.rates.take(key)
    current().caller = f"key:{key.id}"
    return key


def require(needed: Role) -> Callable[..., ApiKey]:
    """Dependency: the request's API key, which must have this role. Not async, so that it runs in the thread pool."""

    def authorised(context: Context, secret: Annotated[str | None, Security(api_key_header)] = None) -> ApiKey:
        return authenticate(context, secret, needed)

    return authorised


SearchKey = Annotated[ApiKey, Depends(require(Role.SEARCH))]
EnrollKey = Annotated[ApiKey, Depends(require(Role.ENROLL))]
AdminKey = Annotated[ApiKey, Depends(require(Role.ADMIN))]
