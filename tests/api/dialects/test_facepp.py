"""Face++ v3: images and faces, by the published pages and recorded answers, over fake models."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from serve_app.api.app import create_app
from serve_app.api.dialects.facepp import facepp
from serve_app.domain import Role
from tests.api.conftest import World, b64
from tests.api.dialects.facepp import Client, failure, picture
from tests.api.dialects.samples import shape
from tests.fakes.stages import FakeFace, fake_picture

# The page's sample of an answer, and a recorded one to a picture.
PUBLISHED_SEARCH = {
    "request_id": "1470481443,0d749845-7153-4f5e-a996-ffc5a1ac0a79",
    "time_used": 1126,
    "thresholds": {"1e-3": 65.3, "1e-5": 76.5, "1e-4": 71.8},
    "results": [{"confidence": 96.46, "user_id": "234723hgfd", "face_token": "4dc8ba0650405fa7a4a5b0b5cb937f0b"}],
}
RECTANGLE = {"top": 270, "left": 1267, "width": 348, "height": 348}
FACE = {"face_token": "0c9c", "face_rectangle": RECTANGLE}
RECORDED_COMPARE = {
    "request_id": "1701265448,83cc",
    "time_used": 580,
    "confidence": 97.283,
    "thresholds": {"1e-3": 62.327, "1e-4": 69.101, "1e-5": 73.975},
    "faces1": [FACE],
    "faces2": [FACE],
    "image_id1": "nAP9==",
    "image_id2": "msMc==",
}
RECORDED_DETECT = {
    "time_used": 271,
    "faces": [FACE],
    "image_id": "J6SxH10JZSNGBfAoTiijdw==",
    "request_id": "1563508595,a168b2bb-bcdc-478a-9590-f240a1b24bdb",
    "face_num": 1,
}
THRESHOLDS = {"1e-3": 65.0, "1e-4": 70.0, "1e-5": 75.0}


@pytest.fixture
def api(world: World) -> Client:
    return Client(world)


# -- detect


def test_detect_answers_as_recorded(api: Client) -> None:
    response = api.post("detect", picture("ada"))
    assert shape(response.json()) == shape(RECORDED_DETECT)
    body = response.json()
    assert body["image_id"].endswith("==")
    assert body["faces"][0]["face_rectangle"] == {"top": 40, "left": 50, "width": 100, "height": 125}


def test_the_largest_face_comes_first_and_each_has_a_token(api: Client) -> None:
    found = api.ok("detect", picture(FakeFace("bob", size=60), FakeFace("ada", size=90)))
    assert found["face_num"] == 2
    assert [face["face_rectangle"]["width"] for face in found["faces"]] == [90, 60]
    assert len({face["face_token"] for face in found["faces"]}) == 2
    again = api.ok("detect", picture(FakeFace("bob", size=60), FakeFace("ada", size=90)))
    assert again["faces"][0]["face_token"] != found["faces"][0]["face_token"]


def test_no_face_is_no_error(api: Client) -> None:
    found = api.ok("detect", picture())
    assert (found["faces"], found["face_num"]) == ([], 0)


def test_landmarks_and_attributes_are_measured_or_null(api: Client) -> None:
    wanted = "gender,age,smiling,headpose,facequality,blur,eyestatus,emotion,ethnicity,beauty,mouthstatus,eyegaze"
    (face,) = api.ok("detect", picture("ada"), return_landmark="1", return_attributes=f"{wanted},skinstatus")["faces"]
    assert face["landmark"] == {
        "left_eye_center": {"x": 80, "y": 90},
        "right_eye_center": {"x": 120, "y": 90},
        "nose_tip": {"x": 100, "y": 115},
        "mouth_left_corner": {"x": 85, "y": 140},
        "mouth_right_corner": {"x": 115, "y": 140},
    }
    found = face["attributes"]
    assert found["headpose"] == {"pitch_angle": None, "roll_angle": 0.0, "yaw_angle": 0.0}
    assert found["facequality"] == {"value": 80.0, "threshold": 50.0}
    assert found["blur"]["blurness"] == {"value": 0.0, "threshold": 50.0}
    assert found["age"] == {"value": None}
    assert found["smile"] == {"value": None, "threshold": None}
    assert set(found) == {*wanted.replace("smiling", "smile").split(","), "skinstatus"}
    (plain,) = api.ok("detect", picture("ada"), return_landmark="0", return_attributes="none")["faces"]
    assert set(plain) == {"face_token", "face_rectangle"}


def test_a_rectangle_chooses_a_face(api: Client) -> None:
    assert api.ok("detect", picture("ada"), face_rectangle="45,55,90,90")["face_num"] == 1
    assert api.ok("detect", picture("ada"), face_rectangle="300,300,50,50")["faces"] == []


@pytest.mark.parametrize("way", ["file", "base64", "url-encoded plus", "query"])
def test_every_way_to_send_parameters(api: Client, way: str) -> None:
    image = fake_picture("ada")
    if way == "file":
        response = api.post("detect", picture("ada"))
    elif way == "base64":
        response = api.post("detect", image_base64=b64(image))
    elif way == "url-encoded plus":
        response = api.post("detect", image_base64=b64(image).replace("+", " "))
    else:
        response = api.world.client.post(f"/facepp/v3/detect?{urlencode({**api.keys, 'image_base64': b64(image)})}")
    assert response.status_code == 200, response.text
    assert response.json()["face_num"] == 1


def test_the_body_goes_before_the_query_and_a_file_before_base64(api: Client) -> None:
    response = api.world.client.post(
        "/facepp/v3/detect?image_base64=nonsense&api_key=wrong",
        data={**api.keys, "image_base64": "nonsense", "image_url": "ftp://nowhere", "unknown": "ignored"},
        files=picture("ada", "bob"),
    )
    assert response.json()["face_num"] == 2
    assert api.ok("detect", image_base64=b64(fake_picture("ada")), image_url="ftp://nowhere")["face_num"] == 1


def test_empty_fields_are_as_good_as_none(api: Client) -> None:
    assert api.ok("detect", picture("ada"), image_url="", return_landmark="")["face_num"] == 1


# -- compare


def test_compare_answers_as_recorded(api: Client) -> None:
    files = {**picture("ada", name="image_file1"), **picture(FakeFace("ada", take=1), name="image_file2")}
    response = api.post("compare", files)
    assert shape(response.json()) == shape(RECORDED_COMPARE)
    assert response.json()["thresholds"] == THRESHOLDS
    assert 80 < response.json()["confidence"] < 100


def test_compare_by_token_answers_without_pictures(api: Client) -> None:
    ada, bob = api.token("ada"), api.token("bob")
    assert api.ok("compare", face_token1=ada, face_token2=ada) == {"confidence": 100.0, "thresholds": THRESHOLDS}
    assert api.ok("compare", face_token1=ada, face_token2=bob)["confidence"] < 65
    mixed = api.ok("compare", face_token1=ada, image_base64_2=b64(fake_picture("ada")))
    assert set(mixed) == {"confidence", "thresholds", "faces2", "image_id2"}
    assert mixed["confidence"] == round(mixed["confidence"], 3)


def test_compare_without_a_face(api: Client) -> None:
    found = api.ok("compare", picture(name="image_file2"), face_token1=api.token("ada"))
    assert found.pop("image_id2")
    assert found == {"faces2": []}


# -- search


def test_search_answers_as_published(api: Client) -> None:
    ada, _ = api.faceset("team", "ada", "bob")
    api.ok("face/setuserid", face_token=ada, user_id="234723hgfd")
    response = api.post("search", face_token=api.token(FakeFace("ada", take=1)), outer_id="team")
    assert shape(response.json()) == shape(PUBLISHED_SEARCH)
    (result,) = response.json()["results"]
    assert (result["face_token"], result["user_id"]) == (ada, "234723hgfd")
    assert response.json()["thresholds"] == THRESHOLDS


def test_search_by_picture_uses_the_largest_face(api: Client) -> None:
    ada, bob = api.faceset("team", "ada", "bob")
    files = picture(FakeFace("bob", size=80, take=1), FakeFace("ada", size=120, take=1))
    found = api.ok("search", files, outer_id="team", return_result_count="5")
    assert set(found) == {"results", "thresholds", "image_id", "faces"}
    assert [result["face_token"] for result in found["results"]] == [ada, bob]
    assert found["results"][0]["confidence"] > 75 > 65 > found["results"][1]["confidence"]
    assert found["results"][0]["user_id"] == ""
    assert len(found["faces"]) == 2


def test_search_without_a_face(api: Client) -> None:
    api.faceset("team", "ada")
    found = api.ok("search", picture(), outer_id="team")
    assert found.pop("image_id")
    assert found == {"faces": []}


def test_a_token_goes_before_a_picture(api: Client) -> None:
    ada, _ = api.faceset("team", "ada", "bob")
    found = api.ok("search", picture("bob"), outer_id="team", face_token=ada)
    assert [result["face_token"] for result in found["results"]] == [ada]
    assert "faces" not in found


def test_persons_of_the_native_api_are_found(world: World, api: Client) -> None:
    world.enrol("ada-lovelace", "ada").raise_for_status()
    (result,) = api.ok("search", picture("ada"), outer_id="staff")["results"]
    assert result["user_id"] == "ada-lovelace"
    detail = api.ok("face/getdetail", face_token=result["face_token"])
    assert detail["user_id"] == "ada-lovelace"
    assert [item["outer_id"] for item in detail["facesets"]] == ["staff"]


def test_a_policy_that_demands_liveness_is_kept(world: World, api: Client) -> None:
    ada = api.faceset("gate", "ada")[0]
    world.call("PATCH", "/v1/collections/gate", json={"policy": {"liveness": True}}).raise_for_status()
    assert api.ok("search", picture(FakeFace("ada", live=0.9)), outer_id="gate")["results"][0]["face_token"] == ada
    denied = (403, "AUTHORIZATION_ERROR:Denied by Admin")
    assert failure(api.post("search", picture(FakeFace("ada", live=0.1)), outer_id="gate")) == denied
    assert failure(api.post("search", outer_id="gate", face_token=api.token("ada"))) == denied
    assert failure(api.post("faceset/addface", outer_id="gate", face_tokens=api.token("bob"))) == denied


# -- face


def test_analyze_tells_what_detect_told(api: Client) -> None:
    options = {"return_landmark": "2", "return_attributes": "headpose,blur"}
    (face,) = api.ok("detect", picture("ada"), **options)["faces"]
    assert api.ok("face/analyze", face_tokens=face["face_token"], **options) == {"faces": [face]}
    two = [face["face_token"], api.token("bob")]
    found = api.ok("face/analyze", face_tokens=",".join(two), return_landmark="1")["faces"]
    assert [item["face_token"] for item in found] == two


def test_analyze_of_a_face_that_was_enrolled_natively(world: World, api: Client) -> None:
    world.enrol("ada", "ada").raise_for_status()
    (token,) = api.ok("faceset/getdetail", outer_id="staff")["face_tokens"]
    options = {"return_landmark": "1", "return_attributes": "headpose,facequality,blur"}
    (face,) = api.ok("face/analyze", face_tokens=token, **options)["faces"]
    assert face["landmark"]["nose_tip"]
    assert face["attributes"]["headpose"]["roll_angle"] is not None
    assert face["attributes"]["headpose"]["pitch_angle"] is None  # no model measures it
    assert face["attributes"]["facequality"]["value"] == 80.0


def test_the_detail_of_a_face(api: Client) -> None:
    found = api.ok("detect", picture("ada"))
    token = found["faces"][0]["face_token"]
    detail = api.ok("face/getdetail", face_token=token)
    assert detail == {
        "image_id": found["image_id"],
        "face_token": token,
        "user_id": "",
        "face_rectangle": found["faces"][0]["face_rectangle"],
        "facesets": [],
    }
    made = api.ok("faceset/create", outer_id="team", display_name="Staff", tags="a,b", face_tokens=token)
    (faceset,) = api.ok("face/getdetail", face_token=token)["facesets"]
    assert faceset == {
        "faceset_token": made["faceset_token"],
        "outer_id": "team",
        "display_name": "Staff",
        "tags": "a,b",
    }


def test_a_user_id_may_be_set_before_the_face_is_in_a_faceset(api: Client) -> None:
    token = api.token("ada")
    assert api.ok("face/setuserid", face_token=token, user_id="u1") == {"face_token": token, "user_id": "u1"}
    assert api.ok("face/getdetail", face_token=token)["user_id"] == "u1"
    assert api.ok("face/setuserid", face_token=token, user_id="")["user_id"] == ""


# -- around


def test_browsers_may_call_every_path(api: Client) -> None:
    paths = [path for path in create_app(lambda: None, [facepp]).openapi()["paths"] if path.startswith("/facepp/v3/")]
    assert "/facepp/v3/faceset/async/addface" in paths
    for path in paths:
        response = api.world.client.options(
            path, headers={"Origin": "https://example.org", "Access-Control-Request-Method": "POST"}
        )
        assert response.status_code == 204, path
        assert response.headers["access-control-allow-origin"] == "*"
        assert "POST" in response.headers["access-control-allow-methods"]


def test_the_dialect_is_documented() -> None:
    document = create_app(lambda: None, [facepp]).openapi()
    paths = {path: item["post"] for path, item in document["paths"].items() if path.startswith("/facepp/v3/")}
    assert len(paths) == 16
    for operation in paths.values():
        assert operation["summary"].startswith("Face++")
        assert operation["description"]
        assert {"200", "400", "401", "403", "413", "500"} <= set(operation["responses"])
        content = operation["requestBody"]["content"]
        assert set(content) == {"multipart/form-data", "application/x-www-form-urlencoded"}
        for media in content.values():
            assert media["example"]["api_key"]
            assert media["schema"]["$ref"]


@pytest.mark.parametrize(
    ("role", "path", "allowed"),
    [
        (Role.SEARCH, "faceset/getfacesets", True),
        (Role.SEARCH, "face/setuserid", False),
        (Role.SEARCH, "faceset/create", False),
        (Role.ENROLL, "faceset/addface", True),
        (Role.ENROLL, "faceset/delete", False),
    ],
)
def test_roles(world: World, role: Role, path: str, allowed: bool) -> None:
    response = Client(world, role).post(path)
    denied = response.status_code == 403
    assert denied is not allowed
    if denied:
        assert failure(response) == (403, "AUTHORIZATION_ERROR:Denied by Admin")
