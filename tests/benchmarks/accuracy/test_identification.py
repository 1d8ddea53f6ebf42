"""Identification: split of a data set, outcomes of searches, figures of merit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.accuracy.identification import Outcome, error_curve, matches_of, summarise
from benchmarks.common.dataset import DataMissing, read_people, split, thin
from benchmarks.common.statistics import Share

PEOPLE = {f"p{i:02}": [Path(f"p{i:02}/{k}.jpg") for k in range(3 if i % 3 == 0 else 1)] for i in range(30)}


def outcome(person: str, best: str | None, score: float, min_score: float = 0.7) -> Outcome:
    answered = best if score >= min_score else None
    return Outcome(person, best, score, answered, answered == person, min_score, 10.0)


def test_people_with_several_pictures_are_enrolled_first() -> None:
    chosen = split(PEOPLE, 12, seed=3)
    assert sum(len(PEOPLE[name]) > 1 for name in chosen.enrolled) == 10
    assert {name: picture.name for name, picture in chosen.enrolled.items()} == dict.fromkeys(chosen.enrolled, "0.jpg")
    assert all([p.name for p in pictures] == ["1.jpg", "2.jpg"] for pictures in chosen.probes.values())
    assert not set(chosen.strangers) & set(chosen.enrolled)
    assert len(chosen.strangers) == 18


def test_the_draw_depends_on_the_seed_alone() -> None:
    assert split(PEOPLE, 5, seed=1) == split(dict(reversed(PEOPLE.items())), 5, seed=1)
    assert split(PEOPLE, 5, seed=1).enrolled != split(PEOPLE, 5, seed=2).enrolled


def test_a_limit_thins_probes_and_strangers_evenly() -> None:
    chosen = split(PEOPLE, 12, seed=3, limit=6)
    assert sum(len(pictures) for pictures in chosen.probes.values()) == 6
    assert len(chosen.strangers) == 6
    assert thin(list(range(11)), 3) == [0, 5, 10]
    assert thin([1, 2], 5) == [1, 2]


def test_too_few_people_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match="30"):
        split(PEOPLE, 30, seed=1)
    with pytest.raises(DataMissing, match="nowhere"):
        read_people(tmp_path / "nowhere")


def test_figures_of_merit() -> None:
    found = [
        outcome("a", "a", 0.9),
        outcome("a", "a", 0.6),  # the right person is the most similar, but below the threshold
        outcome("b", "a", 0.8),  # answered with another person
        outcome("b", None, 0.0),  # no face
    ]
    others = [outcome("x", "a", 0.72), outcome("y", "b", 0.4), outcome("z", "b", 0.3)]
    figures = summarise(found, others)
    counts = {name: (f.hits, f.trials) for name, f in figures.items() if isinstance(f, Share)}
    assert counts == {
        "rank_1": (2, 4),
        "found": (1, 4),
        "found_in_first_five": (1, 4),
        "answered_with_someone_else": (1, 4),
        "fpir": (1, 3),
    }
    assert figures["min_score"] == 0.7


def test_the_error_curve_meets_the_figures_at_the_threshold() -> None:
    found = [outcome("a", "a", 0.9), outcome("a", "a", 0.6), outcome("b", "a", 0.8)]
    others = [outcome("x", "a", 0.72), outcome("y", "b", 0.4)]
    thresholds, fpir, fnir = error_curve(found, others)
    at = int(abs(thresholds - 0.7).argmin())
    assert fpir[at] == pytest.approx(1 / 2)
    assert fnir[at] == pytest.approx(2 / 3)
    assert fpir[-1] == 0.0


def answer(*faces: tuple[float, str]) -> dict[str, Any]:
    """A search's answer for an image of 250x250, from the x of each face's centre and the person that it matches."""
    return {
        "image": {"width": 250, "height": 250},
        "faces": [
            {"box": {"x": x - 40, "y": 85, "width": 80, "height": 80}, "matches": [{"person": {"id": name}}]}
            for x, name in faces
        ],
    }


def test_the_central_face_counts() -> None:
    assert matches_of(answer((40, "bystander"), (130, "named")))[0]["person"]["id"] == "named"
    assert matches_of(answer((40, "alone")))[0]["person"]["id"] == "alone"
    assert matches_of(answer()) == []
