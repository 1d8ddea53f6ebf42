"""What every benchmark records: the machine, the versions, the settings, the figures; as JSON beside its plots."""

from __future__ import annotations

import datetime as dt
import json
import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from serve_app.processors import cpu_count

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "benchmarks" / "results"
"""Committed: the runs that the documentation quotes."""
LOCAL = REFERENCE / "local"
"""Ignored by git: everybody's own runs."""

PACKAGES = ("ray", "fastapi", "onnxruntime-gpu", "onnxruntime", "numpy", "opencv-python-headless", "pymilvus")
PACKAGES_OF_STORES = ("milvus-lite", "sqlalchemy")


class Report:
    """One run of one benchmark.

    Args:
        name: of the benchmark; also the files' name.
        settings: what it was run with.
        reference: write to the committed results instead of the local ones.
    """

    def __init__(self, name: str, settings: dict[str, Any], *, reference: bool) -> None:
        self.name = name
        self.folder = REFERENCE if reference else LOCAL
        self._content: dict[str, Any] = {
            "benchmark": name,
            "started": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "revision": revision(),
            "machine": machine(),
            "load_average_before": [round(value, 2) for value in os.getloadavg()],
            "versions": versions(),
            "settings": settings,
        }

    def write(self, figures: dict[str, Any]) -> Path:
        """The JSON file; figures of an earlier run are replaced."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"{self.name}.json"
        content = {**self._content, "load_average_after": [round(value, 2) for value in os.getloadavg()], **figures}
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
        return path

    def plot_path(self, suffix: str = "") -> Path:
        """Where a plot goes."""
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.folder / f"{self.name}{suffix}.svg"


def machine() -> dict[str, Any]:
    """The processor, its cores as this process sees them, memory, system; what keeps numpy from its best kernels."""
    return {
        **{name.lower(): value for name, value in sorted(os.environ.items()) if name.startswith("OPENBLAS_")},
        "cpu": _cpu_model(),
        "cores": cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.release()}",
        "distribution": _distribution(),
        "python": platform.python_version(),
    }


def versions() -> dict[str, str]:
    """Of what the figures depend on, as far as it is installed."""
    found = {}
    for package in (*PACKAGES, *PACKAGES_OF_STORES):
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def revision() -> str:
    """The commit, with a plus sign if files differ from it; empty outside a checkout."""
    try:
        commit = _git("rev-parse", "--short=12", "HEAD")
        return commit + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return ""


def overrides() -> dict[str, str]:
    """Settings that the environment changes, without secrets and places."""
    hidden = ("API_KEY", "TOKEN", "URL", "URI", "DIR", "PORT", "HOST", "FACEGRAPH_VERBOSE")
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if name.startswith(("FACEGRAPH_", "RAY_SERVE_")) and not any(word in name for word in hidden)
    }


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    return done.stdout.strip()


def _cpu_model() -> str:
    info = Path("/proc/cpuinfo")
    fields: dict[str, str] = {}
    if info.is_file():
        for line in info.read_text(encoding="utf-8").split("\n\n")[0].splitlines():
            name, _, value = line.partition(":")
            fields[name.strip()] = value.strip()
    name = fields.get("model name") or platform.processor() or platform.machine()
    # Virtual machines often hide the name; the numbers still tell the generation.
    numbers = [f"{word} {fields[key]}" for word, key in (("family", "cpu family"), ("model", "model")) if key in fields]
    vectors = [flag for flag in ("avx2", "avx512f", "amx_tile") if flag in fields.get("flags", "").split()]
    return f"{name} ({', '.join([*numbers, *vectors])})" if numbers or vectors else name


def _distribution() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        return ""
