"""What another user of the machine tries against a running service: run as root, it becomes the user 65534 first.

python -m tests.graph.other_user < ports, paths and sockets as JSON > what it got as JSON
"""

from __future__ import annotations

import json
import os
import pkgutil
import socket
import ssl
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import grpc  # type: ignore[import-untyped]
import httpx
import ray.core.generated
import ray.serve.generated
from pymilvus import MilvusClient

USER = 65534
WITHIN_S = 10.0
HEALTH = "/grpc.health.v1.Health/Check"
WITHOUT_PYTHON = ("ObjectManagerService/Pull", "ObjectManagerService/Push", "syncer.RaySyncer/StartSync")
"""Remote procedures of which Ray's package has no description in Python."""

PATHS = ("/", "/metrics", "/v1/collections", "/v1/info", "/api/version", "/api/healthz", "/api/v0/actors", "/api/jobs/")


def main() -> None:
    """Try everything; imports and the list of methods are made as root, who can read the installation."""
    given = json.load(sys.stdin)
    methods = remote_methods()
    os.setgroups([])
    os.setresgid(USER, USER, USER)
    os.setresuid(USER, USER, USER)
    json.dump(
        {
            "user": os.getuid(),
            "ports": {port: asked(int(port), methods) for port in given["ports"]},
            "sockets": [path for path in given["sockets"] if connects(path)],
            "readable": [path for path in given["paths"] if os.access(path, os.R_OK)],
            "writable": [path for path in given["paths"] if os.access(path, os.W_OK)],
            "replaced": [path for path in given["paths"] if replaced(Path(path))],
        },
        sys.stdout,
    )


def remote_methods() -> list[str]:
    """The names of all remote procedures of Ray and of Ray Serve."""
    found = {HEALTH, *(f"/ray.rpc.{name}" for name in WITHOUT_PYTHON)}
    for package in (ray.core.generated, ray.serve.generated):
        for module in pkgutil.iter_modules(package.__path__):
            if module.name.endswith("_pb2"):
                file = import_module(f"{package.__name__}.{module.name}").DESCRIPTOR
                for service in file.services_by_name.values():
                    found |= {f"/{service.full_name}/{method.name}" for method in service.methods}
    return sorted(found)


def asked(port: int, methods: list[str]) -> dict[str, Any]:
    """What a port answers to each protocol, and all bytes of its answers over HTTP."""
    over_http, text = {}, ""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=WITHIN_S, trust_env=False) as client:
        for path in PATHS:
            with suppress(httpx.HTTPError):
                answer = client.get(path)
                over_http[path] = answer.status_code
                text += answer.text
    return {
        "http": over_http,
        "text": text,
        "grpc": over_grpc(port, methods),
        "tls": certificate_is_demanded(port),
        "milvus": of_milvus(port),
    }


def certificate_is_demanded(port: int) -> bool:
    """Whether the port speaks TLS, and ends the connection of a client without a certificate."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), WITHIN_S) as plain:
        connection = context.wrap_socket(plain)
        try:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            return connection.recv(1) == b""
        except (ConnectionError, ssl.SSLEOFError):  # it was closed before the reason was read
            return True
        except ssl.SSLError as error:
            return "CERTIFICATE_REQUIRED" in str(error).upper().replace(" ", "_")
        finally:
            connection.close()
    return False


def over_grpc(port: int, methods: list[str]) -> dict[str, list[str]]:
    """Methods by the code of the answer to a call without a token and without TLS."""
    codes: dict[str, list[str]] = {}
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=[("grpc.enable_http_proxy", 0)]) as channel:
        for method in methods:
            try:
                channel.unary_unary(method)(b"", timeout=WITHIN_S)
                code = "OK"
            except grpc.RpcError as error:
                code = error.code().name
            codes.setdefault(code, []).append(method)
            if code == "UNAVAILABLE":  # no gRPC server
                break
    return codes


def of_milvus(port: int) -> list[str] | None:
    """The collections of a Milvus server; None if there is none."""
    try:
        client = MilvusClient(f"http://127.0.0.1:{port}", timeout=2)
    except Exception:
        return None
    return list(client.list_collections())


def connects(path: str) -> bool:
    """Whether a Unix socket can be connected to."""
    with socket.socket(socket.AF_UNIX) as caller:
        return caller.connect_ex(path) == 0


def replaced(path: Path) -> bool:
    """Whether a file or folder can be moved away."""
    with suppress(OSError):
        path.rename(path.with_name(f"{path.name}.was"))
        return True
    return False


if __name__ == "__main__":
    main()
    sys.stdout.flush()
    os._exit(0)  # threads of the clients may still wait for a port
