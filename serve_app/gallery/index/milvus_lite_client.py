"""milvus-lite in this process, with its client: they speak through a Unix socket that only this user can reach.

pymilvus would start milvus-lite on a TCP port of the loopback address, which asks nobody for a key: each user of the
machine could read and change the vectors there.
"""

from __future__ import annotations

import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc  # type: ignore[import-untyped]
from milvus_lite.adapter.grpc.servicer import MilvusServicer
from milvus_lite.db import MilvusLite
from pymilvus import MilvusClient
from pymilvus.grpc_gen import milvus_pb2_grpc

from serve_app.runtime_folder import runtime_folder

THREADS = 10
LARGEST_MESSAGE = 256 * 2**20
"""Bytes. Both are those with which pymilvus starts milvus-lite."""


class EmbeddedClient(MilvusClient):  # type: ignore[misc]  # pymilvus has no types
    """A client with a milvus-lite of its own on a folder; ``close`` ends both.

    Attributes:
        database: the milvus-lite.

    Raises milvus_lite.exceptions.DataDirLockedError: another milvus-lite has the folder open.
    """

    def __init__(self, folder: Path, timeout_s: float) -> None:
        self.database = database = MilvusLite(str(folder))
        server = grpc.server(
            ThreadPoolExecutor(THREADS, thread_name_prefix="milvus-lite"),
            options=[(f"grpc.max_{way}_message_length", LARGEST_MESSAGE) for way in ("receive", "send")],
        )
        self._stop = weakref.finalize(self, _stop, server, database)  # also at the process's end
        try:
            milvus_pb2_grpc.add_MilvusServiceServicer_to_server(MilvusServicer(database), server)
            address = f"unix:{socket_of(folder)}"
            server.add_insecure_port(address)
            server.start()
            super().__init__(address, timeout=timeout_s)
        except BaseException:
            self._stop()
            raise

    def close(self) -> None:
        """Close the client, and milvus-lite with its files, lock and threads. Can be called twice."""
        super().close()
        self._stop()


def socket_of(folder: Path) -> Path:
    """Path of the Unix socket of a folder's milvus-lite, of which there is one at a time.

    It is named after the folder itself, so that a socket that a killed process left behind is replaced.
    """
    found = folder.stat()
    return runtime_folder() / f"milvus-{found.st_dev:x}-{found.st_ino:x}"


def _stop(server: grpc.Server, database: MilvusLite) -> None:
    server.stop(grace=2).wait()
    database.close()
