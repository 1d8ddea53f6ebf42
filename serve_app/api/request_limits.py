"""Limits of one request, and of all concurrent requests of a replica, by the settings."""

from __future__ import annotations

from typing import NamedTuple

from serve_app.settings import Settings, Topology
from serve_app.vision import cpu_slots

IN_FLIGHT_PER_CORE = 2
"""Requests in work per core during an overload: one computes while another one reads, looks up or answers."""


class Bounds(NamedTuple):
    """Limits of one request, and of all concurrent requests.

    Attributes:
        most, few: requests in work; few in an overload.
        most_of_key, few_of_key: those of one key; few in an overload by it.
        key_share_of_few: those of one key in an overload by all.
        held, held_of_key: bytes of the bodies of all requests, and of those of one key.
    """

    max_body_bytes: int
    timeout_s: float
    most: int
    few: int
    most_of_key: int
    few_of_key: int
    key_share_of_few: int
    held: int
    held_of_key: int


def bounds_of(settings: Settings) -> Bounds:
    """The bounds by the settings. A key's bytes leave room for the largest body of another one."""
    ingress, body = settings.ingress, settings.limits.max_body_bytes
    most = ingress.max_in_flight
    most_of_key = min(ingress.max_in_flight_per_key or most, most)
    alone = IN_FLIGHT_PER_CORE * cpu_slots.CPU_COUNT if settings.topology is Topology.SINGLE else most
    few = min(ingress.overload_in_flight or alone, most)
    held = max(ingress.max_in_flight_bytes, body)
    return Bounds(
        max_body_bytes=body,
        timeout_s=ingress.request_timeout_s,
        most=most,
        few=few,
        most_of_key=most_of_key,
        few_of_key=min(few, most_of_key),
        key_share_of_few=max(1, few * most_of_key // most),
        held=held,
        held_of_key=max(held - body, body),
    )
