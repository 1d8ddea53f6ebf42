"""Checks before a change hold between two replicas of each stage: of requests sent at once, one is accepted."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests import photos
from tests.cluster.marks import ON_CLUSTER
from tests.cluster.nodes import Cluster

pytestmark = ON_CLUSTER


@pytest.mark.parametrize("number", [2, 3, 24])
def test_of_duplicates_sent_at_once_one_is_accepted(cluster: Cluster, number: int) -> None:
    collection = f"duplicates-{number}"
    persons = [f"{collection}-{place}" for place in range(number)]
    answers = enrol_at_once(cluster, collection, persons, photos.grace_hopper(), {"check_duplicates": "true"})
    assert Counter(answers) == {"201": 1, "duplicate_face": number - 1}


@pytest.mark.parametrize("number", [2, 3, 24])
def test_of_new_persons_of_one_id_sent_at_once_one_is_accepted(cluster: Cluster, number: int) -> None:
    name = f"new-{number}"
    answers = enrol_at_once(cluster, name, [name] * number, photos.grace_hopper(), {"must_be_new": "true"})
    assert Counter(answers) == {"201": 1, "person_exists": number - 1}


def enrol_at_once(
    cluster: Cluster, collection: str, persons: list[str], photo: bytes, options: dict[str, Any]
) -> list[str]:
    """Enrol the photograph once for each person at the same time; the status, or the code of the error, of each."""

    def enrol(person: str) -> str:
        with cluster.client() as api:
            path = f"/v1/collections/{collection}/persons/{person}"
            answer = api.put(path, files={"image": ("a.jpg", photo)}, data=options)
        return str(answer.status_code) if answer.is_success else str(answer.json()["error"]["code"])

    with cluster.client() as api:
        api.post("/v1/collections", json={"name": collection}).raise_for_status()
    with ThreadPoolExecutor(len(persons)) as pool:
        return list(pool.map(enrol, persons))
