"""9thSense's face search, by its published page, over fake models."""

from __future__ import annotations

import base64

import pytest

from serve_app.api.app import create_app
from serve_app.api.dialects.ninthsense import ninthsense, routes
from tests.api.conftest import World
from tests.api.dialects.ninthsense import Client, failure, populated
from tests.api.dialects.samples import shape
from tests.fakes.stages import FakeFace, fake_picture
from tests.service_parts import OTHER_TENANT

# The page's answer to a search, with a value for each placeholder.
PUBLISHED_SEARCH = {
    "response": [
        {
            "match_score": 94.2,
            "distance": 0.058,
            "match_image_id": "<IMAGE_ID>",
            "name": "John Doe",
            "dob": "1990-01-15",
            "nationality": "IN",
            "gender": "M",
            "id_no": "<ID_NUMBER>",
            "address": "<ADDRESS>",
            "watch_list": ["<CATEGORY>"],
            "additional_info": "",
            "index_name": "<INDEX_NAME>",
            "index_type": "INTERNAL",
        }
    ]
}
PUBLISHED_FILE = {
    "response": {
        "file_base64": "<BASE64_IMAGE_DATA>",
        "file_name": "face_image.jpg",
        "file_type": "image/jpeg",
        "file_id": "<FILE_ID>",
    }
}
PUBLISHED_INDEX = {
    "id": "",
    "index_name": "",
    "index_type": "EXTERNAL",
    "record_count": 1,
    "title": "",
    "description": "",
}
PUBLISHED_COMPARISON = {"response": {"confidence": 0.97, "match_result": "matched", "similarity_score": "97.4"}}


@pytest.fixture
def kyc(world: World) -> Client:
    return populated(world)


# -- indexes


def test_all_databases_are_listed_with_their_kinds_and_counts(kyc: Client) -> None:
    response = kyc.request("GET", "/face/index/details", params={"action_type": "FACE_SEARCH"})
    assert response.status_code == 200
    customers, sanctions, staff = response.json()["response"]
    assert shape(customers) == shape(PUBLISHED_INDEX)
    native = kyc.world.call("GET", "/v1/collections/customers").json()
    assert customers == {
        "id": native["id"],
        "index_name": "customers",
        "index_type": "INTERNAL",
        "record_count": 2,
        "title": "Customers",
        "description": "All customers",
    }
    assert (sanctions["index_type"], sanctions["record_count"]) == ("EXTERNAL", 2)
    assert (staff["index_name"], staff["record_count"]) == ("staff", 0)


def test_more_databases_than_a_page_are_listed(kyc: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "PAGE", 2)
    found = kyc.request("GET", "/face/index/details").json()["response"]
    assert [index["index_name"] for index in found] == ["customers", "sanctions", "staff"]


def test_another_action_is_refused(kyc: Client) -> None:
    response = kyc.request("GET", "/face/index/details", params={"action_type": "LOGIN"})
    assert failure(response) == (400, "invalid_request")
    assert "FACE_SEARCH" in response.text


def test_another_tenant_has_databases_of_its_own(kyc: Client) -> None:
    stranger = Client(kyc.world, tenant=OTHER_TENANT)
    assert stranger.request("GET", "/face/index/details").json() == {"response": []}
    assert failure(stranger.search(kyc.index("customers"))) == (404, "index_not_found")


# -- searching


def test_a_search_answers_as_published(kyc: Client) -> None:
    response = kyc.search(kyc.index("customers"), fake_picture(FakeFace("john", take=3)))
    assert response.status_code == 200
    assert shape(response.json()) == {
        "response": [{**shape(PUBLISHED_SEARCH)["response"][0], "watch_list": [str, str]}],
    }
    (match,) = response.json()["response"]
    assert list(match) == list(PUBLISHED_SEARCH["response"][0])
    face_id = kyc.world.call("GET", "/v1/collections/customers/persons/j").json()["faces"][0]["id"]
    score = match.pop("match_score")
    assert 70 <= score < 100
    assert match.pop("distance") == pytest.approx(1 - score / 100, abs=1e-9)
    assert match == {
        "match_image_id": face_id,
        "name": "John Doe",
        "dob": "1990-01-15",
        "nationality": "IN",
        "gender": "M",
        "id_no": "A1",
        "address": "1 Road",
        "watch_list": ["PEP", "fraud"],
        "additional_info": "VIP",
        "index_name": "customers",
        "index_type": "INTERNAL",
    }


def test_what_is_not_known_of_a_person_is_empty(kyc: Client) -> None:
    (match,) = kyc.search(kyc.index("customers"), fake_picture("jane")).json()["response"]
    unknown = ("dob", "nationality", "gender", "id_no", "address", "additional_info")
    assert [match[name] for name in unknown] == [""] * 6
    assert match["watch_list"] == []
    assert (match["match_score"], match["distance"]) == (100, 0)


def test_several_databases_are_searched_at_once(kyc: Client) -> None:
    both = f"{kyc.index('customers')}, {kyc.index('sanctions')},{kyc.index('customers')}"
    (match,) = kyc.search(both, fake_picture("igor")).json()["response"]
    assert (match["name"], match["index_name"], match["index_type"]) == ("Igor", "sanctions", "EXTERNAL")
    everyone = kyc.search(both, fake_picture("igor"), min_match_score="0").json()["response"]
    assert sorted(match["name"] for match in everyone) == ["Igor", "Jane", "John Doe"]
    scores = [match["match_score"] for match in everyone]
    assert scores == sorted(scores, reverse=True)
    assert kyc.search(kyc.index("customers"), fake_picture("igor")).json() == {"response": []}
    (best,) = kyc.search(both, fake_picture("igor"), min_match_score="0", max_results="1").json()["response"]
    assert best == everyone[0]


def test_five_matches_from_70_on_unless_told_otherwise(kyc: Client) -> None:
    for number in range(7):
        kyc.world.enrol(f"twin{number}", FakeFace("twin", take=number), collection="customers")
    index = kyc.index("customers")
    found = kyc.search(index, fake_picture("twin")).json()["response"]
    assert len(found) == 5
    assert all(match["match_score"] >= 70 for match in found)
    assert len(kyc.search(index, fake_picture("twin"), max_results="7").json()["response"]) == 7
    exact = kyc.search(index, fake_picture("twin"), min_match_score="99.5").json()["response"]
    assert [match["match_score"] for match in exact] == [100]


def test_liveness_is_checked_unless_told_otherwise(kyc: Client) -> None:
    index, spoof = kyc.index("customers"), fake_picture(FakeFace("john", live=0.2))
    for live in (None, "true", "1"):
        response = kyc.search(index, spoof, live=live)
        assert failure(response) == (422, "face_not_live")
        assert "probability 0.20, needed 0.50" in response.text
    for live in ("false", "0"):
        assert kyc.search(index, spoof, live=live).json()["response"][0]["name"] == "John Doe"


def test_a_policy_demands_liveness_in_any_case(kyc: Client) -> None:
    policy = {"policy": {"liveness": True, "liveness_threshold": 0.95}}
    kyc.world.call("PATCH", "/v1/collections/customers", json=policy).raise_for_status()
    assert failure(kyc.search(kyc.index("customers"), live="false")) == (422, "face_not_live")


def test_without_a_liveness_model_a_check_is_no_pass(kyc: Client) -> None:
    kyc.world.liveness.installed = False
    assert failure(kyc.search(kyc.index("customers"))) == (501, "liveness_unavailable")
    assert kyc.search(kyc.index("customers"), live="false").status_code == 200


def test_fields_that_the_page_does_not_know_are_let_pass(kyc: Client) -> None:
    assert kyc.search(kyc.index("customers"), transaction_id="7").status_code == 200


# -- files


def test_a_matched_image_is_downloaded_as_published(kyc: Client) -> None:
    (match,) = kyc.search(kyc.index("customers")).json()["response"]
    response = kyc.request("GET", f"/media/file/download/{match['match_image_id']}")
    assert shape(response.json()) == shape(PUBLISHED_FILE)
    file = response.json()["response"]
    crop = kyc.world.call("GET", f"/v1/faces/{match['match_image_id']}/image").content
    assert base64.b64decode(file.pop("file_base64")) == crop
    assert file == {"file_name": "face_image.jpg", "file_type": "image/jpeg", "file_id": match["match_image_id"]}
    assert response.headers["cache-control"] == "no-store"


def test_the_photograph_is_preferred_where_it_was_kept(kyc: Client) -> None:
    kyc.world.enrol("full", "full", collection="customers", image_storage="full")
    kyc.world.enrol("none", "none", collection="customers", image_storage="none")
    found = {
        who: kyc.search(kyc.index("customers"), fake_picture(who)).json()["response"][0]["match_image_id"]
        for who in ("full", "none")
    }
    file = kyc.request("GET", f"/media/file/download/{found['full']}").json()["response"]
    assert base64.b64decode(file["file_base64"]) == fake_picture("full")
    assert failure(kyc.request("GET", f"/media/file/download/{found['none']}")) == (404, "file_not_found")


# -- comparing


@pytest.mark.parametrize(("who", "result"), [("john", "matched"), ("jane", "not_matched")])
def test_two_images_are_compared_as_published(kyc: Client, who: str, result: str) -> None:
    files = {"source_image": fake_picture("john"), "target_image": fake_picture(FakeFace(who, take=1))}
    response = kyc.request("POST", "/face/match", files=files)
    assert shape(response.json()) == shape(PUBLISHED_COMPARISON)
    verdict = response.json()["response"]
    assert verdict["match_result"] == result
    assert (verdict["confidence"] >= 0.7) == (result == "matched")
    assert float(verdict["similarity_score"]) / 100 == pytest.approx(verdict["confidence"], abs=0.0051)


# -- documentation


def test_every_operation_is_documented() -> None:
    document = create_app(lambda: None, [ninthsense]).openapi()
    operations = {
        (method, path): operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if operation.get("tags") == ["9thSense"]
    }
    assert set(operations) == {
        ("get", "/face/index/details"),
        ("post", "/face/search"),
        ("get", "/media/file/download/{file_id}"),
        ("post", "/face/match"),
    }
    for (method, _), operation in operations.items():
        assert operation["summary"]
        assert operation["description"]
        assert operation["security"] == [{"NinthSenseBasic": []}]
        assert operation["responses"]["200"]["content"]["application/json"]["example"]["response"]
        for status in ("400", "401", "403", "429", "500", "503"):
            content = operation["responses"][status]["content"]["application/json"]
            assert content["schema"] == {"$ref": "#/components/schemas/NinthSenseErrorAnswer"}
            assert content["examples"]
        if method == "post":
            (form,) = operation["requestBody"]["content"].values()
            assert form["example"]
    example = operations["post", "/face/search"]["responses"]["200"]["content"]["application/json"]["example"]
    assert set(example["response"][0]) == set(PUBLISHED_SEARCH["response"][0])
    assert document["components"]["securitySchemes"]["NinthSenseBasic"]["scheme"] == "basic"
