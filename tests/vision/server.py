"""A small file server that can break connections, for the tests of downloads."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Self

from serve_app.vision.catalogue import UrlSource


class FileServer:
    """Serves bytes by path on a free local port.

    Attributes:
        requests: the ``Range`` header of each request, None where there was none.
        break_after: close the connection after this number of bytes of an answer.
    """

    def __init__(self, contents: Mapping[str, bytes], *, break_after: int | None = None, ranges: bool = True) -> None:
        self.contents = contents
        self.break_after = break_after
        self.ranges = ranges
        self.requests: list[str | None] = []

    def source(self, path: str) -> UrlSource:
        """The catalogue's description of a file here (which demands https of real ones)."""
        return UrlSource.model_construct(kind="url", url=f"http://127.0.0.1:{self._server.server_port}{path}")

    def __enter__(self) -> Self:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                wanted = self.headers.get("Range")
                outer.requests.append(wanted)
                content = outer.contents.get(self.path)
                if content is None:
                    self.send_error(404)
                    return
                start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted and outer.ranges else 0
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
                self.send_header("Content-Length", str(len(content) - start))
                self.end_headers()
                body = content[start:]
                self.wfile.write(body if outer.break_after is None else body[: outer.break_after])

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
