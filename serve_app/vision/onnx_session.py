"""Running a prepared graph: the one place that knows onnxruntime and its providers."""

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
from serve_app.settings import Inference
from serve_app.vision.catalogue import ModelEntry
from serve_app.vision.cpu_slots import PROCESS_SLOTS, CpuSlots, cpu_count
from serve_app.vision.graph_preparation import Target
from serve_app.vision.model_files import ModelFiles

logger = logging.getLogger(__name__)

Array = NDArray[np.float32]

_ROWS = 4
"""Of a batch that the processors compute at once: those of more fall out of their caches (SFace on 2 cores of an EPYC:
284 faces/s in batches of 4, 228 in batches of 32), and others get their turn in between."""

_ERROR, _FATAL = 3, 4  # onnxruntime's log severities
_DEVICES = ("/dev/nvidiactl", "/dev/dxg", "/proc/driver/nvidia/version")
_HINT = "install facegraph[cuda] (CUDA 13 and cuDNN 9) and a driver that supports it"


class InferenceSession(Protocol):
    """One loaded model. Safe to call from several threads at once.

    Attributes:
        provider: what runs it: ``cpu``, ``cuda`` or ``tensorrt``.
        output_names: as in the graph, in the order of :meth:`run`'s answer.
    """

    provider: str
    output_names: tuple[str, ...]

    def run(self, batch: Array) -> list[Array]:
        """Outputs for a batch: float32 NCHW in, one array per output with the batch as first dimension."""
        ...


class OnnxSession:
    """An :class:`InferenceSession` on onnxruntime."""

    def __init__(self, session: onnxruntime.InferenceSession, provider: str) -> None:
        self.provider = provider
        self.output_names = tuple(output.name for output in session.get_outputs())
        self._session = session
        self._input = session.get_inputs()[0].name

    @property
    def raw(self) -> onnxruntime.InferenceSession:
        """The session itself, for benchmarks."""
        return self._session

    def run(self, batch: Array) -> list[Array]:
        """See :class:`InferenceSession`."""
        outputs: list[Array] = self._session.run(None, {self._input: batch})
        return outputs


class CpuSession:
    """An :class:`InferenceSession` on the processors, which it shares with the other models (:mod:`.cores`).

    Args:
        one: on one thread.
        several: the same model on ``threads``, for calls that find so many processors free; None where there is none.
        threads: of ``several``.
        cores: that are shared.
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

    Provider ``auto`` takes CUDA where a device is and its libraries load, else the CPU, where ``fp16`` has no effect.

    Raises:
        ModelFileError: the file cannot be had or loaded.
        ConfigurationError: a provider was demanded that this machine cannot run.
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
        logger.warning("%s runs on the CPU: a GPU is there, but its provider did not load; %s.", entry.id, _HINT)
        return _on_cpu(files, entry, inference)
    raise ConfigurationError(f"inference.provider is {wanted!r}, but it did not load on this machine: {_HINT}.")


def has_nvidia_device() -> bool:
    """Whether this process can see an NVIDIA GPU. Asked before CUDA is, which would print an error without one."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1", "NoDevFiles"):
        return False  # Ray hides the GPUs so from deployments that asked for none
    return any(Path(device).exists() for device in _DEVICES)


def _on_cpu(files: ModelFiles, entry: ModelEntry, inference: Inference) -> CpuSession:
    path = _path(files, entry, "cpu")

    def on(threads: int) -> OnnxSession:
        options = _options(_ERROR)
        options.intra_op_num_threads = threads
        # The threads of one call wait for each other at every node, and a thread that sleeps wakes too late for it. So
        # they wait in a loop, on processors that the call holds; between calls, when others may need these, they sleep.
        options.add_session_config_entry("session.force_spinning_stop", "1")
        return OnnxSession(_load(path, options, ["CPUExecutionProvider"]), "cpu")

    threads = min(inference.threads or cpu_count(), cpu_count())
    return CpuSession(on(1), on(threads) if threads > 1 else None, threads)


def _on_gpu(files: ModelFiles, entry: ModelEntry, inference: Inference) -> OnnxSession | None:
    """None when the provider's libraries do not load."""
    tensorrt = inference.provider == "tensorrt"
    wanted = "TensorrtExecutionProvider" if tensorrt else "CUDAExecutionProvider"
    if wanted not in onnxruntime.get_available_providers():
        return None
    # TensorRT lowers the precision itself, where it does not hurt; for CUDA the graph is converted.
    path = _path(files, entry, "cuda", fp16=inference.fp16 and not tensorrt)
    providers: list[tuple[str, dict[str, Any]]] = [
        ("CUDAExecutionProvider", {"arena_extend_strategy": "kSameAsRequested", "cudnn_conv_use_max_workspace": "1"})
    ]
    if tensorrt:
        engines = {"trt_engine_cache_enable": True, "trt_engine_cache_path": str(files.cache_dir / "tensorrt")}
        providers.insert(0, (wanted, {**engines, "trt_fp16_enable": inference.fp16}))
    # Failures are told below in words; onnxruntime would print them as well.
    onnxruntime.set_default_logger_severity(_FATAL)
    try:
        onnxruntime.preload_dlls()
        session = _load(path, _options(_FATAL), [*providers, "CPUExecutionProvider"])
    finally:
        onnxruntime.set_default_logger_severity(_ERROR)
    if wanted not in session.get_providers():
        return None
    return OnnxSession(session, "tensorrt" if tensorrt else "cuda")


def _path(files: ModelFiles, entry: ModelEntry, target: Target, *, fp16: bool = False) -> Path:
    return files.prepared(entry, target, fp16=fp16)


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
        raise ModelFileError(f"{path} cannot be loaded ({error}): delete it, it is made again.") from error
