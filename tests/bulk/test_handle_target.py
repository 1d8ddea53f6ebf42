"""The enrolment target over the Python handle: errors of the ingress and of Ray become errors of the target."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

import pytest
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError

from serve_app.bulk import handle_target as module
from serve_app.bulk.enroller import Refused, TargetUnreachable
from serve_app.bulk.handle_target import HandleTarget
from serve_app.domain import DEFAULT_TENANT, NewCollection
from serve_app.errors import StoreUnavailable
from serve_app.serving.ingress import Ingress
from tests.fakes.stages import fake_picture
from tests.service_parts import ServiceParts


class Handle:
    """Calls an ingress of this process, as Ray's handle would one elsewhere; ``faults`` are raised first."""

    def __init__(self, ingress: Ingress) -> None:
        self._ingress = ingress
        self.faults: list[Exception] = []

    def __getattr__(self, name: str) -> Any:
        class Method:
            remote: Callable[..., Coroutine[Any, Any, Any]] = staticmethod(self._call(name))

        return Method

    def _call(self, name: str) -> Callable[..., Coroutine[Any, Any, Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            if self.faults:
                raise self.faults.pop(0)
            return await getattr(self._ingress, name)(*args, **kwargs)

        return call


@pytest.fixture
def handle(monkeypatch: pytest.MonkeyPatch) -> Iterator[Handle]:
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    parts = ServiceParts()
    parts.gallery.create_collection(DEFAULT_TENANT, NewCollection("staff"))
    ingress = Ingress.__new__(Ingress)  # its operations, without stages that load models
    ingress.service = parts.service
    yield Handle(ingress)
    parts.close()


def put(handle: Handle, *images: bytes, collection: str = "staff", **fields: Any) -> int:
    return asyncio.run(HandleTarget(handle, collection).put("ada", images, fields, "replace"))


def test_a_person_is_enrolled_with_fields_as_a_request_has_them(handle: Handle) -> None:
    assert put(handle, fake_picture("ada"), fake_picture("ada"), name="Ada", date_of_birth="1815-12-10") == 2
    person = asyncio.run(handle._ingress.person("ada", "staff"))
    assert (person.name, person.date_of_birth.isoformat()) == ("Ada", "1815-12-10")


@pytest.mark.parametrize("fault", [BackPressureError(num_queued_requests=9, max_queued_requests=9)])
def test_a_full_queue_is_waited_for(handle: Handle, fault: Exception) -> None:
    handle.faults = [fault, fault]
    assert put(handle, fake_picture("ada")) == 1


def test_refusals_name_the_picture(handle: Handle) -> None:
    with pytest.raises(Refused) as refused:
        put(handle, fake_picture("ada"), fake_picture())
    assert (refused.value.code, refused.value.picture, refused.value.fatal) == ("face_not_found", 1, False)
    with pytest.raises(Refused) as refused:
        put(handle, fake_picture("ada"), date_of_birth="1815")
    assert (refused.value.code, refused.value.picture) == ("invalid_request", None)
    with pytest.raises(Refused) as refused:
        put(handle, fake_picture("ada"), collection="none")
    assert refused.value.fatal


@pytest.mark.parametrize("fault", [RayActorError(), StoreUnavailable("away")])
def test_what_goes_away_may_come_back(handle: Handle, fault: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    handle.faults = [fault]
    with pytest.raises(TargetUnreachable):
        put(handle, fake_picture("ada"))
    handle.faults = [fault]
    assert asyncio.run(HandleTarget(handle, "staff").returns())
    monkeypatch.setattr(module, "RETURN_WITHIN_S", 0.0)
    assert not asyncio.run(HandleTarget(handle, "staff").returns())
