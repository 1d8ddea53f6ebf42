"""Enrolment target over the Python handle, for jobs on the same Ray cluster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ray.exceptions import RayActorError, RayTaskError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError

from serve_app.bulk.enroller import RETURN_WITHIN_S, Mode, Refused, TargetUnreachable, blamed
from serve_app.errors import CollectionNotFound, FacegraphError, Overloaded

PATIENCE_S = 300.0
"""Seconds for which a request to a busy service is repeated."""

PAUSE_S = 1.0


@dataclass(frozen=True)
class HandleTarget:
    """Implements :class:`~serve_app.bulk.enroller.EnrolmentTarget`.

    Attributes:
        handle: the application's handle: ``serve.get_app_handle("facegraph")``.
        options: further arguments of each ``enroll``: tenant, faces, liveness, reject_below ...
    """

    handle: Any
    collection: str
    options: Mapping[str, Any] = field(default_factory=dict)

    async def put(self, person: str, images: Sequence[bytes], fields: Mapping[str, Any], mode: Mode) -> int:
        """See :class:`~serve_app.bulk.enroller.EnrolmentTarget`."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                enrolment = await self.handle.enroll.remote(
                    person, list(images), self.collection, fields=dict(fields), mode=mode, **self.options
                )
                return len(enrolment.faces)
            except (BackPressureError, Overloaded) as error:
                if time.monotonic() + PAUSE_S > deadline:
                    raise Refused("overloaded", str(error)) from None
                await asyncio.sleep(PAUSE_S)
            except (FacegraphError, RayTaskError) as error:
                cause = getattr(error, "cause", error)
                if not isinstance(cause, FacegraphError):
                    raise
                if cause.status == 503:
                    raise TargetUnreachable(cause.message) from None
                picture = blamed(cause.details, cause.status, len(images))
                fatal = isinstance(cause, CollectionNotFound)
                raise Refused(cause.code, cause.message, picture, fatal=fatal) from None
            except (RayActorError, DeploymentUnavailableError) as error:
                raise TargetUnreachable(str(error)) from None

    async def returns(self) -> bool:
        """See :class:`~serve_app.bulk.enroller.EnrolmentTarget`."""
        deadline = time.monotonic() + RETURN_WITHIN_S
        while time.monotonic() < deadline:
            try:
                await self.handle.ready.remote()
            except (FacegraphError, RayTaskError, RayActorError, BackPressureError, DeploymentUnavailableError):
                await asyncio.sleep(PAUSE_S)
            else:
                return True
        return False
