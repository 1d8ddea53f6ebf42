"""Topology: which stages share a process, and the automatic choice."""

from __future__ import annotations

from enum import StrEnum

DISTRIBUTED_FROM = 4
"""Number of processors from which ``auto`` is ``distributed``. With two, the calls between processes cost more than
separate processes gain (docs/performance.md#throughput)."""


class Topology(StrEnum):
    """Which stages share a process.

    ``distributed``: each stage is a deployment that scales separately. ``compact``: detector, liveness scorer and
    embedder run inside each ingress replica, which saves three calls per request on few processors; the matcher is a
    deployment. ``single``: the matcher also runs inside the only ingress replica, which saves the last call. ``auto``:
    ``distributed`` with 4 processors and more or several ingress replicas, otherwise ``single``.
    """

    AUTO = "auto"
    DISTRIBUTED = "distributed"
    COMPACT = "compact"
    SINGLE = "single"


def chosen_topology(configured: Topology, processors: int, ingress_replicas: int) -> tuple[Topology, str]:
    """The topology to run (never ``auto``), and the reason for it.

    Args:
        configured: the topology in the settings.
        processors: number of processors available to this process.
        ingress_replicas: largest number of ingress replicas; ``single`` allows one.
    """
    if configured is not Topology.AUTO:
        return configured, "as configured"
    if ingress_replicas > 1:
        return Topology.DISTRIBUTED, f"auto: up to {ingress_replicas} ingress replicas are configured"
    if processors >= DISTRIBUTED_FROM:
        return Topology.DISTRIBUTED, f"auto: {processors} processors, {DISTRIBUTED_FROM} or more"
    noun = "processor" if processors == 1 else "processors"
    return Topology.SINGLE, f"auto: {processors} {noun}, fewer than {DISTRIBUTED_FROM}"
