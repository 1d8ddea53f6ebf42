"""Settings of the ingress and of each stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import Field

from serve_app.settings.sections import Section, ServeOptions


class Inference(Section):
    """onnxruntime options of one stage's models.

    Attributes:
        provider: ``auto`` takes CUDA if there is a device, else the CPU.
        threads: threads of a model call on the CPU while enough processors are free, otherwise one; 0 takes one per
            core.
        fp16: compute in half precision (CUDA only).
    """

    provider: Literal["auto", "cpu", "cuda", "tensorrt"] = "auto"
    threads: int = Field(0, ge=0)
    fp16: bool = False


class StageSettings(Section):
    """Settings that every stage has."""

    serve: ServeOptions = ServeOptions()


def _two_thirds(data: dict[str, Any]) -> int:
    return max(1, int(data.get("max_in_flight", 0)) * 2 // 3)


class IngressSettings(StageSettings):
    """The ingress: HTTP requests and calls of the Python handle.

    Attributes:
        max_in_flight: HTTP requests that one replica works on or keeps waiting, most requests whose body is on the way,
            and most answers on the way; more are answered 429, with the error format of the API that they use. Three
            times this must be below ``max_ongoing_requests``, from which Serve itself answers 429 without such a body.
        overload_in_flight: during overload, most requests that are worked on, so that admitted requests do not wait for
            the whole queue; 0 takes two per processor if all stages share one process, otherwise ``max_in_flight``.
        max_in_flight_per_key: share of one API key of each of these; 0 for all. Unless it is set, two thirds.
        max_in_flight_bytes: bytes of the bodies of all requests in one replica, declared or received; at least one
            body always fits.
        request_timeout_s: seconds after which a request, its upload included, ends with 503. Must be below Serve's
            ``http_options.request_timeout_s``, whose response has no error body.
        max_connections: most connections that the replica keeps open with ``own_port``, and at most half of the free
            file descriptors; the one that has been idle for longest makes room for a new one.
        own_port: under ``facegraph serve`` the only ingress replica accepts connections itself, and Serve's proxy is
            not started.
        listener: socket path from which the replica then gets its listening socket (``serving/socket_handoff.py``);
            set by that command.
    """

    serve: ServeOptions = ServeOptions(max_ongoing_requests=400)
    max_in_flight: int = Field(96, ge=1)
    overload_in_flight: int = Field(0, ge=0)
    max_in_flight_per_key: int = Field(default_factory=_two_thirds, ge=0)
    max_in_flight_bytes: int = Field(256 * 2**20, ge=2**20)
    request_timeout_s: float = Field(55.0, gt=0)
    max_connections: int = Field(2048, ge=16, le=100_000)
    own_port: bool = False
    listener: Path | None = None


class DetectorSettings(StageSettings):
    """The detector.

    Attributes:
        input_side: long side in pixels that images are scaled to, a multiple of 32.
        min_score: detection score, 0 to 1, from which a detection counts as a face.
        nms_iou: IoU above which two detections count as one face.
        workers: images processed at the same time in one replica; 0 takes one per core.
    """

    inference: Inference = Inference()
    model: str = "yunet-2023mar"
    input_side: int = Field(448, ge=160, le=4096, multiple_of=32)
    min_score: float = Field(0.6, ge=0.1, le=1)
    nms_iou: float = Field(0.3, gt=0, lt=1)
    workers: int = Field(0, ge=0)


class LivenessSettings(StageSettings):
    """The liveness scorer.

    Attributes:
        models: ids of the models of the ensemble, in the order of the response; missing ones are left out.
        threshold: probability of a live person from which a face counts as live.
        max_batch: most faces in one model call.
        max_queue: most faces that wait.
    """

    inference: Inference = Inference()
    models: tuple[str, ...] = ("minifasnet-v2", "minifasnet-v1se", "fr-liveness")
    threshold: float = Field(0.5, ge=0, le=1)
    max_batch: int = Field(8, ge=1)
    max_queue: int = Field(256, ge=1)


class EmbedderSettings(StageSettings):
    """The embedder.

    Attributes:
        workers: batches computed at the same time in one replica; more than one only helps on the CPU.
        max_batch: most faces in one model call.
        max_queue: most faces that wait.
    """

    inference: Inference = Inference()
    model: str = "sface-2021dec"
    workers: int = Field(1, ge=1)
    max_batch: int = Field(8, ge=1)
    max_queue: int = Field(256, ge=1)


class MatcherSettings(StageSettings):
    """The matcher, which owns the gallery. With an embedded index or database exactly one replica may run."""

    default_image_storage: Literal["none", "thumbnail", "full"] = "thumbnail"
    unattached_face_ttl_h: float = Field(72.0, gt=0)
