"""Error rates of presentation attack detection, and the layouts of folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.accuracy.liveness import Presentation, errors, read_presentations, subsets
from benchmarks.common.dataset import DataMissing


def presentation(kind: str, *votes: float) -> Presentation:
    return Presentation("g", kind, "640x480", dict(zip("abc", votes, strict=False)))


SEEN = [
    presentation("live", 0.9, 0.3),
    presentation("live", 0.6, 0.4),  # exactly at the threshold: live
    presentation("live", 0.2, 0.6),
    presentation("live", 0.8, 0.8),
    presentation("print", 0.9, 0.9),
    presentation("print", 0.1, 0.1),
    presentation("replay", 0.1, 0.2),
    presentation("replay", 0.4, 0.5),
    presentation("replay", 0.9, 0.05),
    presentation("replay", 0.7, 0.6),
]


def test_rates_are_by_kind_and_the_worst_kind_counts() -> None:
    found = errors(SEEN, ("a", "b"), 0.5)
    assert (found["bpcer"]["errors"], found["bpcer"]["of"]) == (1, 4)
    assert found["apcer_by_kind"]["print"]["value"] == 0.5
    assert found["apcer_by_kind"]["replay"]["value"] == 0.25
    assert found["apcer"] == 0.5
    assert (found["apcer_over_all_attacks"]["errors"], found["apcer_over_all_attacks"]["of"]) == (2, 6)
    assert found["acer"] == pytest.approx((0.25 + 0.5) / 2)


def test_a_subset_of_models_decides_by_its_own_mean() -> None:
    assert errors(SEEN, ("a",), 0.5)["apcer_by_kind"]["replay"]["value"] == 0.5
    assert errors(SEEN, ("b",), 0.5)["bpcer"]["value"] == 0.5
    assert subsets(("a", "b")) == [("a",), ("b",), ("a", "b")]


def test_a_group_without_attacks_has_no_apcer() -> None:
    found = errors([item for item in SEEN if item.kind == "live"], ("a", "b"), 0.5)
    assert set(found) == {"bpcer"}


def test_folders_of_kinds_and_folders_of_groups(tmp_path: Path) -> None:
    for name in (
        "phone/real/1.jpg",
        "phone/cut-out/deep/2.png",
        "webcam/Live/3.jpg",
        "webcam/replay/4.jpeg",
        "x/5.jpg",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "phone" / "real" / "notes.txt").write_text("no image")
    found = [(group, kind, path.name) for group, kind, path in read_presentations(tmp_path)]
    assert found == [
        ("phone", "cut-out", "2.png"),
        ("phone", "live", "1.jpg"),
        ("webcam", "live", "3.jpg"),
        ("webcam", "replay", "4.jpeg"),
    ]
    assert [kind for _, kind, _ in read_presentations(tmp_path / "phone")] == ["cut-out", "live"]


def test_a_folder_without_live_pictures_is_refused(tmp_path: Path) -> None:
    (tmp_path / "replay").mkdir()
    with pytest.raises(DataMissing, match="live"):
        read_presentations(tmp_path)
    with pytest.raises(DataMissing, match="No folder"):
        read_presentations(tmp_path / "absent")
