"""Authentication and authorisation: API keys and roles, and the native API's ``X-API-Key`` header.

The description of the application, :data:`serve_app.api.app.DESCRIPTION`, says what each role may do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from fastapi import Depends, Security
from fastapi.security import APIKeyHeader

from serve_app.api.api_context import ApiContext, Context
from serve_app.api.places import prove
from serve_app.domain import ApiKey, Role
from serve_app.errors import KeyInvalid, KeyMissing, RoleInsufficient
from serve_app.request_context import current

MAX_SECRET = 1000
"""Characters; a longer secret is refused without a look into the key store."""

api_key_header = APIKeyHeader(
    name="X-API-Key", scheme_name="ApiKey", description="An API key of this service.", auto_error=False
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
