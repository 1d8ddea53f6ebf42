"""Download of images by ``image_url``, protected against server-side request forgery.

The host is resolved once, every resolved address must be a public one of another machine, and the connection goes to a
resolved address, so that a second, different DNS answer has no effect (DNS rebinding). Each redirect is checked in the
same way. Proxies, netrc, cookies and compressed responses are never used.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import NoReturn

import httpx

from serve_app.api.public_addresses import Address, is_allowed, parse_address
from serve_app.errors import ImageDownloadFailed, ImageDownloadTimeout, ImageTooLarge, ImageUrlRefused
from serve_app.settings import ImageUrls

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Resolves a host and port to addresses, as text."""

MAX_URL = 2048
MAX_PORT = 65535
REDIRECTS = frozenset({301, 302, 303, 307, 308})
PICTURE_TYPES = ("image/", "application/octet-stream", "binary/octet-stream")
HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "facegraph"}


_RESOLVERS = ThreadPoolExecutor(8, thread_name_prefix="resolver")
"""The system's resolver waits up to half a minute for a server that does not answer, also when nobody waits for it any
more; so it has threads of its own."""


async def resolve_host(host: str, port: int) -> Sequence[str]:
    """The system's resolver. It also reads IPv4 addresses in decimal, octal and hexadecimal notation."""
    ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(_RESOLVERS, ask)
    return [str(entry[4][0]) for entry in found]


class ImageFetcher:
    """Downloads images of at most ``max_bytes``. ``transport`` performs one HTTP exchange per call, without redirects,
    cookies or proxies; None for the default."""

    def __init__(
        self,
        settings: ImageUrls,
        max_bytes: int,
        *,
        resolve: Resolve = resolve_host,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._max_bytes = max_bytes
        self._resolve = resolve
        self._transport = transport

    async def fetch(self, url: str) -> bytes:
        """Download the image at a URL.

        Raises:
            ImageUrlRefused: downloads are switched off, or the URL is not http(s), has credentials, or leads to an
                address that is not public, is this machine's own, or is in ``image_urls.refused_networks``.
            ImageDownloadFailed: unknown host, no connection, a status other than 200, no image, or too many redirects.
            ImageDownloadTimeout: not done within ``image_urls.timeout_s``, including name resolution and redirects.
            ImageTooLarge: more than ``max_bytes``.
        """
        if not self._settings.enabled:
            raise ImageUrlRefused("Images by URL are switched off (image_urls.enabled); send the image itself.")
        try:
            async with asyncio.timeout(self._settings.timeout_s):
                return await self._follow(url)
        except (TimeoutError, httpx.TimeoutException):
            raise ImageDownloadTimeout(
                f"The image did not arrive within {self._settings.timeout_s:g} s.", timeout_s=self._settings.timeout_s
            ) from None
        except httpx.HTTPError as error:
            raise ImageDownloadFailed(f"The download failed: {type(error).__name__}.") from None

    async def _follow(self, url: str) -> bytes:
        target = _checked_url(url)
        for _ in range(self._settings.max_redirects + 1):
            addresses = await self._public_addresses(target)
            response = await self._request(target, addresses)
            try:
                if response.status_code not in REDIRECTS:
                    return await self._content(response)
                location = response.headers.get("location")
            finally:
                await response.aclose()
            if not location:
                raise ImageDownloadFailed(f"The server answered {response.status_code} without a Location.")
            target = _checked_url(location, base=target)
        raise ImageDownloadFailed(f"More than {self._settings.max_redirects} redirects.")

    async def _public_addresses(self, url: httpx.URL) -> list[Address]:
        host = url.raw_host.decode("ascii")
        if not self._is_allowed(host):
            raise ImageUrlRefused(f"Images may not be fetched from the host {host!r} (image_urls.allowed_hosts).")
        try:
            answers = await self._resolve(host, _port(url))
            addresses = list(dict.fromkeys(parse_address(answer) for answer in answers))
        except (OSError, ValueError):
            addresses = []
        if not addresses:
            raise ImageDownloadFailed(f"The host {host!r} of the URL has no address.")
        # A private address among public ones is no accident, and a connection can use any of them.
        if not all(is_allowed(address, self._settings.refused_networks) for address in addresses):
            raise ImageUrlRefused(
                f"The host {host!r} of the URL is not another machine on the public Internet, or is in a network that "
                "images may not be fetched from."
            )
        return addresses

    def _is_allowed(self, host: str) -> bool:
        name = host.lower().rstrip(".")
        allowed = [each.lower() for each in self._settings.allowed_hosts]
        return not allowed or any(name == each or (each.startswith(".") and name.endswith(each)) for each in allowed)

    async def _request(self, url: httpx.URL, addresses: Sequence[Address]) -> httpx.Response:
        if self._transport is None:
            # Not a client: a client keeps cookies, and connections that requests for another host could use.
            self._transport = httpx.AsyncHTTPTransport(
                trust_env=False, limits=httpx.Limits(max_keepalive_connections=0)
            )
        timeout = httpx.Timeout(self._settings.timeout_s).as_dict()
        failure: httpx.ConnectError | None = None
        for address in addresses:
            request = httpx.Request(
                "GET",
                url.copy_with(host=str(address), fragment=None),
                headers={"Host": url.netloc.decode("ascii"), **HEADERS},
                extensions={"timeout": timeout, "sni_hostname": url.raw_host.decode("ascii")},
            )
            try:
                return await self._transport.handle_async_request(request)
            except httpx.ConnectError as error:
                failure = error
        raise failure or httpx.ConnectError("no address")

    async def _content(self, response: httpx.Response) -> bytes:
        if response.status_code != 200:
            raise ImageDownloadFailed(f"The server of the URL answered {response.status_code}, expected 200.")
        kind = response.headers.get("content-type", "image/").strip().lower()
        if not kind.startswith(PICTURE_TYPES):
            raise ImageDownloadFailed(f"The URL leads to {kind[:60]!r}, expected an image.")
        if response.headers.get("content-encoding", "identity").lower() != "identity":
            raise ImageDownloadFailed("The server of the URL compressed its response, which was not requested.")
        declared = response.headers.get("content-length", "")
        if declared.isdigit() and int(declared) > self._max_bytes:
            self._too_large()
        content = bytearray()
        async for chunk in response.aiter_raw():
            content += chunk
            if len(content) > self._max_bytes:
                self._too_large()
        return bytes(content)

    def _too_large(self) -> NoReturn:
        raise ImageTooLarge(
            f"The image behind the URL has more than {self._max_bytes} bytes.", max_image_bytes=self._max_bytes
        )


def _checked_url(text: str, base: httpx.URL | None = None) -> httpx.URL:
    if len(text) > MAX_URL:
        raise ImageUrlRefused(f"A URL may have at most {MAX_URL} characters, this one has {len(text)}.")
    try:
        url = base.join(text) if base is not None else httpx.URL(text)
        if _port(url) > MAX_PORT:
            raise ValueError
    except (httpx.InvalidURL, ValueError):
        raise ImageUrlRefused("This is not a URL.") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ImageUrlRefused(f"A URL that starts with http:// or https:// and a host was expected, got {text[:60]!r}.")
    if url.userinfo:
        raise ImageUrlRefused("An image's URL must not contain a user name or a password.")
    return url


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)
