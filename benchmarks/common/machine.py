"""Facts that figures depend on: processor, memory, system, package versions, commit, settings from the environment."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

from serve_app.processors import cpu_count

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("ray", "fastapi", "onnxruntime-gpu", "onnxruntime", "numpy", "opencv-python-headless", "pymilvus")
PACKAGES_OF_STORES = ("milvus-lite", "sqlalchemy")


def machine() -> dict[str, Any]:
    """The processor, the cores that this process may use, memory, system; OpenBLAS variables, which can limit numpy."""
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
    """Versions of the installed packages among those that figures depend on."""
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
    """Environment variables that change settings, without secrets, addresses and paths."""
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
