"""Calibration points in a catalogue entry."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from serve_app.errors import ConfigurationError
from serve_app.resources import resource_dir
from serve_app.score import Calibration, fmr_to_score, score_to_fmr
from serve_app.vision.calibration_file import read_report, write_anchors
from serve_app.vision.catalogue import Anchors, Catalogue, ModelEntry, read_entry

NEW = Anchors(cosines={1e-1: 0.1, 1e-2: 0.2, 1e-3: 0.3, 1e-6: 0.5}, data='a "set"', extrapolated=(1e-6,))
EMBEDDERS = [entry for entry in Catalogue.load() if entry.task == "embedder"]


@pytest.mark.parametrize("model", [entry.id for entry in EMBEDDERS])
def test_anchors_are_replaced_and_all_else_stays(model: str, tmp_path: Path) -> None:
    entry = Path(shutil.copy(resource_dir("models") / f"{model}.toml", tmp_path))
    before = read_entry(entry)
    write_anchors(entry, NEW)
    after = read_entry(entry)
    assert after.anchors == NEW
    assert after.model_copy(update={"anchors": before.anchors}) == before
    text = entry.read_text("utf-8")
    write_anchors(entry, NEW)
    assert entry.read_text("utf-8") == text
    assert [path.name for path in tmp_path.iterdir()] == [entry.name]


def test_tables_after_the_anchors_and_their_comments_stay(tmp_path: Path) -> None:
    entry = tmp_path / "m.toml"
    shipped = (resource_dir("models") / "sface-2021dec.toml").read_text("utf-8")
    head, sources = shipped.split("[[sources]]", 1)[0], shipped.split("[input]", 1)[1]
    table, anchors = sources.split("[anchors]", 1)
    entry.write_text(f"{head}[anchors]{anchors}\n# What it takes.\n[input]{table}", "utf-8")
    write_anchors(entry, NEW)
    assert read_entry(entry).anchors == NEW
    assert "# What it takes.\n[input]" in entry.read_text("utf-8")
    assert entry.read_text("utf-8").count("# False-match rate") == 1


def test_an_entry_that_would_be_spoilt_is_left_alone(tmp_path: Path) -> None:
    entry = tmp_path / "m.toml"
    entry.write_text('id = "m"\n', "utf-8")
    with pytest.raises(ConfigurationError, match="not a valid model entry"):
        write_anchors(entry, NEW)
    assert entry.read_text("utf-8") == 'id = "m"\n'
    assert [path.name for path in tmp_path.iterdir()] == ["m.toml"]


def test_a_report_s_anchors(tmp_path: Path) -> None:
    report = tmp_path / "accuracy.json"
    report.write_text(json.dumps({"model": "m", "anchors": NEW.model_dump(mode="json")}))
    assert read_report(report, "m") == NEW
    with pytest.raises(ConfigurationError, match=r"expected the anchors of 'other', got those of 'm'"):
        read_report(report, "other")
    nested = "[" * 100_000
    for strange in (
        "{}",
        "[]",
        "5",
        '"m"',
        nested,
        '{"model": "m", "anchors": [1]}',
        '{"model": "m", "anchors": {"cosines": NaN}}',
    ):
        report.write_text(strange)
        with pytest.raises(ConfigurationError, match="not a report of the benchmark 'accuracy'"):
            read_report(report, "m")
    with pytest.raises(ConfigurationError, match="cannot be read: No such file"):
        read_report(tmp_path / "none.json", "m")


@pytest.mark.parametrize("model", EMBEDDERS, ids=lambda model: model.id)
def test_the_score_of_a_shipped_model_holds_to_its_anchors(model: ModelEntry) -> None:
    assert model.anchors is not None
    calibration = Calibration(model.anchors.cosines)
    for fmr, cosine in model.anchors.cosines.items():
        assert calibration.score(cosine) == pytest.approx(fmr_to_score(fmr))
        assert score_to_fmr(calibration.score(cosine)) == pytest.approx(fmr)


@pytest.mark.parametrize("model", EMBEDDERS, ids=lambda model: model.id)
def test_the_card_gives_the_entry_s_anchors(model: ModelEntry) -> None:
    card = (resource_dir("models") / f"{model.id}.md").read_text("utf-8")
    assert model.anchors is not None
    row = " | ".join(f"{model.anchors.cosines[fmr]:.4f}".lstrip("0") for fmr in sorted(model.anchors.cosines)[::-1])
    assert re.search(rf"\| {re.escape(row)} \|", card)
