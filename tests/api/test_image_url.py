"""Images by URL: what is fetched and what is refused."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from types import SimpleNamespace

import httpx
import psutil
import pytest
from pydantic import ValidationError

from serve_app.api.image_url import ImageFetcher, resolve_host
from serve_app.api.public_addresses import is_allowed, is_public, own_addresses
from serve_app.errors import FacegraphError, ImageDownloadFailed, ImageDownloadTimeout, ImageTooLarge, ImageUrlRefused
from serve_app.settings import ImageUrls
from tests.api.conftest import World, code
from tests.fakes.stages import fake_picture

PUBLIC = "93.184.215.14"
PICTURE = fake_picture("ada")

REFUSED = [
    *("0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.8.8.8"),
    *("168.63.129.16", "169.254.169.254", "169.254.0.1", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1"),
    *("192.88.99.1", "192.168.1.1", "198.18.0.1", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255"),
    *("240.0.0.1", "255.255.255.255"),
    *("::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254"),
    *("64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "100::1", "2001::1", "2001:0:4136:e378::1"),
    *("2001:10::1", "2001:db8::1", "2002:7f00:1::1", "2002:a00:1::", "2002:a9fe:a9fe::1", "3fff::1", "5f00::1"),
    *("fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "4000::1"),
]
ALLOWED = [
    *(PUBLIC, "8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.167.1.1"),
    *(
        "2606:2800:21f:cb07:6820:80da:af6b:8b2c",
        "2a00:1450::1",
        "::ffff:8.8.8.8",
        "64:ff9b::808:808",
        "2002:808:808::1",
    ),
]


@pytest.mark.parametrize("address", REFUSED)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize("address", ALLOWED)
def test_public_addresses(address: str) -> None:
    assert is_public(ip_address(address))


def test_the_addresses_of_this_machine_are_known() -> None:
    """``getaddrinfo`` and a connected socket say what an interface has."""
    assert ip_address("127.0.0.1") in own_addresses()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
        probe.connect((PUBLIC, 9))  # sends nothing
        assert ip_address(probe.getsockname()[0]) in own_addresses()


OWN = (PUBLIC, "2a00:1450::1", "fe80::1%eth0")


@pytest.mark.parametrize(
    "address", [PUBLIC, "2a00:1450::1", f"::ffff:{PUBLIC}", "64:ff9b::5db8:d70e", "2002:5db8:d70e::1"]
)
def test_public_addresses_of_this_machine_are_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    network = Network({"example.org": [address]}, picture)
    assert network.fetch("http://example.org/a.jpg") == PICTURE
    families = {True: socket.AF_INET6, False: socket.AF_INET}
    found = {"eth0": [SimpleNamespace(family=families[":" in each], address=each) for each in OWN]}
    monkeypatch.setattr(psutil, "net_if_addrs", lambda: found)
    refused(network, "http://example.org/a.jpg", ImageUrlRefused)
    redirecting = Network(
        {"example.org": ["8.8.8.8"], "back.org": [address]}, lambda _: response(302, b"", location="http://back.org/")
    )
    refused(redirecting, "http://example.org/a.jpg", ImageUrlRefused)
    assert len(redirecting.requests) == 1
    assert is_allowed(ip_address("8.8.8.8"))


@pytest.mark.parametrize("address", [PUBLIC, "2606:2800:21f::7", f"::ffff:{PUBLIC}"])
def test_networks_that_the_settings_refuse(address: str) -> None:
    network = Network({"example.org": [address], "other.org": ["8.8.8.8"]}, picture)
    own_range = {"refused_networks": ["93.184.215.0/24", "2606:2800::/32"]}
    refused(network, "http://example.org/a.jpg", ImageUrlRefused, **own_range)
    assert network.fetch("http://other.org/a.jpg", **own_range) == PICTURE
    with pytest.raises(ValidationError):
        ImageUrls(refused_networks=("93.184.215.1/24",))  # type: ignore[arg-type]  # has host bits set


class Network:
    """A fake Internet: names, and what their servers answer."""

    def __init__(self, names: Mapping[str, Sequence[str]], answer: Callable[[httpx.Request], httpx.Response]) -> None:
        self.names = names
        self.requests: list[httpx.Request] = []
        self.lookups: list[tuple[str, int]] = []
        self._answer = answer

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.lookups.append((host, port))
        if host not in self.names:
            raise OSError("no such host")
        return self.names[host]

    def fetcher(self, max_bytes: int = 10_000, **settings: object) -> ImageFetcher:
        def handle(request: httpx.Request) -> httpx.Response:
            self.requests.append(request)
            return self._answer(request)

        transport = httpx.MockTransport(handle)
        return ImageFetcher(ImageUrls(**settings), max_bytes, resolve=self.resolve, transport=transport)

    def fetch(self, url: str, **options: object) -> bytes:
        return asyncio.run(self.fetcher(**options).fetch(url))  # type: ignore[arg-type]


def picture(request: httpx.Request) -> httpx.Response:
    return response(200, PICTURE, "image/jpeg")


def response(status: int, content: bytes, kind: str | None = None, **headers: str) -> httpx.Response:
    """Unread, as it comes from a connection."""
    kinds = {"content-type": kind} if kind else {}
    return httpx.Response(status, stream=httpx.ByteStream(content), headers={**kinds, **headers})


def refused(network: Network, url: str, expected: type[FacegraphError], **options: object) -> FacegraphError:
    with pytest.raises(expected) as raised:
        network.fetch(url, **options)
    assert type(raised.value) is expected
    return raised.value


def test_the_connection_goes_to_the_address_that_was_checked() -> None:
    network = Network({"example.org": [PUBLIC]}, picture)
    assert network.fetch("https://example.org:8443/a.jpg?x=1#top") == PICTURE
    (request,) = network.requests
    assert str(request.url) == f"https://{PUBLIC}:8443/a.jpg?x=1"
    assert request.headers["host"] == "example.org:8443"
    assert request.extensions["sni_hostname"] == "example.org"
    assert network.lookups == [("example.org", 8443)]
    assert not {"cookie", "authorization", "referer"} & set(request.headers)


@pytest.mark.parametrize("address", REFUSED)
def test_names_that_lead_inside(address: str) -> None:
    network = Network({"example.org": [address]}, picture)
    refused(network, "http://example.org/a.jpg", ImageUrlRefused)
    refused(Network({"example.org": [PUBLIC, address]}, picture), "http://example.org/", ImageUrlRefused)
    assert network.requests == []


@pytest.mark.parametrize(
    "host",
    [
        *("127.0.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0177.0.0.1", "127.1", "017700000001", "0"),
        *("[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "localhost", "127.0.0.1.", "169.254.169.254"),
        *("0xa9fea9fe", "2852039166", "0251.0376.0251.0376", "[fe80::1]", "[64:ff9b::7f00:1]"),
    ],
)
def test_every_way_to_write_an_inner_address(host: str) -> None:
    """With the system's own resolver, which reads all of them."""
    network = Network({}, picture)
    network.resolve = resolve_host  # type: ignore[method-assign]
    fetcher = network.fetcher()
    with pytest.raises((ImageUrlRefused, ImageDownloadFailed)) as raised:
        asyncio.run(fetcher.fetch(f"http://{host}/a.jpg"))
    assert network.requests == []
    if not host.endswith("."):
        assert isinstance(raised.value, ImageUrlRefused), raised.value


@pytest.mark.parametrize(
    "url",
    [
        *("ftp://example.org/a", "file:///etc/passwd", "gopher://example.org", "//example.org/a", "example.org/a"),
        *("data:image/png;base64,eA==", "http:///a", "http://", "", "javascript:alert(1)", "http://[::1"),
        *("http://user@example.org/", "http://user:pass@example.org/", "https://example.org:99999/", "http://a\nb/"),
        "http://example.org/" + "x" * 2048,
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    network = Network({"example.org": [PUBLIC]}, picture)
    error = refused(network, url, ImageUrlRefused)
    assert ":pass@" not in error.message
    assert network.requests == []


def redirect(location: str, status: int = 302) -> Callable[[httpx.Request], httpx.Response]:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/a.jpg":
            return httpx.Response(status, headers={"location": location})
        return picture(request)

    return answer


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed_and_checked_again(status: int) -> None:
    names = {"example.org": [PUBLIC], "cdn.example.org": ["8.8.8.8"]}
    network = Network(names, redirect("https://cdn.example.org/b.jpg", status))
    assert network.fetch("http://example.org/a.jpg") == PICTURE
    assert [request.url.host for request in network.requests] == [PUBLIC, "8.8.8.8"]
    relative = Network(names, redirect("b.jpg", status))
    assert relative.fetch("http://example.org/a.jpg") == PICTURE
    assert relative.requests[1].headers["host"] == "example.org"


@pytest.mark.parametrize(
    "location",
    [
        *("http://inner/b", "http://169.254.169.254/latest/meta-data", "file:///etc/passwd", "//inner/b"),
        *("http://u:p@example.org/b", "http://[::1]/"),
    ],
)
def test_redirects_inside_are_refused(location: str) -> None:
    names = {"example.org": [PUBLIC], "inner": ["10.0.0.1"], "169.254.169.254": ["169.254.169.254"], "::1": ["::1"]}
    network = Network(names, redirect(location))
    refused(network, "http://example.org/a.jpg", ImageUrlRefused)
    assert len(network.requests) == 1


def test_a_name_that_changes_its_mind_is_checked_each_time() -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])

    class Rebinding(Network):
        async def resolve(self, host: str, port: int) -> Sequence[str]:
            return next(answers)

    network = Rebinding({}, redirect("http://example.org/b.jpg"))
    refused(network, "http://example.org/a.jpg", ImageUrlRefused)
    assert len(network.requests) == 1


def test_endless_redirects() -> None:
    network = Network({"example.org": [PUBLIC]}, redirect("http://example.org/a.jpg"))
    refused(network, "http://example.org/a.jpg", ImageDownloadFailed, max_redirects=2)
    assert len(network.requests) == 3


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (lambda: response(404, PICTURE), ImageDownloadFailed),
        (lambda: response(206, PICTURE), ImageDownloadFailed),
        (lambda: response(302, b""), ImageDownloadFailed),
        (lambda: response(200, PICTURE, "text/html; charset=utf-8"), ImageDownloadFailed),
        (lambda: response(200, PICTURE, "image/png", **{"content-encoding": "gzip"}), ImageDownloadFailed),
        (lambda: response(200, b"x" * 10_001), ImageTooLarge),
        (lambda: response(200, b"", **{"content-length": "10001"}), ImageTooLarge),
    ],
)
def test_answers_that_are_no_picture(made: Callable[[], httpx.Response], expected: type[FacegraphError]) -> None:
    refused(Network({"example.org": [PUBLIC]}, lambda request: made()), "http://example.org/", expected)


@pytest.mark.parametrize("kind", [None, "image/jpeg", "IMAGE/PNG", "application/octet-stream"])
def test_content_types_of_pictures(kind: str | None) -> None:
    network = Network({"example.org": [PUBLIC]}, lambda request: response(200, PICTURE, kind))
    assert network.fetch("http://example.org/") == PICTURE


class AsyncChunks(httpx.AsyncByteStream):
    def __init__(self, count: int, pause_s: float = 0.0) -> None:
        self.count, self.pause_s = count, pause_s
        self.sent = 0

    async def __aiter__(self):  # type: ignore[no-untyped-def]
        for _ in range(self.count):
            await asyncio.sleep(self.pause_s)
            self.sent += 1
            yield b"x" * 999


def test_reading_stops_at_the_limit() -> None:
    stream = AsyncChunks(1000)
    network = Network({"example.org": [PUBLIC]}, lambda request: httpx.Response(200, stream=stream))
    refused(network, "http://example.org/", ImageTooLarge)
    assert stream.sent == 11


def test_slow_servers_and_slow_names() -> None:
    slow = Network(
        {"example.org": [PUBLIC]}, lambda request: httpx.Response(200, stream=AsyncChunks(1000, pause_s=0.02))
    )
    refused(slow, "http://example.org/", ImageDownloadTimeout, timeout_s=0.1, max_bytes=10**9)

    class SlowNames(Network):
        async def resolve(self, host: str, port: int) -> Sequence[str]:
            await asyncio.sleep(10)
            return [PUBLIC]

    refused(SlowNames({}, picture), "http://example.org/", ImageDownloadTimeout, timeout_s=0.05)


def test_failures_of_the_network() -> None:
    def fail(request: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("[Errno 111] to 93.184.215.14")

    error = refused(Network({"example.org": [PUBLIC]}, fail), "http://example.org/", ImageDownloadFailed)
    assert PUBLIC not in error.message
    refused(Network({}, picture), "http://absent.example/", ImageDownloadFailed)
    refused(Network({"example.org": []}, picture), "http://example.org/", ImageDownloadFailed)


def test_the_next_address_is_tried() -> None:
    def only_second(request: httpx.Request) -> httpx.Response:
        if request.url.host == PUBLIC:
            raise httpx.ConnectError("refused")
        return picture(request)

    assert Network({"example.org": [PUBLIC, "8.8.8.8"]}, only_second).fetch("http://example.org/") == PICTURE


def test_switched_off() -> None:
    network = Network({"example.org": [PUBLIC]}, picture)
    error = refused(network, "http://example.org/", ImageUrlRefused, enabled=False)
    assert "image_urls.enabled" in error.message
    assert network.lookups == []


def test_through_the_api(world: World) -> None:
    network = Network({"example.org": [PUBLIC], "inner": ["10.0.0.1"]}, picture)
    world.context.by_url = network.fetcher()
    url = "https://example.org/ada.jpg"
    assert len(world.call("POST", "/v1/detect", json={"image_url": url}).json()["faces"]) == 1
    enrolled = world.call("PUT", "/v1/collections/staff/persons/ada", json={"image_url": [url, url]})
    assert len(enrolled.json()["faces"]) == 2
    form = world.call("POST", "/v1/search", files={"image_url": (None, url), "collections": (None, "staff")})
    assert form.json()["faces"][0]["matches"][0]["person"]["id"] == "ada"
    answer = world.call("PUT", "/v1/collections/staff/persons/bob", json={"image_url": [url, "http://inner/"]})
    assert code(answer) == (400, "image_url_refused")
    assert answer.json()["error"]["details"]["image"] == 1
    assert code(world.call("POST", "/v1/detect", json={"image_url": "http://no/"})) == (400, "image_download_failed")


def test_over_a_real_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the transport of the service, against a server on this machine, which only this test lets pass."""
    monkeypatch.setattr("serve_app.api.image_url.is_allowed", lambda address, refused: True)
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nSet-Cookie: a=b\r\n")
        writer.write(b"Content-Length: %d\r\n\r\n" % len(PICTURE) + PICTURE)
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    async def resolve(host: str, port: int) -> Sequence[str]:
        return ["127.0.0.1"]

    async def fetch_twice() -> list[bytes]:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        fetcher = ImageFetcher(ImageUrls(), 10_000, resolve=resolve)
        async with server:
            return [await fetcher.fetch(f"http://example.org:{port}/a.jpg") for _ in range(2)]

    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    assert asyncio.run(fetch_twice()) == [PICTURE, PICTURE]
    assert len(heads) == 2
    for head in heads:
        assert b"\r\nhost: example.org:" in head.lower()
        assert b"cookie" not in head.lower()


def test_only_allowed_hosts_are_asked() -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.headers["host"] == "redirects.example.org":
            return response(302, b"", location="https://elsewhere.org/a.jpg")
        return picture(request)

    good = ("photos.net", "photos.net.", "a.example.org", "a.b.example.org", "redirects.example.org")
    bad = ("evil.net", "photos.net.evil.net", "evilphotos.net", "example.org.evil.net", "elsewhere.org")
    network = Network({name: [PUBLIC] for name in (*good, *bad)}, answer)
    allowed = {"allowed_hosts": ("photos.net", ".example.org")}
    for host in (*good[:4], "PHOTOS.net"):
        assert network.fetch(f"https://{host}/a.jpg", **allowed) == PICTURE
    network.lookups.clear()
    for host in (*bad, PUBLIC):
        assert "allowed_hosts" in refused(network, f"https://{host}/a.jpg", ImageUrlRefused, **allowed).message
    assert network.lookups == []
    assert "elsewhere" in refused(network, "https://redirects.example.org/", ImageUrlRefused, **allowed).message
