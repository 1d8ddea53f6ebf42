"""The model catalogue: shipped entries and a user's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.errors import ConfigurationError
from serve_app.resources import resource_dir
from serve_app.settings import Settings
from serve_app.vision.calibration_file import write_anchors
from serve_app.vision.catalogue import Anchors, Catalogue

ENTRY = """
id = "mine"
task = "embedder"
title = "My embedder"
file = "mine.onnx"
sha256 = "{sha256}"
size = 3
licence = "MIT"
dimension = 512
[input]
width = 112
height = 112
channels = "RGB"
mean = [127.5, 127.5, 127.5]
scale = 0.0078125
[alignment]
landmarks = [[38.3, 51.7], [73.5, 51.5], [56.0, 71.7], [41.5, 92.4], [70.7, 92.2]]
[anchors]
data = "my photographs"
[anchors.cosines]
"1e-1" = 0.1
"1e-4" = 0.4
""".format(sha256="0" * 64)


def test_every_configured_model_is_in_the_catalogue(catalogue: Catalogue) -> None:
    settings = Settings()
    for model in (settings.detector.model, settings.embedder.model, *settings.liveness.models):
        assert catalogue.get(model).id == model


def test_every_entry_has_a_card_with_its_checksum_and_licence(catalogue: Catalogue) -> None:
    assert len(catalogue) == 6
    for entry in catalogue:
        card = (resource_dir("models") / f"{entry.id}.md").read_text("utf-8")
        for fact in (entry.sha256, entry.licence, entry.file, f"{entry.size:,}", "Training data"):
            assert fact in card, f"{entry.id}.md does not say {fact}"
        assert entry.sources


def test_sface_s_anchors(catalogue: Catalogue) -> None:
    entry = catalogue.get("sface-2021dec")
    calibration = entry.calibration()
    expected = {0.2074: 0.55, 0.2985: 0.60, 0.3653: 0.65, 0.4214: 0.70, 0.4743: 0.75, 0.5411: 0.80, 0.6079: 0.85}
    for cosine, score in expected.items():
        assert calibration.score(cosine) == pytest.approx(score)
    assert entry.anchors is not None
    assert set(entry.anchors.extrapolated) == {1e-6, 1e-7}
    assert "LFW" in entry.anchors.data


def test_an_unknown_id_lists_the_known_ones(catalogue: Catalogue) -> None:
    with pytest.raises(ConfigurationError, match=r"No model 'arcface'.*sface-2021dec, yunet-2023mar"):
        catalogue.get("arcface")


def test_only_embedders_are_calibrated(catalogue: Catalogue) -> None:
    with pytest.raises(ConfigurationError, match="it is a detector"):
        catalogue.get("yunet-2023mar").calibration()


def test_an_entry_of_one_s_own(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(ENTRY)
    entry = Catalogue.load(tmp_path).get("mine")
    assert entry.dimension == 512
    assert entry.calibration().score(0.4) == pytest.approx(0.7)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('task = "embedder"', 'task = "poet"'), "task"),
        (('file = "mine.onnx"', 'file = "../mine.onnx"'), "without a folder"),
        (("dimension = 512", ""), "an embedder needs dimension and alignment"),
        (("size = 3", "size = 3\ncolour = 4"), "colour"),
        (('"1e-4" = 0.4', '"1e-4" = 0.05'), "anchor cosines must rise"),
        (('data = "my photographs"', 'data = "x"\nextrapolated = [1e-6]'), "but the anchors are"),
        (("size = 3", "size = "), "not valid TOML"),
        (('"1e-4" = 0.4', '"1e-4" = nan'), "finite"),
        (("size = 3", "size = 3\nmirrored = 5"), "mirrored"),
        (('licence = "MIT"', 'licence = "MIT"\nsources = [{kind = "url", url = "http://x/y"}]'), "sources"),
    ],
)
def test_a_malformed_entry_names_its_file_and_fault(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    assert change[0] in ENTRY
    (tmp_path / "mine.toml").write_text(ENTRY.replace(*change))
    with pytest.raises(ConfigurationError, match=message) as caught:
        Catalogue.load(tmp_path)
    assert "mine.toml" in caught.value.message


def test_two_entries_of_one_id(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(ENTRY)
    with pytest.raises(ConfigurationError, match="taken by another entry"):
        Catalogue.load(tmp_path)


def test_an_embedder_is_calibrated_before_it_is_used(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(ENTRY[: ENTRY.index("[anchors]")])
    catalogue = Catalogue.load(tmp_path)
    assert catalogue.calibrations() == {}
    with pytest.raises(ConfigurationError, match="facegraph models calibrate mine"):
        catalogue.get("mine").calibration()
    write_anchors(tmp_path / "mine.toml", Anchors(cosines={1e-1: 0.1, 1e-4: 0.4}, data="my photographs"))
    assert Catalogue.load(tmp_path).calibrations().keys() == {"mine"}
