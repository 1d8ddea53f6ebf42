"""The HTTP client against the real API."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

import facegraph.client
import serve_app.client
from serve_app.client import ApiError, AsyncClient, Client, ServiceUnreachable
from serve_app.domain import Role
from tests.cli.conftest import Service, error_answer
from tests.cli.conftest import facegraph as run
from tests.fakes.stages import FAKE_MODEL, FakeFace, fake_picture

ADA, BOB = fake_picture("ada"), fake_picture("bob")


def test_the_client_has_the_name_of_the_distribution() -> None:
    assert facegraph.client.Client is Client
    assert set(facegraph.client.__all__) == set(serve_app.client.__all__)


def test_collections_live_from_creation_to_deletion(service: Service) -> None:
    with service.client() as client:
        created = client.create_collection("staff.2", title="All", policy={"min_score": 0.8})
        assert created["policy"]["min_score"] == 0.8
        assert client.update_collection("staff.2", name="staff", tags=["x"])["tags"] == ["x"]
        assert [item["name"] for item in client.collections()["collections"]] == ["staff"]
        assert client.collection("staff")["person_count"] == 0
        assert client.delete_collection("staff", only_if_empty=True)["erased"]
        with pytest.raises(ApiError) as refused:
            client.collection("staff")
        assert (refused.value.code, refused.value.status) == ("collection_not_found", 404)
        assert refused.value.request_id


def test_persons_are_enrolled_found_and_deleted(service: Service, tmp_path: Path) -> None:
    file = tmp_path / "ada.jpg"
    file.write_bytes(ADA)
    with service.client() as client:
        client.create_collection("staff")
        enrolled = client.put_person(
            "staff", "ada l.", [file, fake_picture(FakeFace("ada", 1))], name="Ada", metadata={"badge": "7"}, notes=None
        )
        assert (enrolled["name"], enrolled["metadata"]) == ("Ada", {"badge": "7"})
        assert len(enrolled["added_faces"]) == 2
        assert client.put_person("staff", "ada l.", name="Ada Lovelace")["name"] == "Ada Lovelace"
        added = client.add_faces("staff", "ada l.", [fake_picture(FakeFace("ada", 2))], faces="largest")
        client.delete_face("staff", "ada l.", added["faces"][0]["id"])
        assert len(client.person("staff", "ada l.")["faces"]) == 2
        assert client.face_image(enrolled["added_faces"][0])[:2] == b"\xff\xd8"

        found = client.search(ADA, ["staff"], max_results=1, min_score=0.7, liveness=False)
        assert found["faces"][0]["matches"][0]["person"]["id"] == "ada l."
        again = client.search_face(enrolled["added_faces"][0], ["staff"], fpir=0.5)
        assert again["faces"][0]["matches"][0]["person"]["id"] == "ada l."
        assert client.verify(ADA, "ada l.", collection="staff")["is_match"]
        client.put_person("staff", "king", [BOB], notes="twice")
        merged = client.merge_persons("staff", "ada l.", "king")
        assert (len(merged["faces"]), merged["notes"]) == (3, "twice")
        assert client.delete_person("staff", "ada l.")["erased"]


def test_listing_fetches_every_page(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    with service.client() as client:
        client.create_collection("staff")
        for name in ("a", "b", "c", "d", "e"):
            client.put_person("staff", name)
        pages = client.persons
        monkeypatch.setattr(client, "persons", lambda collection, q, limit, cursor: pages(collection, q, 2, cursor))
        assert [person["id"] for person in client.all_persons("staff")] == ["a", "b", "c", "d", "e"]


def test_pictures_that_are_not_stored(service: Service) -> None:
    with service.client(Role.SEARCH) as client:
        assert len(client.detect(fake_picture("ada", "bob"), max_faces=5, liveness=True)["faces"]) == 2
        assert client.compare(ADA, ADA)["is_match"]
        assert not client.compare(ADA, BOB, min_score=0.7)["is_match"]
        assert client.liveness(ADA, threshold=0.4)["is_live"]
        answer = client.embed(ADA, faces="all")
        assert answer["model"] == FAKE_MODEL
        assert len(answer["faces"][0]["embedding"]) == answer["dimension"]


def test_keys_and_the_service_itself(service: Service) -> None:
    with service.client() as client:
        made = client.create_key("door", "search", expires="2100-01-01T00:00:00Z", rate_limit=2.5)
        assert made["secret"]
        assert "door" in [key["name"] for key in client.api_keys()]
        assert client.revoke_key(made["id"])["deleted"]
        assert client.info()["version"] == "1.2.3"
        assert {stage["name"] for stage in client.status()["stages"]} >= {"detector", "matcher"}
        assert client.ready()
        assert client.wait_until_ready(1)


def test_a_refusal_carries_what_the_service_says(service: Service) -> None:
    with service.client(Role.SEARCH) as client:
        with pytest.raises(ApiError, match="role") as refused:
            client.create_collection("staff")
        assert (refused.value.code, refused.value.status) == ("forbidden", 403)
    with service.client() as client:
        client.create_collection("staff")
        with pytest.raises(ApiError) as refused:
            client.put_person("staff", "ada", [ADA, fake_picture()])
        assert (refused.value.code, refused.value.details["image"]) == ("face_not_found", 1)


class Busy:
    """Refuses the first requests."""

    def __init__(self, times: int, status: int = 429, headers: dict[str, str] | None = None) -> None:
        self.left = times
        self.answer = (status, headers)

    def __call__(self, request: Request) -> Response | None:
        self.left -= 1
        status, headers = self.answer
        return error_answer(status, "overloaded", headers) if self.left >= 0 else None


@pytest.mark.parametrize(("status", "headers"), [(429, {"Retry-After": "1"}), (503, None)])
def test_a_busy_service_is_asked_again(service: Service, status: int, headers: dict[str, str] | None) -> None:
    service.instead = Busy(1, status, headers)
    started = time.monotonic()
    with service.client() as client:
        assert client.info()["version"] == "1.2.3"
    waited = time.monotonic() - started
    assert waited >= (1 if headers else 0.5)
    assert len(service.requests) == 2


def test_patience_ends(service: Service) -> None:
    service.instead = Busy(99, headers={"Retry-After": "3600"})
    started = time.monotonic()
    with service.client(patience_s=25) as client, pytest.raises(ApiError) as refused:
        client.info()
    assert refused.value.status == 429
    assert time.monotonic() - started < 20, "the service says that waiting is in vain"


def test_a_past_date_as_retry_after_means_now(service: Service) -> None:
    service.instead = Busy(1, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"})
    with service.client() as client:
        assert client.info()


def test_answers_of_something_else_are_errors_in_words(service: Service) -> None:
    service.instead = lambda request: PlainTextResponse("<html>Bad gateway</html>", 502)
    with service.client() as client:
        with pytest.raises(ApiError, match="Bad gateway") as refused:
            client.info()
        assert refused.value.code == "http_502"
        service.instead = lambda request: PlainTextResponse("welcome", 200)
        with pytest.raises(ApiError, match="check the URL"):
            client.info()


def test_nothing_listening_is_said_at_once() -> None:
    started = time.monotonic()
    with Client("http://127.0.0.1:9", "key") as client:
        with pytest.raises(ServiceUnreachable, match=r"127\.0\.0\.1:9"):
            client.info()
        assert not client.ready()
        assert not client.wait_until_ready(0)
    assert time.monotonic() - started < 60


@pytest.mark.parametrize("key", ["secret-0123\n4567", "secret-0123456789\x00", "schlüssel-0123456789"])
def test_a_key_that_no_header_can_carry_is_refused_and_not_shown(key: str) -> None:
    for kind in (Client, AsyncClient):
        with pytest.raises(ValueError, match="printable ASCII") as refused:
            kind("http://127.0.0.1:9", key)
        assert key not in str(refused.value)
    shown = run("info", "--url", "http://127.0.0.1:9", "--key", key)
    assert shown.exit_code == 2
    assert "key is not valid" in shown.output
    assert key not in shown.output


def test_blanks_around_a_key_are_left_out(service: Service) -> None:
    with Client(service.url, f" {service.secrets[Role.ADMIN]}\n") as client:
        assert client.info()["key"]
