"""Clients of the native API, importable under the name of the distribution; see :mod:`serve_app.client`."""

from __future__ import annotations

from serve_app.client import ApiError, AsyncClient, Client, Json, Picture, ServiceUnreachable

__all__ = ["ApiError", "AsyncClient", "Client", "Json", "Picture", "ServiceUnreachable"]
