"""Inference sessions on onnxruntime, and the choice of the execution provider."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from serve_app.errors import ConfigurationError, ModelFileError
from serve_app.processors import cpu_count
from serve_app.settings import Inference
from serve_app.vision.catalogue import ModelEntry
from serve_app.vision.cpu_slots import PROCESS_SLOTS, CpuSlots
from serve_app.vision.model_files import ModelFiles

logger = logging.getLogger(__name__)

Array = NDArray[np.float32]

_ROWS = 4
"""Rows of a batch that the CPU computes in one call. Larger calls do not fit its caches (SFace on 2 cores of an EPYC:
284 faces/s in batches of 4, 228 in batches of 32), and between calls other threads get their turn."""

_ERROR, _FATAL = 3, 4  # onnxruntime's log severities
_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia/version")
_HINT = "install facegraph[cuda] (CUDA 13 and cuDNN 9) and a driver that supports it"


class InferenceSession(Protocol):
    """One loaded model. Thread-safe.

    Attributes:
        provider: execution provider: ``cpu``, ``cuda`` or ``tensorrt``.
        output_names: names of the graph's outputs, in the order of :meth:`run`'s result.
    """

    provider: str
    output_names: tuple[str, ...]

    def run(self, batch: Array) -> list[Array]:
        """Run a float32 NCHW batch; returns one array per output, with the batch as first dimension."""


class OnnxSession:
    """An :class:`InferenceSession` on onnxruntime."""

    def __init__(self, session: onnxruntime.InferenceSession, provider: str) -> None:
        self.provider = provider
        self.output_names = tuple(output.name for output in session.get_outputs())
        self._session = session
        self._input = session.get_inputs()[0].name

    @property
    def raw(self) -> onnxruntime.InferenceSession:
        """The onnxruntime session, for benchmarks."""
        return self._session

    def run(self, batch: Array) -> list[Array]:
        """See :class:`InferenceSession`."""
        outputs: list[Array] = self._session.run(None, {self._input: batch})
        return outputs


class CpuSession:
    """An :class:`InferenceSession` on the CPU, which it shares with the other models (:mod:`.cpu_slots`).

    Args:
        one: the model on one thread.
        several: the same model on ``threads`` threads, used by calls that find that many slots free; None without one.
        threads: threads of ``several``.
        cores: the shared slots.
    """

    provider = "cpu"

    def __init__(
        self,
        one: InferenceSession,
        several: InferenceSession | None = None,
        threads: int = 1,
        cores: CpuSlots = PROCESS_SLOTS,
    ) -> None:
        self.output_names = one.output_names
        self._one = one
        self._several = several or one
        self._threads = threads
        self._cores = cores

    def run(self, batch: Array) -> list[Array]:
        """See :class:`InferenceSession`."""
        parts = [self._run(batch[start : start + _ROWS]) for start in range(0, max(1, len(batch)), _ROWS)]
        return parts[0] if len(parts) == 1 else [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]

    def _run(self, batch: Array) -> list[Array]:
        with self._cores.hold(self._threads) as held:
            return (self._several if held >= self._threads else self._one).run(batch)


def open_session(files: ModelFiles, entry: ModelEntry, inference: Inference) -> InferenceSession:
    """Locate, prepare and load a model.

    Provider ``auto`` takes CUDA if there is a device and its libraries load, else the CPU, which ignores ``fp16``.

    Raises ModelFileError if the file cannot be found or loaded; ConfigurationError if the settings demand a provider
    that this machine cannot run.
    """
    wanted = inference.provider
    if wanted == "cpu":
        if inference.fp16:
            raise ConfigurationError("inference.fp16 needs provider 'cuda' or 'tensorrt', got 'cpu'.")
        return _on_cpu(files, entry, inference)
    if not has_nvidia_device():
        if wanted == "auto":
            return _on_cpu(files, entry, inference)
        raise ConfigurationError(
            f"inference.provider is {wanted!r}, but no NVIDIA device is visible to this process: set it to 'auto' or "
            "'cpu', or give the deployment a GPU (num_gpus above 0, a container with access to one)."
        )
    session = _on_gpu(files, entry, inference)
    if session is not None:
        return session
    if wanted == "auto":
        logger.warning("%s runs on the CPU: there is a GPU, but its provider did not load; %s.", entry.id, _HINT)
        return _on_cpu(files, entry, inference)
    raise ConfigurationError(f"inference.provider is {wanted!r}, but it did not load on this machine: {_HINT}.")


def has_nvidia_device() -> bool:
    """Whether this process can see an NVIDIA GPU. Checked before CUDA is loaded, which prints an error without one."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1", "NoDevFiles"):
        return False  # set by Ray for deployments that asked for no GPU
    return any(Path(device).exists() for device in _DEVICES)


def _on_cpu(files: ModelFiles, entry: ModelEntry, inference: Inference) -> CpuSession:
    path = files.prepared(entry, "cpu")

    def on(threads: int) -> OnnxSession:
        options = _options(_ERROR)
        options.intra_op_num_threads = threads
        # The threads of one call wait for each other at every node, and a sleeping thread wakes up too late for that.
        # So they spin, on the slots that the call holds; between calls, when others may need the CPU, they sleep.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return OnnxSession(_load(path, options, ["CPUExecutionProvider"]), "cpu")

    threads = min(inference.threads or cpu_count(), cpu_count())
    return CpuSession(on(1), on(threads) if threads > 1 else None, threads)


def _on_gpu(files: ModelFiles, entry: ModelEntry, inference: Inference) -> OnnxSession | None:
    """A session on CUDA or TensorRT; None when the provider's libraries do not load."""
    tensorrt = inference.provider == "tensorrt"
    wanted = "TensorrtExecutionProvider" if tensorrt else "CUDAExecutionProvider"
    if wanted not in onnxruntime.get_available_providers():
        return None
    # TensorRT lowers the precision itself where it does no harm; for CUDA the graph is converted.
    path = files.prepared(entry, "cuda", fp16=inference.fp16 and not tensorrt)
    providers: list[tuple[str, dict[str, Any]]] = [
        ("CUDAExecutionProvider", {"arena_extend_strategy": "kSameAsRequested", "cudnn_conv_use_max_workspace": "1"})
    ]
    if tensorrt:
        engines = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(files.cache_dir / "tensorrt")}
        providers.insert(0, (wanted, {**engines, "trt_fp16_enable": inference.fp16}))
    # Failures are reported below; onnxruntime would print them as well.
    onnxruntime.set_default_logger_severity(_FATAL)
    try:
        onnxruntime.preload_dlls()
        session = _load(path, _options(_FATAL), [*providers, "CPUExecutionProvider"])
    finally:
        onnxruntime.set_default_logger_severity(_ERROR)
    if wanted not in session.get_providers():
        return None
    return OnnxSession(session, "tensorrt" if tensorrt else "cuda")


def _options(severity: int) -> onnxruntime.SessionOptions:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = severity
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.inter_op_num_threads = 1
    return options


def _load(path: Path, options: onnxruntime.SessionOptions, providers: Sequence[Any]) -> onnxruntime.InferenceSession:
    try:
        return onnxruntime.InferenceSession(path, options, providers=list(providers))
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise ModelFileError(
            f"{path} cannot be loaded ({error}): delete it, it is made again at the next start."
        ) from error
