"""Mapping between the cloud's ids and names of collections and ours.

In the cloud, a collection's id is a UUID of 36 characters; ours has 32 hex digits. In the cloud, the name is any text
of up to 50 characters; ours has only letters, digits and three other characters. A text that is no such name is stored
as the title, and the name is derived from the text and its SHA-256. So equal names stay equal and different names stay
different.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Sequence

from serve_app.api.api_context import ApiContext
from serve_app.domain import Collection
from serve_app.domain.names import is_name

MAX_NAME = 50

_DASHED = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_FOREIGN = re.compile(r"[^A-Za-z0-9_.-]+")


def shown_id(internal: str) -> str:
    """The UUID of an internal id."""
    return str(uuid.UUID(internal))


def internal_id(shown: str) -> str:
    """The internal id of a UUID. Any other text is returned unchanged, and is not found."""
    return uuid.UUID(shown).hex if _DASHED.fullmatch(shown) else shown


def internal_name(shown: str) -> str:
    """The internal name of a collection that the cloud calls ``shown``."""
    if is_name(shown):
        return shown
    digest = hashlib.sha256(shown.encode("utf-8", "replace")).hexdigest()
    return f"{_FOREIGN.sub('_', shown)[:40]}-{digest[:16]}"


def shown_name(collection: Collection) -> str:
    """The collection's name in the cloud."""
    is_made = collection.title and internal_name(collection.title) == collection.name
    return (collection.title if is_made else collection.name)[:MAX_NAME]


def name_and_title(shown: str) -> tuple[str, str]:
    """The internal name and title of a collection that the cloud calls ``shown``."""
    name = internal_name(shown)
    return name, "" if name == shown else shown


async def collection_of(context: ApiContext, tenant: str, shown: str) -> Collection:
    """The collection with this UUID. Raises CollectionNotFound."""
    return (await context.service.matcher.collections_by_id(tenant, [internal_id(shown)]))[0]


async def names_of(context: ApiContext, tenant: str, shown: Sequence[str] | None) -> tuple[str, ...]:
    """The internal names of the collections with these UUIDs. Raises CollectionNotFound."""
    if not shown:
        return ()
    ids = list(dict.fromkeys(internal_id(text) for text in shown))
    return tuple(collection.name for collection in await context.service.matcher.collections_by_id(tenant, ids))


async def searched(context: ApiContext, tenant: str, shown: str | None) -> tuple[str, ...] | None:
    """The internal name of the collection to search; None for all collections. Raises CollectionNotFound."""
    return None if shown is None else await names_of(context, tenant, [shown])
