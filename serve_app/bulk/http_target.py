"""Enrolment target over a running service's HTTP API."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from serve_app.bulk.enroller import RETURN_WITHIN_S, Mode, Refused, TargetUnreachable, blamed
from serve_app.client import ApiError, AsyncClient, ServiceUnreachable

FATAL = frozenset({"api_key_missing", "api_key_invalid", "forbidden", "collection_not_found"})
"""Codes of errors that every further request would get as well."""


@dataclass(frozen=True)
class HttpTarget:
    """Implements :class:`~serve_app.bulk.enroller.EnrolmentTarget`; ``options`` are further fields of each request."""

    client: AsyncClient
    collection: str
    options: Mapping[str, Any] = field(default_factory=dict)

    async def put(self, person: str, images: Sequence[bytes], fields: Mapping[str, Any], mode: Mode) -> int:
        """See :class:`~serve_app.bulk.enroller.EnrolmentTarget`."""
        try:
            options = {**self.options, **fields}
            answer = await self.client.put_person(self.collection, person, images, mode=mode, **options)
        except ApiError as error:
            picture = blamed(error.details, error.status, len(images))
            raise Refused(error.code, error.message, picture, fatal=error.code in FATAL) from None
        except ServiceUnreachable as error:
            raise TargetUnreachable(str(error)) from None
        return len(answer["added_faces"])

    async def returns(self) -> bool:
        """See :class:`~serve_app.bulk.enroller.EnrolmentTarget`."""
        return await self.client.wait_until_ready(RETURN_WITHIN_S)
