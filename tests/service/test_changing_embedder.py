"""A change between two real embedders on photographs: no person is lost, and each score is of the right model."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import pytest

from serve_app.domain import (
    DEFAULT_TENANT,
    ChangeState,
    EmbeddersInUse,
    ImageStorage,
    NewCollection,
    SearchResult,
    ThresholdRequest,
)
from serve_app.errors import ModelFileError
from serve_app.gallery import EmbedderState, open_database
from serve_app.service import FaceService
from serve_app.service import operations as service_base
from serve_app.service.reembedding import Reembedder
from serve_app.serving.in_process import LocalStages
from serve_app.settings import EmbedderSettings, Inference, Settings
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.model_files import ModelFiles
from tests import photos
from tests.cli.conftest import facegraph

OLD, NEW = "sface-2021dec", "fr-feature"
COLLINS, HOPPER = photos.astronaut(), photos.grace_hopper()
PICTURES: dict[str, Callable[[], bytes]] = {
    "collins": lambda: COLLINS,
    "hopper": lambda: HOPPER,
    "blair": lambda: photos.lfw("Tony_Blair", 0),
}


@pytest.fixture(autouse=True)
def both_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skips where the second model cannot be had; a switch is noticed at once."""
    try:
        ModelFiles(photos.model_dir(), None).locate(Catalogue.load().get(NEW))
    except ModelFileError as error:
        pytest.skip(error.message)
    monkeypatch.setattr(service_base, "IN_USE_S", 0.0)


def configured(folder: Path, model: str) -> Settings:
    inference = Inference(provider="cpu", threads=1)
    return Settings(
        data_dir=folder, model_dir=photos.model_dir(), embedder=EmbedderSettings(model=model, inference=inference)
    )


async def who(service: FaceService, picture: bytes) -> tuple[str | None, str, float]:
    """The best match's person, the model and the score."""
    found: SearchResult = await service.search(DEFAULT_TENANT, picture, ["staff"], threshold=ThresholdRequest(0.7))
    (face,) = found.faces
    if not face.matches:
        return None, found.model, 0.0
    person = face.matches[0].person
    assert person is not None
    return person.id, found.model, face.matches[0].score


async def enrol(service: FaceService, person: str, picture: bytes, storage: ImageStorage | None = None) -> None:
    await service.enroll(DEFAULT_TENANT, person, "staff", [picture], image_storage=storage)


def test_from_one_real_model_to_another(tmp_path: Path) -> None:
    asyncio.run(_change(tmp_path))


async def _change(folder: Path) -> None:
    blair, again = photos.lfw("Tony_Blair", 0), photos.lfw("Tony_Blair", 1)
    powell, stranger = photos.lfw("Colin_Powell", 0), photos.lfw("Hugo_Chavez", 0)
    stages = LocalStages.open(configured(folder, OLD))
    service = stages.service(configured(folder, OLD))
    await service.matcher.create_collection(DEFAULT_TENANT, NewCollection("staff"))
    await enrol(service, "collins", COLLINS)
    await enrol(service, "blair", blair)
    await enrol(service, "hopper", HOPPER, ImageStorage.NONE)
    before = await who(service, again)
    assert before[:2] == ("blair", OLD)
    await stages.close()

    # The operator configures the other model and starts again.
    settings = configured(folder, NEW)
    stages = LocalStages.open(settings)
    service = stages.service(settings)
    try:
        assert await service.matcher.embedders() == EmbeddersInUse(OLD, NEW)
        assert await who(service, again) == before, "nothing changes for searches"
        await enrol(service, "powell", powell, ImageStorage.NONE)
        worker = Reembedder(stages.stages["embedder"], stages.stages["matcher"], batch=1)
        steps = 0
        while await worker.step():
            steps += 1
            assert await who(service, again) == before
        assert steps == 2
        change = await service.matcher.embedder_change(DEFAULT_TENANT)
        assert (change.state, change.faces, change.done, change.without_image) == (ChangeState.WAITING, 4, 3, 1)
        (left,) = (await service.matcher.left_behind(DEFAULT_TENANT)).items
        assert left.person_id == "hopper"
        assert (await who(service, photos.variant(HOPPER)))[:2] == ("hopper", OLD)

        # Hopper comes again, and that was all that was missing.
        await enrol(service, "hopper", HOPPER)
        await worker.step()
        with contextlib.closing(open_database(settings)) as database:
            assert EmbedderState(database).embedders() == EmbeddersInUse(NEW, OLD)
        for picture, person in ((again, "blair"), (photos.variant(COLLINS), "collins"), (powell, "powell")):
            found, model, score = await who(service, picture)
            assert (found, model) == (person, NEW)
            assert score > 0.7
        assert (await who(service, stranger))[0] is None
        assert (await who(service, again))[2] != before[2], "the score is the new model's"

        # From the stored crop, a JPEG, comes nearly the template that the photograph itself would have given.
        verified = await service.verify(DEFAULT_TENANT, COLLINS, "collins")
        assert verified.model == NEW
        assert 1 - verified.distance > 0.97
        compared = await service.compare(blair, again)
        assert compared.model == NEW
        assert compared.score == Catalogue.load().get(NEW).calibration().score(1 - compared.distance)
    finally:
        await stages.close()


def test_a_backup_is_brought_into_a_gallery_of_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asyncio.run(_enrolled(tmp_path / "old", OLD, {"collins": None, "hopper": ImageStorage.NONE}))
    asyncio.run(_enrolled(tmp_path / "new", NEW, {"blair": None}))
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", str(tmp_path / "old"))
    assert facegraph("export", str(tmp_path / "backup.tar")).exit_code == 0
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", str(tmp_path / "new"))
    monkeypatch.setenv("FACEGRAPH_EMBEDDER__MODEL", NEW)
    done = facegraph("import", str(tmp_path / "backup.tar"))
    assert f"2 faces have templates of {OLD}" in done.stderr
    assert "to be enrolled again: hopper" in done.stderr
    asyncio.run(_after_import(tmp_path / "new"))


async def _enrolled(folder: Path, model: str, people: dict[str, ImageStorage | None]) -> None:
    stages = LocalStages.open(configured(folder, model))
    service = stages.service(configured(folder, model))
    await service.matcher.create_collection(DEFAULT_TENANT, NewCollection("staff"))
    for person, storage in people.items():
        await enrol(service, person, PICTURES[person](), storage)
    await stages.close()


async def _after_import(folder: Path) -> None:
    stages = LocalStages.open(settings := configured(folder, NEW))
    service = stages.service(settings)
    try:
        assert await service.matcher.embedders() == EmbeddersInUse(NEW)
        assert (await who(service, photos.variant(COLLINS)))[0] is None
        worker = Reembedder(stages.stages["embedder"], stages.stages["matcher"])
        while await worker.step():
            pass
        for picture, person in ((photos.variant(COLLINS), "collins"), (PICTURES["blair"](), "blair")):
            assert (await who(service, picture))[:2] == (person, NEW)
        change = await service.matcher.embedder_change(DEFAULT_TENANT)
        assert (change.state, change.faces, change.done, change.without_image) == (ChangeState.NONE, 3, 2, 1)
        (left,) = (await service.matcher.left_behind(DEFAULT_TENANT)).items
        assert left.person_id == "hopper"
        await enrol(service, "hopper", HOPPER)
        assert (await who(service, photos.variant(HOPPER)))[:2] == ("hopper", NEW)
    finally:
        await stages.close()


def test_a_crop_that_cannot_be_read_is_left_behind(tmp_path: Path) -> None:
    asyncio.run(_damaged(tmp_path))


async def _damaged(folder: Path) -> None:
    stages = LocalStages.open(configured(folder, OLD))
    service = stages.service(configured(folder, OLD))
    await service.matcher.create_collection(DEFAULT_TENANT, NewCollection("staff"))
    await enrol(service, "collins", COLLINS)
    await stages.close()
    (crop,) = (folder / "blobs").rglob("*.thumbnail")
    crop.write_bytes(b"\xff\xd8\xff damaged")
    stages = LocalStages.open(configured(folder, NEW))
    try:
        worker = Reembedder(stages.stages["embedder"], stages.stages["matcher"])
        while await worker.step():
            pass
        change = await stages.stages["matcher"].embedder_change()
        assert (change.state, change.without_image) == (ChangeState.WAITING, 1)
        assert (await stages.stages["matcher"].embedders()).active == OLD
    finally:
        await stages.close()
