"""False-match rates of many comparisons, and the score that is derived from them."""

from __future__ import annotations

import numpy as np
import pytest

from serve_app.score import Calibration, fmr_to_score, score_to_fmr
from serve_app.vision.fmr_statistics import RATES, Impostors, Templates, measure_anchors


def templates(people: int, pictures: int = 1, dimension: int = 32, likeness: float = 0.0, seed: int = 5) -> Templates:
    """Random people; ``likeness`` moves a person's pictures together."""
    random = np.random.default_rng(seed)
    numbers = np.repeat(np.arange(people), pictures)
    rows = random.normal(size=(len(numbers), dimension)) + likeness * random.normal(size=(people, dimension))[numbers]
    return Templates((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32), numbers)


def impostor_cosines(given: Templates) -> np.ndarray:
    rows, columns = np.triu_indices(len(given), 1)
    different = given.people[rows] != given.people[columns]
    return np.einsum("ij,ij->i", given.vectors[rows[different]], given.vectors[columns[different]])


@pytest.fixture(scope="module")
def crowd() -> Templates:
    return templates(300, 3, likeness=1.0)


@pytest.mark.parametrize("fmr", [0.3, 1e-1, 1e-2, 1e-3, 1e-4])
def test_a_cosine_is_reached_by_its_share_of_the_pairs(crowd: Templates, fmr: float) -> None:
    cosines = impostor_cosines(crowd)
    impostors = Impostors(crowd, "pictures")
    assert impostors.pairs == len(cosines)
    assert np.mean(cosines >= impostors.cosine_at(fmr)) == pytest.approx(fmr, rel=0.02, abs=2 / len(cosines))


def test_by_people_each_pair_of_people_weighs_the_same() -> None:
    few = templates(60, likeness=1.0)
    # The first two people are much alike, and there are fifty pictures of each.
    vectors = np.concatenate([few.vectors, np.repeat(few.vectors[:1], 100, axis=0)])
    many = Templates(vectors, np.concatenate([few.people, np.repeat([0, 1], 50)]))
    assert Impostors(many, "pictures").cosine_at(0.1) == pytest.approx(1.0, abs=1e-3)
    assert Impostors(many, "people").cosine_at(0.1) == pytest.approx(Impostors(few, "people").cosine_at(0.1), abs=0.03)


def test_drawing_everybody_once_changes_nothing(crowd: Templates) -> None:
    impostors = Impostors(crowd, "people")
    assert impostors.cosine_at(1e-3, np.ones(300, np.intp)) == impostors.cosine_at(1e-3)


def test_drawing_a_person_twice_is_having_two_of_them(crowd: Templates) -> None:
    drawn = np.zeros(300, np.intp)
    drawn[:100], drawn[0] = 1, 2
    kept = np.flatnonzero(crowd.people < 100)
    twin = np.flatnonzero(crowd.people == 0)
    numbers = np.concatenate([crowd.people[kept], np.full(len(twin), 100)])
    copied = Templates(crowd.vectors[np.concatenate([kept, twin])], numbers)
    cosines = np.sort(impostor_cosines(copied))[::-1][9:]  # without the nine of the person with the copy
    expected = cosines[round(0.005 * len(cosines))]
    assert Impostors(crowd, "pictures").cosine_at(0.005, drawn) == pytest.approx(expected, abs=0.002)


def test_measured_anchors_make_a_score_that_means_its_fmr() -> None:
    """Score and FMR hold together on people who had no part in the anchors."""
    anchors = measure_anchors(templates(700, 2, likeness=0.5, seed=1))
    assert list(anchors.cosines) == list(RATES)
    assert anchors.extrapolated == (1e-5, 1e-6, 1e-7)  # 245,000 pairs of people
    score = Calibration(anchors.cosines)
    others = impostor_cosines(templates(1500, likeness=0.5, seed=2))
    for fmr in (1e-1, 1e-2, 1e-3, 1e-4):
        reached = np.mean(others >= score.cosine(fmr_to_score(fmr)))
        assert reached == pytest.approx(fmr, rel=0.35)
        assert score_to_fmr(score.score(anchors.cosines[fmr])) == pytest.approx(fmr)


def test_extrapolated_steps_are_no_smaller_than_measured_ones() -> None:
    cosines = list(measure_anchors(templates(700, likeness=0.5)).cosines.values())
    assert np.diff(cosines)[3:].min() >= np.diff(cosines)[1:3].max() - 1e-4


def test_too_few_people_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 143 people are needed to measure FMR 1e-3, there are 20"):
        measure_anchors(templates(20))
    with pytest.raises(ValueError, match="two people"):
        Impostors(templates(1, 4), "people")
