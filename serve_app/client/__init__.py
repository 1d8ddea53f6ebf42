"""Python clients of the native API: :class:`Client` and, for event loops, :class:`AsyncClient`, with the same methods.

Results are the service's JSON objects as plain dictionaries; /docs of the running service describes them. Users import
this package as ``facegraph.client``.
"""

from __future__ import annotations

from serve_app.client.asynchronous import AsyncClient
from serve_app.client.http import ApiError, Json, Picture, ServiceUnreachable
from serve_app.client.sync import Client

__all__ = ["ApiError", "AsyncClient", "Client", "Json", "Picture", "ServiceUnreachable"]
