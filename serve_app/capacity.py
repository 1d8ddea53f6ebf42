"""Capacity model: replicas, cores, GPUs and Milvus nodes for a load, from measured times of the stages.

The rate of a stage is one divided by its time on one core, or the rate measured on one GPU. So a stage needs the load
times its time, divided by the share of a machine that can be used. ``docs/capacity.md`` gives the source of each number
and compares predictions with measurements.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from serve_app.errors import InvalidRequest
from serve_app.index_parameters import EMBEDDED_ROWS, HNSW

LINK_BYTES = 2 * HNSW["M"] * 4 * 1.1
"""Bytes of a row's links in an HNSW graph: 2 M links of 4 bytes in the lowest layer, a tenth more for the layers above
(the arithmetic of hnswlib)."""

KEY_BYTES = 65 + 32 + 32 + 3 * 16
"""Bytes of the three texts of a row: its key, the collection's and the face's id, each with its length and position."""

SEGMENT_BYTES = 1 << 30
"""A Milvus server's ``dataCoord.segment.maxSize``; each segment is searched separately."""

QUERY_NODE_SHARE = 0.7
"""Share of a query node's memory for rows: compaction and loading need the rest."""

RECORD_BYTES = 1_500
"""Bytes of one face in PostgreSQL with its person, its membership in a collection and their database indexes, the
template included."""

THUMBNAIL_BYTES = 8_000
COPY_SHARE = 1.2
"""Size of the copy of the vectors in the object store, with rows that no compaction has removed yet, in sizes of the
vectors."""

Stage = Literal["ingress", "detector", "liveness", "embedder", "matcher"]


@dataclass(frozen=True, slots=True)
class Times:
    """Processor milliseconds, measured on one core.

    Attributes:
        http: of one request: reading, keys, hops between processes, the answer.
        detect: of one image, decoding included.
        place: of one face in the detector, which locates its landmarks again in close-ups.
        embed, liveness: of one face.
        match: of one search in the records and in an index with few rows.
        index: of one search, in addition to ``match``, with ``index_faces`` faces in the index.
        server: whether ``index`` was measured on a Milvus server, which will hold the gallery; else on milvus-lite.
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
    """Rates of one GPU: images per second of the detector alone, faces per second of each other model alone.

    The close-ups of a face have the same share of the detector's time as on a core.
    """

    detect: float
    embed: float
    liveness: float = math.inf


@dataclass(frozen=True, slots=True)
class Load:
    """The load to plan for.

    Attributes:
        pictures_per_second: images per second at the peak.
        faces: faces per image that are embedded and searched; 1 with ``faces=largest``.
        live: share of the faces whose liveness is checked, 0 to 1.
        gallery: rows of the index, one for each membership of a face in a collection.
        dimension: of a template.
        thumbnails: whether crops are stored.

    Raises InvalidRequest if a number is out of its range.
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
    """The hardware to plan with.

    Attributes:
        used: share of each replica that the peak uses, between 0 and 1: queues grow with 1 / (1 - used).
        threads: of one replica of detector, liveness and embedder.
        query_node_bytes, query_node_cores: of one Milvus query node.

    Raises InvalidRequest if ``used`` is out of its range.
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
    """The hardware that a load needs.

    Attributes:
        replicas: of each stage; ingress and matcher compute on one core each.
        cores: of the service, without those of a Milvus server.
        gpus: whole GPUs, rounded up.
        store: the index that holds the vectors.
        query_nodes: of a Milvus cluster, one of them as a spare; 1 for a single server, 0 for milvus-lite.
        index_bytes: vectors, links and keys in memory, one copy.
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
    """Processor milliseconds of one image, those of the index included."""
    index = index_ms(load.gallery, load.dimension, times)
    face = times.place + times.embed + times.match + index + load.live * times.liveness
    return times.http + times.detect + load.faces * face


def pictures_per_second(load: Load, times: Times, cores: float) -> float:
    """The highest rate of ``cores`` cores that run all stages and the index."""
    return 1e3 * cores / picture_ms(load, times)


def index_ms(gallery: int, dimension: int, times: Times) -> float:
    """Processor milliseconds that a gallery of this size adds to one search.

    On milvus-lite a search compares every row, so they grow with the rows. In a server's graph they grow with the
    logarithm of a segment's rows, and with the number of segments.
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
    """Replicas, cores, GPUs, store and nodes for a load; without ``gpu`` all models compute on the CPU.

    Raises InvalidRequest if the times are of milvus-lite, but the gallery needs a server.
    """
    if load.gallery > EMBEDDED_ROWS and not times.server:
        raise InvalidRequest(
            f"{load.gallery:,} faces need a Milvus server, so times.index must be measured on one: milvus-lite is "
            f"meant for {EMBEDDED_ROWS:,}."
        )
    rate, faces, used = load.pictures_per_second, load.pictures_per_second * load.faces, machine.used
    busy: dict[Stage, float] = {  # cores at the peak
        "ingress": rate * times.http / 1e3,
        "detector": 0.0 if gpu else (rate * times.detect + faces * times.place) / 1e3,
        "liveness": 0.0 if gpu else faces * load.live * times.liveness / 1e3,
        "embedder": 0.0 if gpu else faces * times.embed / 1e3,
        "matcher": faces * times.match / 1e3,
    }
    index = faces * index_ms(load.gallery, load.dimension, times) / 1e3
    embedded = not times.server
    if embedded:
        busy["matcher"] += index
    threads = {"ingress": 1, "matcher": 1}
    replicas = {stage: max(1, math.ceil(n / (used * threads.get(stage, machine.threads)))) for stage, n in busy.items()}
    gpus = 0
    if gpu:
        looks = rate + (faces * times.place / times.detect if times.detect else 0.0)
        gpus = math.ceil((looks / gpu.detect + faces / gpu.embed + faces * load.live / gpu.liveness) / used)
    held = load.gallery * row_bytes(load.dimension)
    filled, loaded = held / (machine.query_node_bytes * QUERY_NODE_SHARE), index / (machine.query_node_cores * used)
    nodes = math.ceil(max(filled, loaded))
    disk = load.gallery * (RECORD_BYTES + COPY_SHARE * 4 * load.dimension + load.thumbnails * THUMBNAIL_BYTES)
    return Plan(
        replicas=replicas,
        cores=math.ceil(sum(busy.values()) / used),
        gpus=gpus,
        store="milvus-lite" if embedded else "Milvus server" if nodes <= 1 else "Milvus cluster",
        query_nodes=0 if embedded else 1 if nodes <= 1 else nodes + 1,
        index_bytes=round(held),
        disk_bytes=round(disk),
    )
