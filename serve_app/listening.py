"""The address that the service listens on: checks, and its URL."""

from __future__ import annotations

import ipaddress
import socket
from typing import Any

from serve_app.errors import ConfigurationError


def checked_host(value: Any) -> str:
    """The host without blanks around it and without brackets; raises ConfigurationError if it has no address."""
    host = str(value).strip()
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    family_of(host)
    return host


def checked_port(value: Any, variable: str) -> int:
    """The port as a number; raises ConfigurationError, which names the variable, if no program can listen on it."""
    try:
        port = int(str(value).strip())
    except ValueError:
        port = 0
    if not 0 < port < 2**16:
        raise ConfigurationError(f"A port is a number from 1 to 65535, got {value!r}: set {variable} to one.")
    return port


def family_of(host: str) -> socket.AddressFamily:
    """AF_INET if the host has such an address, else AF_INET6; raises ConfigurationError if it has none."""
    try:
        found = {entry[0] for entry in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM)} if host else set()
    except (OSError, UnicodeError):
        found = set()
    for family in (socket.AF_INET, socket.AF_INET6):
        if family in found:
            return family
    raise ConfigurationError(
        f"{host!r} is neither an address nor a name of this machine: set FACEGRAPH_HOST to the address to listen on, "
        "as in 127.0.0.1, ::1, 0.0.0.0 or ::"
    )


def is_wildcard(host: str) -> bool:
    """Whether the host stands for all addresses of this machine."""
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def reachable_url(host: str, port: int) -> str:
    """The URL under which programs of this machine reach a service that listens on the host."""
    if is_wildcard(host):
        host = "::1" if ":" in host else "127.0.0.1"
    return url_of(host, port)


def url_of(host: str, port: int) -> str:
    """The URL of the service; an IPv6 address is put in brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
