"""Capacity model: replicas, cores, GPUs and Milvus nodes for a load, from measured times of the stages.

The throughput of a stage is one divided by its time per item on one core, or the rate measured on one GPU. So a stage
needs the load times its time, divided by the share of a machine that the load may use. ``docs/capacity.md`` says where
each number comes from, and compares predictions with measurements.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from serve_app.errors import InvalidRequest

EMBEDDED_FACES = 200_000
"""Most faces for milvus-lite; see ``serve_app.gallery.index.milvus_lite.EMBEDDED_ROWS``."""

LINK_BYTES = 2 * 16 * 4 * 1.1
"""Bytes of a row's links in an HNSW graph with M = 16: 2 M links of 4 bytes in the lowest layer, a tenth more for the
layers above (the arithmetic of hnswlib)."""

KEY_BYTES = 65 + 32 + 32 + 3 * 16
"""Bytes of a row's three texts: its key, the collection's id and the face's id, each with its length and offset."""

SEGMENT_BYTES = 1 << 30
"""A Milvus server's ``dataCoord.segment.maxSize``; each segment is searched separately."""

QUERY_NODE_SHARE = 0.7
"""Share of a query node's memory that rows may take; compaction and loading need the rest."""

RECORD_BYTES = 1_500
"""Bytes of one face in PostgreSQL, with its person, its membership in a collection, their SQL indexes and the template.
"""

THUMBNAIL_BYTES = 8_000
COPY_SHARE = 1.2
"""Size of the vectors' copy in the object store relative to the vectors, with data that a compaction has yet to remove.
"""

Stage = Literal["ingress", "detector", "liveness", "embedder", "matcher"]


@dataclass(frozen=True, slots=True)
class Times:
    """Processor times in milliseconds, measured on one core.

    Attributes:
        http: per request: reading it, checking the key, calls between processes, the response.
        detect: per image, decoding included.
        place: per face: refining its landmarks in close-ups.
        embed, liveness: per face.
        match: per search, in SQL and in an index with few rows.
        index: additional time per search for ``index_faces`` faces in the index.
        index_faces: number of faces for which ``index`` was measured.
        server: whether ``index`` was measured on a Milvus server, which will hold the gallery; otherwise milvus-lite.
    """

    http: float
    detect: float
    place: float
    embed: float
    match: float
    index: float
    index_faces: int
    liveness: float = 0.0
    server: bool = False


@dataclass(frozen=True, slots=True)
class GpuRates:
    """Throughput of one GPU per stage: images per second of the detector, faces per second of the others.

    The close-ups of a face take the same share of the detector's time as on a core.
    """

    detect: float
    embed: float
    liveness: float = math.inf


@dataclass(frozen=True, slots=True)
class Load:
    """A load to plan for.

    Attributes:
        pictures_per_second: images per second at the peak.
        faces: faces per image that are embedded and searched; 1 with ``faces=largest``.
        live: share of the faces whose liveness is checked, 0 to 1.
        gallery: rows of the index: each face counts once per collection.
        dimension: dimension of a template.
        thumbnails: whether crops are stored.
    """

    pictures_per_second: float
    faces: float = 1.0
    live: float = 0.0
    gallery: int = 1_000
    dimension: int = 128
    thumbnails: bool = True

    def __post_init__(self) -> None:
        if self.pictures_per_second <= 0 or self.faces < 0 or not 0 <= self.live <= 1 or self.gallery < 0:
            raise InvalidRequest(f"A load has positive numbers and a share of live faces from 0 to 1, got {self}.")


@dataclass(frozen=True, slots=True)
class Machine:
    """The machines to plan with.

    Attributes:
        used: share of each replica that the peak load may use, above 0 and below 1; queues grow with 1 / (1 - used).
        threads: threads of one replica of detector, liveness scorer and embedder.
        query_node_bytes, query_node_cores: memory and cores of one Milvus query node.
    """

    used: float = 0.65
    threads: int = 2
    query_node_bytes: int = 64 << 30
    query_node_cores: int = 16

    def __post_init__(self) -> None:
        if not 0 < self.used < 1:
            raise InvalidRequest(f"used is a share between 0 and 1, got {self.used}.")


@dataclass(frozen=True, slots=True)
class Plan:
    """The resources that a load needs.

    Attributes:
        replicas: stage -> number of replicas; ingress and matcher compute on one core each.
        cores: cores of the service, without those of a Milvus server.
        gpus: number of GPUs, rounded up.
        store: what holds the vectors.
        query_nodes: query nodes of a Milvus cluster, one of them spare; 1 for a single server, 0 for milvus-lite.
        index_bytes: memory of vectors, links and keys, for one copy.
        disk_bytes: records, a copy of the vectors, thumbnails.
    """

    replicas: Mapping[Stage, int]
    cores: int
    gpus: int
    store: Literal["milvus-lite", "Milvus server", "Milvus cluster"]
    query_nodes: int
    index_bytes: int
    disk_bytes: int


def picture_ms(load: Load, times: Times) -> float:
    """Processor milliseconds per image, the index included."""
    index = index_ms(load.gallery, load.dimension, times)
    face = times.place + times.embed + times.match + index + load.live * times.liveness
    return times.http + times.detect + load.faces * face


def pictures_per_second(load: Load, times: Times, cores: float) -> float:
    """Throughput of ``cores`` cores that run everything, in images per second."""
    return 1e3 * cores / picture_ms(load, times)


def index_ms(gallery: int, dimension: int, times: Times) -> float:
    """Processor milliseconds that a gallery of ``gallery`` rows adds to one search.

    milvus-lite reads every row, so the time grows with the rows. On a Milvus server it grows with the logarithm of a
    segment's rows, and with the number of segments.
    """
    if not times.server:
        return times.index * gallery / times.index_faces
    rows = SEGMENT_BYTES / row_bytes(dimension)
    depth = math.log(min(gallery, rows)) / math.log(max(2, min(times.index_faces, rows)))
    return times.index * max(1.0, depth) * max(1.0, gallery / rows) / max(1.0, times.index_faces / rows)


def row_bytes(dimension: int) -> float:
    """Bytes of one row of the index in memory."""
    return 4 * dimension + LINK_BYTES + KEY_BYTES


def plan(load: Load, times: Times, machine: Machine = Machine(), gpu: GpuRates | None = None) -> Plan:
    """The resources that a load needs.

    Args:
        load: the load.
        times: measured times of the stages.
        machine: the machines to use.
        gpu: throughput of one GPU; None computes detector, liveness scorer and embedder on the CPU.

    Raises:
        InvalidRequest: the times are of milvus-lite, but the gallery needs a server.
    """
    if load.gallery > EMBEDDED_FACES and not times.server:
        raise InvalidRequest(
            f"{load.gallery:,} faces need a Milvus server, so times.index must be measured on one: milvus-lite is "
            f"meant for {EMBEDDED_FACES:,}."
        )
    rate, faces, used = load.pictures_per_second, load.pictures_per_second * load.faces, machine.used
    busy = {  # cores kept busy
        "ingress": rate * times.http / 1e3,
        "matcher": faces * times.match / 1e3,
        "detector": 0.0 if gpu else (rate * times.detect + faces * times.place) / 1e3,
        "embedder": 0.0 if gpu else faces * times.embed / 1e3,
        "liveness": 0.0 if gpu else faces * load.live * times.liveness / 1e3,
    }
    index = faces * index_ms(load.gallery, load.dimension, times) / 1e3
    embedded = not times.server
    if embedded:
        busy["matcher"] += index
    replicas: dict[Stage, int] = {}
    stages: tuple[Stage, ...] = ("ingress", "detector", "liveness", "embedder", "matcher")
    for stage in stages:
        threads = 1 if stage in ("ingress", "matcher") else machine.threads
        replicas[stage] = max(1, math.ceil(busy[stage] / (used * threads)))
    gpus = 0
    if gpu:
        detections = rate + (faces * times.place / times.detect if times.detect else 0.0)
        gpus = math.ceil((detections / gpu.detect + faces / gpu.embed + faces * load.live / gpu.liveness) / used)
    memory = load.gallery * row_bytes(load.dimension)
    nodes = max(
        math.ceil(memory / (machine.query_node_bytes * QUERY_NODE_SHARE)),
        math.ceil(index / (machine.query_node_cores * used)),
    )
    disk = load.gallery * (RECORD_BYTES + COPY_SHARE * 4 * load.dimension + load.thumbnails * THUMBNAIL_BYTES)
    return Plan(
        replicas=replicas,
        cores=math.ceil(sum(busy.values()) / used),
        gpus=gpus,
        store="milvus-lite" if embedded else "Milvus server" if nodes <= 1 else "Milvus cluster",
        query_nodes=0 if embedded else 1 if nodes <= 1 else nodes + 1,
        index_bytes=round(memory),
        disk_bytes=round(disk),
    )
