"""Searches, on every kind of store."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest

from serve_app.domain import CollectionPolicy, GalleryAnswer, NewCollection, PersonFields, ThresholdRequest
from serve_app.errors import CollectionNotFound, InvalidRequest, LivenessRequired
from serve_app.gallery import Gallery
from serve_app.score import resolve_threshold
from tests.gallery.samples import CALIBRATIONS, DIMENSION, MODEL, OTHER_MODEL, face, query, template


@pytest.fixture
def staff(gallery: Gallery, tenant: str) -> str:
    """A tenant with ten persons, p0 to p9, in staff, and the collection guests."""
    for name in ("staff", "guests"):
        gallery.create_collection(tenant, NewCollection(name))

    def enroll(seed: int) -> None:
        gallery.put_person(tenant, f"p{seed}", ["staff"], PersonFields(name=f"n{seed}"), [face(seed)])

    with ThreadPoolExecutor(10) as pool:  # on a Milvus server each write waits 200 ms until it is searchable
        list(pool.map(enroll, range(10)))
    return tenant


def people(answer: GalleryAnswer) -> list[list[str | None]]:
    return [[match.person.id if match.person else None for match in matches] for matches in answer.matches]


def test_each_probe_gets_its_own_answer(gallery: Gallery, staff: str) -> None:
    answer = gallery.search(staff, query(3, 999, 7))
    assert people(answer) == [["p3"], [], ["p7"]]
    match = answer.matches[0][0]
    assert match.person == gallery.person(staff, "p3")
    assert match.face == match.person.faces[0]
    assert (match.collection, match.score, match.distance) == ("staff", 1.0, 0.0)


def test_a_score_that_equals_the_threshold_is_a_match(gallery: Gallery, staff: str) -> None:
    whole = query(3, threshold=ThresholdRequest(min_score=1.0))
    assert people(gallery.search(staff, whole)) == [["p3"]]
    gallery.put_person(staff, "near", ["staff"], PersonFields(), [face(template(1, near=500, cosine=0.6))])
    ((match,),) = gallery.search(staff, query(500)).matches
    assert match.score < 1
    exact = query(500, threshold=ThresholdRequest(min_score=match.score))
    assert people(gallery.search(staff, exact)) == [["near"]]
    above = query(500, threshold=ThresholdRequest(min_score=float(np.nextafter(match.score, 1))))
    assert people(gallery.search(staff, above)) == [[]]


def test_scores_come_from_the_calibration_best_first(gallery: Gallery, staff: str) -> None:
    for name, cosine in (("near", 0.95), ("far", 0.5), ("too far", 0.39)):
        seed = 1000 + int(cosine * 100)
        gallery.put_person(staff, name, ["staff"], PersonFields(), [face(template(seed, near=500, cosine=cosine))])
    answer = gallery.search(staff, query(500))
    assert people(answer) == [["near", "far"]]
    for match, cosine in zip(answer.matches[0], (0.95, 0.5), strict=True):
        assert match.score == pytest.approx(CALIBRATIONS[MODEL].score(cosine), abs=1e-5)
        assert match.distance == pytest.approx(1 - cosine, abs=1e-5)


def test_no_person_appears_twice_however_many_faces(gallery: Gallery, staff: str) -> None:
    crowd = [face(template(2000 + i, near=600, cosine=0.9)) for i in range(60)]
    gallery.put_person(staff, "many", ["staff", "guests"], PersonFields(), crowd)
    gallery.put_person(staff, "one", ["staff"], PersonFields(), [face(template(3000, near=600, cosine=0.7))])
    gallery.put_person(staff, "two", ["guests"], PersonFields(), [face(template(3001, near=600, cosine=0.6))])
    answer = gallery.search(staff, query(600, collections=("guests", "staff"), max_results=3))
    assert people(answer) == [["many", "one", "two"]]
    assert [match.collection for match in answer.matches[0]] == ["guests", "staff", "guests"]
    assert people(gallery.search(staff, query(600, collections=("guests", "staff"), max_results=2))) == [
        ["many", "one"]
    ]


def test_only_the_named_collections_are_searched(gallery: Gallery, staff: str) -> None:
    gallery.put_person(staff, "guest", ["guests"], PersonFields(), [face(50)])
    assert people(gallery.search(staff, query(50, 3, collections=("guests",)))) == [["guest"], []]
    assert people(gallery.search(staff, query(50, 3, collections=("staff", "guests", "staff")))) == [["guest"], ["p3"]]
    with pytest.raises(CollectionNotFound, match="nope"):
        gallery.search(staff, query(3, collections=("staff", "nope")))
    with pytest.raises(InvalidRequest, match="at least one collection"):
        gallery.search(staff, query(3, collections=()))


def test_models_never_meet(gallery: Gallery, staff: str) -> None:
    other = face(template(4, dimension=16), model=OTHER_MODEL)
    gallery.put_person(staff, "p4", ["staff"], PersonFields(), [other], "add")
    probe = np.stack([template(4, dimension=16)])
    assert people(gallery.search(staff, query(4, model=OTHER_MODEL, probes=probe))) == [["p4"]]
    assert people(gallery.search(staff, query(4))) == [["p4"]]
    with pytest.raises(InvalidRequest, match="16 dimensions, got 128"):
        gallery.search(staff, query(4, model=OTHER_MODEL))
    with pytest.raises(InvalidRequest, match="no calibration"):
        gallery.search(staff, query(4, model="unknown"))


def test_no_probes_still_answer_what_is_asked(gallery: Gallery, staff: str) -> None:
    answer = gallery.search(staff, query())
    assert answer.matches == ()
    assert answer.threshold.min_score == 0.6
    with pytest.raises(CollectionNotFound):
        gallery.search(staff, query(collections=("nope",)))


def test_thresholds(gallery: Gallery, staff: str) -> None:
    for name, min_score in (("mild", 0.62), ("strict", 0.93)):
        gallery.create_collection(staff, NewCollection(name, policy=CollectionPolicy(min_score=min_score)))
    by_size = gallery.search(staff, query(1, threshold=ThresholdRequest())).threshold
    assert by_size == resolve_threshold(ThresholdRequest(), 10)
    assert by_size.gallery_size == 10
    asked = ThresholdRequest(fpir=0.2)
    assert gallery.search(staff, query(1, threshold=asked)).threshold == resolve_threshold(asked, 10)
    by_policy = query(1, threshold=ThresholdRequest(), collections=("mild", "staff", "strict"))
    assert gallery.search(staff, by_policy).threshold.min_score == 0.93


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"threshold": ThresholdRequest(0.5, 0.5)}, "exclude each other"),
        ({"threshold": ThresholdRequest(min_score=1.5)}, "between 0 and 1, got 1.5"),
        ({"threshold": ThresholdRequest(fpir=0.0)}, "over 0 and below 1"),
        ({"max_results": 0}, "max_results must be from 1"),
        ({"probes": np.zeros((1, DIMENSION), np.float32)}, "unit norm"),
        ({"probes": np.full((1, DIMENSION), np.nan, np.float32)}, "finite"),
    ],
)
def test_impossible_searches_are_refused(gallery: Gallery, staff: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        gallery.search(staff, query(1, **changes))


def test_a_policy_may_demand_liveness(gallery: Gallery, staff: str) -> None:
    for name, threshold in (("live", 0.7), ("livelier", 0.8)):
        policy = CollectionPolicy(liveness=True, liveness_threshold=threshold)
        gallery.create_collection(staff, NewCollection(name, policy=policy))
    both = ("staff", "live", "livelier")
    for probes in ((1,), ()):
        with pytest.raises(LivenessRequired) as required:
            gallery.search(staff, query(*probes, collections=both))
        assert required.value.details["threshold"] == 0.8
    assert people(gallery.search(staff, query(1, collections=both, liveness_threshold=0.9))) == [["p1"]]


def test_more_results_than_the_gallery_holds(gallery: Gallery, staff: str) -> None:
    answer = gallery.search(staff, query(3, max_results=500, threshold=ThresholdRequest(min_score=0.0)))
    assert sorted(str(person) for person in people(answer)[0]) == [f"p{seed}" for seed in range(10)]
    scores = [match.score for match in answer.matches[0]]
    assert scores == sorted(scores, reverse=True)


def test_what_was_written_is_searchable_at_once(gallery: Gallery, staff: str) -> None:
    for seed in range(200, 205):
        gallery.put_person(staff, f"q{seed}", ["staff"], PersonFields(), [face(seed)])
        assert people(gallery.search(staff, query(seed))) == [[f"q{seed}"]]
        gallery.delete_person(staff, f"q{seed}")
        assert people(gallery.search(staff, query(seed))) == [[]]


def test_ready_tells_what_the_stores_are(gallery: Gallery, staff: str) -> None:
    facts = gallery.ready()
    assert facts["index"]["kind"] in ("milvus", "milvus-lite")
    assert facts["index"]["version"][0].isdigit()
    assert facts["database"]["kind"] in ("sqlite", "postgresql")
    assert facts["faces"] >= 10
