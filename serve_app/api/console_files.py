"""The web console at ``/``: static files of the package, with a content-security policy that allows no other code."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import FileResponse, Response
from fastapi.staticfiles import StaticFiles

import serve_app

FILES = Path(serve_app.__file__).resolve().parent / "console"

POLICY = {
    "default-src": "'none'",
    "script-src": "'self'",
    "style-src": "'self'",
    "img-src": "'self' blob:",  # images that a user selects, and thumbnails, which are fetched with the API key
    "connect-src": "'self'",
    "base-uri": "'none'",
    "form-action": "'none'",
    "frame-ancestors": "'none'",
    "require-trusted-types-for": "'script'",
    "trusted-types": "'none'",
}

HEADERS = {
    "Content-Security-Policy": "; ".join(f"{name} {value}" for name, value in POLICY.items()),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cache-Control": "no-cache",  # revalidated on every load (304), so that an upgrade takes effect at once
}


class ConsoleFiles(StaticFiles):
    """The console's scripts, styles and icons."""

    def file_response(self, *args: Any, **kwargs: Any) -> Response:
        """The file, with the console's headers."""
        response = super().file_response(*args, **kwargs)
        response.headers.update(HEADERS)
        return response


def add_console(app: FastAPI) -> None:
    """Add ``GET /`` and the files under ``/console``. No dialect has a path of these names."""
    app.mount("/console", ConsoleFiles(directory=FILES), name="console")

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    async def page() -> Response:
        return FileResponse(FILES / "index.html", headers=HEADERS)
