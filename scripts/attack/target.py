"""The service under attack: its address, a key of each role, and the operations that its OpenAPI document names."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx

COLLECTION = "attacked"
WITH_BODY = ("post", "put", "patch")


@dataclass(frozen=True)
class Target:
    """A service on a loopback address.

    Attributes:
        host, port: where it listens.
        search, enroll: keys of the attackers, by role.
        innocent: the key, of the role ``search``, of a client that does nothing wrong.
        reading: method and path of every operation that reads a body, with names in place of parameters.
        getting: the paths of every operation with GET.
    """

    host: str
    port: int
    search: str
    enroll: str
    innocent: str
    reading: tuple[tuple[str, str], ...]
    getting: tuple[str, ...]


def prepare(url: str, admin_key: str) -> Target:
    """Make a collection and keys in a running service.

    Raises:
        ValueError: the address is not a loopback address.
    """
    split = urlsplit(url)
    host, port = split.hostname or "", split.port or 80
    try:
        loopback = ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise ValueError(f"only a service on a loopback address (such as 127.0.0.1) is attacked, got {url!r}")
    with httpx.Client(base_url=url, headers={"X-API-Key": admin_key}, timeout=60, trust_env=False) as api:
        api.post("/v1/collections", json={"name": COLLECTION})  # 409 if it is there
        keys = {}
        for name, role in (("search", "search"), ("enroll", "enroll"), ("innocent", "search")):
            made = api.post("/v1/keys", json={"name": f"attack: {name}", "role": role})
            keys[name] = str(made.raise_for_status().json()["secret"])
        paths = api.get("/openapi.json").raise_for_status().json()["paths"]
    filled = {path: re.sub(r"\{\w+\}", COLLECTION, path) for path in paths}
    reading = [(m.upper(), filled[path]) for path, found in paths.items() for m in WITH_BODY if m in found]
    getting = [filled[path] for path, found in paths.items() if "get" in found]
    return Target(host, port, **keys, reading=tuple(reading), getting=tuple(getting))
