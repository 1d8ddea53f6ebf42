"""Unknown faces and duplicates on real photographs, over HTTP."""

from __future__ import annotations

import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from serve_app.client import ApiError, Client
from tests import photos
from tests.graph.inprocess import InProcessService
from tests.graph.service import RunningService

pytestmark = pytest.mark.graph


def test_a_stranger_is_kept_named_and_found_and_a_second_enrolment_is_noticed(
    running: RunningService | InProcessService,
) -> None:
    name = f"door-{uuid.uuid4().hex[:8]}"
    collins, again, hopper = photos.astronaut(), photos.variant(photos.astronaut()), photos.grace_hopper()
    with Client(running.url, running.key or "") as api:
        api.create_collection(name, policy={"keep_unknown_h": 1})
        seen = [api.search(each, [name], keep_unknown=name)["faces"][0]["unknown"] for each in (collins, again, hopper)]
        assert [each["is_new"] for each in seen] == [True, False, True]
        assert seen[0]["id"] == seen[1]["id"] != seen[2]["id"]
        unknown = api.unknown(name, seen[0]["id"])
        assert len(unknown["faces"]) == 2
        assert api.face_image(unknown["faces"][0]["id"]).startswith(b"\xff\xd8")
        person = api.name_unknown(name, unknown["id"], f"{name}/collins", name="Collins")
        (match,) = api.search(again, [name])["faces"][0]["matches"]
        assert match["person"]["id"] == person["id"] == f"{name}/collins"
        assert api.discard_unknown(name)["faces"] == 1
        api.put_person(name, f"{name}-twice", [again])
        task = api.wait_for_task(api.find_duplicates(name)["id"])
        assert (task["state"], task["result"]) == ("done", {"pairs": 1})
        (pair,) = api.duplicates(task["id"])["pairs"]
        assert {pair[side]["person"]["id"] for side in ("first", "second")} == {person["id"], f"{name}-twice"}
        api.delete_collection(name)


def test_of_one_face_sent_at_once_under_24_ids_one_is_enrolled(running: RunningService | InProcessService) -> None:
    name = f"once-{uuid.uuid4().hex[:8]}"
    picture = photos.astronaut()

    def enrol(number: int) -> int:
        with Client(running.url, running.key or "") as api:
            try:
                api.put_person(name, f"{name}-{number}", [picture], check_duplicates=True)
            except ApiError as error:
                return error.status
        return 201

    with Client(running.url, running.key or "") as api:
        api.create_collection(name)
        with ThreadPoolExecutor(24) as pool:
            assert Counter(pool.map(enrol, range(24))) == {201: 1, 409: 23}
        assert api.collection(name)["person_count"] == 1
        api.delete_collection(name)
