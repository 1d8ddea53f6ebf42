"""Verification: the ten-fold protocol, operating points."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy.templates.verification import (
    Genuine,
    best_threshold,
    draw_pairs,
    operating_points,
    read_pairs,
    ten_fold,
)
from serve_app.vision.fmr_statistics import Impostors, Templates
from tests.vision.test_fmr_statistics import templates


def test_lfw_s_list_of_pairs(tmp_path: Path) -> None:
    (tmp_path / "pairs.txt").write_text("2\t1\nA\t1\t2\nA\t2\tB\t1\nB\t1\t3\nB\t3\tA\t1\n")
    pictures = {"A": [Path("A_0001.jpg"), Path("A_0002.jpg")], "B": [Path("B_0001.jpg"), Path("B_0003.jpg")]}
    position = {path: row for row, path in enumerate([*pictures["A"], *pictures["B"]])}
    pairs = read_pairs(tmp_path / "pairs.txt", pictures, position)
    assert pairs.first.tolist() == [0, 1, 2, 3]
    assert pairs.second.tolist() == [1, 2, 3, 0]
    assert pairs.same.tolist() == [True, False, True, False]
    assert pairs.fold.tolist() == [0, 0, 1, 1]
    (tmp_path / "pairs.txt").write_text("1\t1\nA\t1\t7\nA\t2\tB\t1\n")
    with pytest.raises(ValueError, match="line 2: no such image: 'A\\\\t1\\\\t7'"):
        read_pairs(tmp_path / "pairs.txt", pictures, position)


def test_drawn_pairs_keep_people_in_one_fold() -> None:
    people = np.repeat(np.arange(80), 3)
    pairs = draw_pairs(people, seed=1)
    assert (people[pairs.first] == people[pairs.second]).tolist() == pairs.same.tolist()
    folds = [set(people[pairs.first[pairs.fold == f]]) | set(people[pairs.second[pairs.fold == f]]) for f in range(10)]
    assert all(not a & b for i, a in enumerate(folds) for b in folds[:i])
    assert [int(pairs.same[pairs.fold == f].sum()) for f in range(10)] == [24] * 10


@pytest.mark.parametrize(
    ("genuine", "impostors", "expected"),
    [([0.5, 0.7], [0.1, 0.3], 0.4), ([0.2, 0.7], [0.1, 0.4], 0.55), ([0.9], [0.95], 0.975)],
)
def test_the_best_threshold(genuine: list[float], impostors: list[float], expected: float) -> None:
    cosines = np.array([*genuine, *impostors], np.float32)
    same = np.array([True] * len(genuine) + [False] * len(impostors))
    found = best_threshold(cosines, same)
    errors = np.sum((cosines >= found) != same)
    assert errors == min(np.sum((cosines >= t) != same) for t in np.linspace(-1, 1, 2001))
    assert found == pytest.approx(expected, abs=0.3)


def test_accuracy_is_that_of_folds_held_out() -> None:
    alike = templates(100, 3, likeness=4.0)
    assert ten_fold(alike, draw_pairs(alike.people, 1)).mean == 1.0
    unlike = templates(100, 3, likeness=0.0)
    guessed = ten_fold(unlike, draw_pairs(unlike.people, 1))
    assert guessed.mean == pytest.approx(0.5, abs=0.06)
    assert guessed.errors == round((1 - guessed.mean) * guessed.pairs)


def test_operating_points_hold_rates_and_intervals_together() -> None:
    crowd = templates(200, 3, likeness=1.0)
    genuine = Genuine(crowd)
    assert len(genuine) == 200 * 3
    points = operating_points(Impostors(crowd, "pictures"), genuine, 200, resamples=40)
    assert [point.fmr for point in points] == [1e-2, 1e-3, 1e-4]  # 1e-5 would depend on two of 179,100 pairs
    for point in points:
        assert point.cosine_interval[0] <= point.cosine <= point.cosine_interval[1]
        assert point.tar_interval[0] <= point.tar <= point.tar_interval[1]
        assert point.tar == pytest.approx(np.mean(genuine.cosines >= point.cosine))


def test_an_image_without_a_face_matches_no_person() -> None:
    crowd = templates(40, 2, likeness=3.0)
    vectors = crowd.vectors.copy()
    vectors[0] = 0
    missing = Genuine(Templates(vectors, crowd.people))
    assert missing.reaching(0.05) == pytest.approx(Genuine(crowd).reaching(0.05) - 1 / 40)
