"""Clients that disconnect: their work stops, no partial write remains, and the next client is served at once."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import pytest

from scripts.long_runs import LongRun
from serve_app.domain import DEFAULT_TENANT, Person
from serve_app.gallery import Gallery
from serve_app.service import FaceService
from serve_app.serving.http_server import CLIENT_GONE, HttpServer
from serve_app.serving.ingress import Ingress
from serve_app.serving.socket_handoff import SocketHandoff, receive_socket
from serve_app.settings import DetectorSettings, IngressSettings, Settings
from serve_app.vision.face_analyser import FaceAnalyser
from tests import photos
from tests.faults.killing import KILLS
from tests.faults.leaving import LeavingClient, request_bytes
from tests.gallery.stores import check_consistent, embedded
from tests.graph.service import RunningService, key_of_tenant
from tests.waiting import await_true

pytestmark = pytest.mark.slow

PLACES = 12  # requests of the key at the same time
PATH = "/v1/collections/staff/persons/"


class Served:
    """The whole service in this process, real models and stores, on a real port as with ``ingress.own_port``."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.key = key_of_tenant(folder, "default")
        self.answered: list[tuple[str, str, int]] = []  # method, route, status
        self._settings = Settings(
            data_dir=folder,
            model_dir=photos.model_dir(),
            detector=DetectorSettings(workers=1),
            ingress=IngressSettings(max_in_flight_per_key=PLACES),
        )
        self._listener = SocketHandoff("127.0.0.1", 0)
        self.port = self._listener.port
        self.url = f"http://127.0.0.1:{self.port}"
        self._up, self._end = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)
        self._thread.start()
        assert self._up.wait(60)
        self.api = httpx.Client(base_url=self.url, headers={"X-API-Key": self.key}, timeout=60, trust_env=False)
        self.api.post("/v1/collections", json={"name": "staff"}).raise_for_status()

    async def _serve(self) -> None:
        ingress = Ingress(self._settings)
        server = HttpServer(ingress.build_http_app(), receive_socket(self._listener.path), self._note)
        self._up.set()
        await asyncio.to_thread(self._end.wait)
        await server.close()
        await ingress.close()

    def _note(self, method: str, route: str, status: int, took: float) -> None:
        self.answered.append((method, route, status))

    def stop(self) -> None:
        self.api.close()
        self._end.set()
        self._thread.join(60)
        self._listener.close()

    def enrolment(self, person: str) -> bytes:
        """A request that enrols somebody."""
        photo = photos.astronaut()
        return request_bytes(self.url, "PUT", PATH + person, self.key, files={"image": ("a.jpg", photo)})

    def await_ends(self, number: int) -> None:
        """Wait until this number of enrolments has ended, successfully or not."""
        await_true(lambda: len(self.ends()) >= number, f"{number} requests have ended")

    def ends(self) -> list[int]:
        """Their statuses."""
        return [status for method, _, status in self.answered if method == "PUT"]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    running = Served(tmp_path / "data")
    yield running
    running.stop()


class Gate:
    """Lets nobody through before it is opened, and counts who came."""

    def __init__(self) -> None:
        self.came = 0
        self.open = threading.Event()

    def around(self, method: Any) -> Any:
        def gated(*args: Any, **kwargs: Any) -> Any:
            self.came += 1
            assert self.open.wait(120)
            return method(*args, **kwargs)

        return gated

    def await_somebody(self) -> None:
        await_true(lambda: self.came > 0, "somebody came")


@pytest.mark.parametrize("abruptly", [False, True])
def test_work_that_nobody_waits_for_is_not_begun(
    served: Served, abruptly: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate()
    monkeypatch.setattr(FaceAnalyser, "analyse", gate.around(FaceAnalyser.analyse))
    enroll = mock.create_autospec(FaceService.enroll, side_effect=FaceService.enroll)
    monkeypatch.setattr(FaceService, "enroll", enroll)
    clients = [LeavingClient(served.port, served.enrolment(f"p{number}")) for number in range(PLACES)]
    gate.await_somebody()  # one picture is looked at, the others wait for it
    await_true(lambda: enroll.call_count == PLACES, "all requests have arrived")
    assert served.api.get("/v1/info").status_code == 429, "the key's places are taken"
    for client in clients:
        client.leave(abruptly)
    served.await_ends(PLACES)
    assert served.ends() == [CLIENT_GONE] * PLACES
    assert served.api.get("/v1/info").status_code == 200, "the places are free, although the picture is not done"
    gate.open.set()
    answer = served.api.put(f"{PATH}next", files={"image": ("a.jpg", photos.astronaut())})
    assert answer.status_code == 201
    assert gate.came == 2, "of those who left, only the picture that was begun was looked at"
    assert [person["id"] for person in served.api.get("/v1/collections/staff/persons").json()["persons"]] == ["next"]


def test_a_write_that_was_begun_is_made_whole(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate()
    monkeypatch.setattr(Gallery, "put_person", gate.around(Gallery.put_person))
    client = LeavingClient(served.port, served.enrolment("ada"))
    gate.await_somebody()
    client.leave()
    served.await_ends(1)
    gate.open.set()
    path = "/v1/collections/staff/persons/ada"
    await_true(lambda: served.api.get(path).status_code != 404, "ada is enrolled")
    (face,) = served.api.get(path).json()["faces"]
    assert served.api.get(f"/v1/faces/{face['id']}/image").status_code == 200


def test_leaving_at_any_moment_leaves_nothing_half_written(served: Served) -> None:
    run = LongRun("clients that left in the middle of an enrolment", recorded=KILLS > 0)
    rng, number = random.Random(run.seed), KILLS or 24
    for first in ("cold", "warm"):
        began = time.monotonic()
        served.api.put(f"{PATH}{first}", files={"image": ("a.jpg", photos.astronaut())}).raise_for_status()
        took = time.monotonic() - began
    for person in range(number):
        share = rng.uniform(0, 1) if person % 4 == 0 else 1.0
        client = LeavingClient(served.port, served.enrolment(f"p{person}"), share)
        time.sleep(rng.uniform(0, 1.3 * took))
        client.leave(abruptly=person % 2 == 0)
    served.await_ends(2 + sum(person % 4 != 0 for person in range(number)))
    served.api.put(f"{PATH}last", files={"image": ("a.jpg", photos.astronaut())}).raise_for_status()
    served.stop()
    assert set(served.ends()) <= {201, CLIENT_GONE}
    with embedded(served.folder) as gallery:
        people = check_whole(gallery)
    enrolled = {person.id for person in people} - {"cold", "warm", "last"}
    assert len(people) == len(enrolled) + 3
    run.add(left=number, enrolled_all_the_same=len(enrolled), enrolled_by_half=0)
    print(f"{number} clients left: {len(enrolled)} were enrolled all the same, {number - len(enrolled)} not; half: 0")
    assert 0 < len(enrolled) < number, "every moment was too early, or too late"


def check_whole(gallery: Gallery) -> tuple[Person, ...]:
    """Everybody who is stored, each with one face and its image."""
    check_consistent(gallery)
    people = gallery.persons(DEFAULT_TENANT, limit=1000).items
    for person in people:
        (face,) = person.faces
        assert gallery.face_image(DEFAULT_TENANT, face.id, "thumbnail")
    return people


@pytest.mark.graph
def test_behind_serve_s_own_proxy(tmp_path: Path) -> None:
    """There Serve cancels: of many detections that nobody waits for, few are done. Counted by processor time."""
    number, alone = 30, 5
    photo = photos.group([photos.astronaut(), photos.grace_hopper()] * 4)
    service = RunningService(tmp_path / "data", FACEGRAPH_INGRESS__OWN_PORT="False").start()
    try:
        with service.client() as api:

            def detect(times: int) -> float:
                """The processor time of the replica for this, in seconds."""
                (replica,) = service.replicas("Ingress")
                before = replica.cpu_times()
                for _ in range(times):
                    api.post("/v1/detect", files={"image": ("a.jpg", photo)}).raise_for_status()
                after = replica.cpu_times()
                return (after.user + after.system) - (before.user + before.system)

            detect(2)
            one = detect(alone) / alone
            request = request_bytes(
                service.url, "POST", "/v1/detect", service.key or "", files={"image": ("a.jpg", photo)}
            )
            for client in [LeavingClient(service.port, request) for _ in range(number)]:
                client.leave()
            done = detect(1) / one - 1
    finally:
        service.stop()
    print(f"of {number} who left, the replica worked for about {done:.1f}")
    assert done < number / 5
