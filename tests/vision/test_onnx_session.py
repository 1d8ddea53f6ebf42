"""Opening ONNX models: the right provider, and a clear error if there is none."""

from __future__ import annotations

import logging
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from serve_app.errors import ConfigurationError, ModelFileError
from serve_app.settings import Inference
from serve_app.vision import onnx_session as sessions
from serve_app.vision.catalogue import Catalogue
from serve_app.vision.model_files import ModelFiles
from serve_app.vision.onnx_session import has_nvidia_device, open_session

needs_no_gpu = pytest.mark.skipif(has_nvidia_device(), reason="there is an NVIDIA device")


@pytest.mark.parametrize("inference", [Inference(provider="cpu"), Inference(provider="cpu", threads=2)])
def test_cpu(inference: Inference, catalogue: Catalogue, files: ModelFiles) -> None:
    session = open_session(files, catalogue.get("sface-2021dec"), inference)
    assert (session.provider, session.output_names) == ("cpu", ("fc1",))
    (output,) = session.run(np.zeros((2, 3, 112, 112), np.float32))
    assert (output.shape, output.dtype) == ((2, 128), np.float32)


@needs_no_gpu
def test_auto_takes_the_cpu_without_a_device(catalogue: Catalogue, files: ModelFiles) -> None:
    assert open_session(files, catalogue.get("yunet-2023mar"), Inference(fp16=True)).provider == "cpu"


@needs_no_gpu
def test_without_a_device_nothing_is_printed(files: ModelFiles) -> None:
    program = (
        "import sys; from pathlib import Path; from serve_app.settings import Inference; "
        "from serve_app.vision.catalogue import Catalogue; from serve_app.vision.model_files import ModelFiles; "
        "from serve_app.vision.onnx_session import open_session; "
        "[open_session(ModelFiles(None, Path(sys.argv[1])), Catalogue.load().get(m), Inference()) "
        "for m in ('yunet-2023mar', 'sface-2021dec')]"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(files.cache_dir)], capture_output=True, text=True, timeout=240, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_no_gpu
@pytest.mark.parametrize("provider", ["cuda", "tensorrt"])
def test_a_demanded_gpu_that_is_not_there(provider: str, catalogue: Catalogue, files: ModelFiles) -> None:
    with pytest.raises(ConfigurationError, match=f"'{provider}', but no NVIDIA device is visible"):
        open_session(files, catalogue.get("yunet-2023mar"), Inference(provider=provider))  # type: ignore[arg-type]


@needs_no_gpu
def test_a_gpu_whose_libraries_do_not_load(
    catalogue: Catalogue,
    files: ModelFiles,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(sessions, "has_nvidia_device", lambda: True)
    entry = catalogue.get("yunet-2023mar")
    with pytest.raises(ConfigurationError, match=r"did not load on this machine: install facegraph\[cuda\]"):
        open_session(files, entry, Inference(provider="cuda"))
    with caplog.at_level(logging.WARNING):
        assert open_session(files, entry, Inference()).provider == "cpu"
    assert "its provider did not load" in caplog.text
    assert "EP Error" not in capfd.readouterr().err


def test_fp16_on_the_cpu_is_a_contradiction(catalogue: Catalogue, files: ModelFiles) -> None:
    with pytest.raises(ConfigurationError, match="fp16 needs provider"):
        open_session(files, catalogue.get("yunet-2023mar"), Inference(provider="cpu", fp16=True))


@pytest.mark.parametrize("hidden", ["", "-1", "NoDevFiles"])
def test_hidden_devices_count_as_none(hidden: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sessions, "_DEVICES", (str(tmp_path),))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert has_nvidia_device()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert not has_nvidia_device()


def test_a_damaged_prepared_graph_says_what_to_do(catalogue: Catalogue, tmp_path: Path) -> None:
    files, entry = ModelFiles(None, tmp_path), catalogue.get("yunet-2023mar")
    path = files.prepared(entry, "cpu")
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ModelFileError, match="delete it, it is made again"):
        open_session(files, entry, Inference(provider="cpu"))
    path.unlink()
    assert open_session(files, entry, Inference(provider="cpu")).provider == "cpu"
