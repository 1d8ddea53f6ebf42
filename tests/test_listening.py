"""The address to listen on is checked before anything starts, in IPv4 and IPv6."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from serve_app.errors import ConfigurationError
from serve_app.listening import checked_host, checked_port, family_of, is_wildcard, reachable_url, url_of


@pytest.mark.parametrize(
    ("given", "host", "family", "url"),
    [
        ("127.0.0.1", "127.0.0.1", socket.AF_INET, "http://127.0.0.1:8000"),
        (" localhost\n", "localhost", socket.AF_INET, "http://localhost:8000"),
        ("::1", "::1", socket.AF_INET6, "http://[::1]:8000"),
        ("[::1]", "::1", socket.AF_INET6, "http://[::1]:8000"),
        ("::", "::", socket.AF_INET6, "http://[::]:8000"),
        ("0.0.0.0", "0.0.0.0", socket.AF_INET, "http://0.0.0.0:8000"),
    ],
)
def test_hosts(given: str, host: str, family: socket.AddressFamily, url: str) -> None:
    assert checked_host(given) == host
    assert family_of(host) == family
    assert url_of(host, 8000) == url


@pytest.mark.parametrize(
    "host", ["", " ", "no such name", "::1::", "127.0.0.1:8000", "http://127.0.0.1", "a" * 300, None]
)
def test_what_is_no_host_is_refused(host: Any) -> None:
    with pytest.raises(ConfigurationError, match="FACEGRAPH_HOST"):
        checked_host(host)


@pytest.mark.parametrize("port", [8000, "8000", " 8000\n"])
def test_ports(port: Any) -> None:
    assert checked_port(port, "FACEGRAPH_PORT") == 8000


@pytest.mark.parametrize("port", [0, -1, 65536, 99999999999, "", "http", "8000.5", None, True, [8000]])
def test_what_is_no_port_is_refused(port: Any) -> None:
    with pytest.raises(ConfigurationError, match=r"1 to 65535.*FACEGRAPH_PORT"):
        checked_port(port, "FACEGRAPH_PORT")


@pytest.mark.parametrize(
    ("host", "url"),
    [("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80"), ("10.0.0.1", "http://10.0.0.1:80")],
)
def test_programs_of_this_machine_reach_a_wildcard_on_loopback(host: str, url: str) -> None:
    assert reachable_url(host, 80) == url


def test_wildcards() -> None:
    assert [host for host in ("0.0.0.0", "::", "0:0::0", "127.0.0.1", "localhost") if is_wildcard(host)] == [
        "0.0.0.0",
        "::",
        "0:0::0",
    ]
