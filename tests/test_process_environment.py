"""The environment of every process: nothing reports, local calls go to no proxy, variables that break are removed."""

from __future__ import annotations

import http.server
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from serve_app.process_environment import (
    BREAKING,
    LOCAL_ADDRESSES,
    NODE_ENVIRONMENT,
    OTHER_RAY,
    QUIET,
    keep_local_calls_local,
    keep_quiet,
    prepare_own_ray,
)
from tests.cli.conftest import facegraph

ROOT = Path(__file__).resolve().parents[1]
LOCAL = ",".join(LOCAL_ADDRESSES)
NO_PROXY_HERE = "http://127.0.0.1:9"
"""A proxy on a closed port: whoever asks it fails."""


def clean(home: Path, **more: str) -> dict[str, str]:
    """The environment of a user who has set nothing but these."""
    return {"HOME": str(home), "PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **more}


@pytest.mark.parametrize(
    "code",
    [
        "import serve_app.vision.onnx_session",
        "import benchmarks.common.pipeline",
        "import benchmarks.components.stages",
        "import tests.vision.graphs",
        "from serve_app.domain import Box; import onnxruntime",
    ],
)
def test_onnxruntime_keeps_no_telemetry(code: str, tmp_path: Path) -> None:
    """With its telemetry on, it makes an id of the device and a queue of reports in the home folder."""
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; assert 'onnxruntime' in sys.modules"],
        env=clean(tmp_path),
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [path for path in tmp_path.rglob("*") if "onnxruntime" in path.name] == []


def test_reports_are_off_whatever_the_environment_says() -> None:
    environment = {"RAY_USAGE_STATS_ENABLED": "1", "ORT_DISABLE_TELEMETRY": "0"}
    keep_quiet(environment)
    assert environment == QUIET


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, {}),
        ({"http_proxy": ""}, {"http_proxy": ""}),
        ({"http_proxy": "http://p"}, {"no_proxy": LOCAL, "NO_PROXY": LOCAL}),
        ({"ALL_PROXY": "http://p"}, {"no_proxy": LOCAL, "NO_PROXY": LOCAL}),
        (
            {"https_proxy": "http://p", "NO_PROXY": "corp.example, localhost"},
            dict.fromkeys(("no_proxy", "NO_PROXY"), f"corp.example,localhost,{LOCAL.replace('localhost,', '')}"),
        ),
        (
            {"http_proxy": "http://p", "no_proxy": "a.example", "NO_PROXY": "b.example"},
            dict.fromkeys(("no_proxy", "NO_PROXY"), f"a.example,b.example,{LOCAL}"),
        ),
        ({"http_proxy": "http://p", "NO_PROXY": "*"}, {"no_proxy": "*", "NO_PROXY": "*"}),
        (
            {"grpc_proxy": "http://p", "no_grpc_proxy": "c.example"},
            dict.fromkeys(("no_proxy", "NO_PROXY", "no_grpc_proxy"), f"c.example,{LOCAL}"),
        ),
    ],
)
def test_lists_of_what_no_proxy_is_asked_for_are_completed(given: dict[str, str], wanted: dict[str, str]) -> None:
    environment = dict(given)
    keep_local_calls_local(environment)
    assert environment == {**given, **wanted}
    keep_local_calls_local(environment)
    assert environment == {**given, **wanted}


@pytest.fixture(scope="module")
def local_server() -> Iterator[int]:
    """The port of a server on all loopback addresses of IPv4."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize(
    "call",
    [
        "import httpx; httpx.head(url).raise_for_status()",
        "import requests; requests.head(url).raise_for_status()",
        "import urllib.request; urllib.request.urlopen(url).read()",
    ],
)
def test_clients_ask_no_proxy_for_what_is_local(host: str, call: str, local_server: int, tmp_path: Path) -> None:
    code = f"import serve_app; url = 'http://{host}:{local_server}/'; {call}"
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "ALL_PROXY"), NO_PROXY_HERE)
    environment = clean(tmp_path, no_proxy="corp.example", **proxies)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_embedded_index_is_opened_behind_a_proxy(tmp_path: Path) -> None:
    """milvus-lite is a gRPC server on a port of this machine."""
    code = (
        "from serve_app.settings import load_settings; from serve_app.gallery import open_gallery; "
        "from serve_app.vision.catalogue import Catalogue; "
        "open_gallery(load_settings({}), Catalogue.load().calibrations()).close()"
    )
    environment = clean(tmp_path, http_proxy=NO_PROXY_HERE, FACEGRAPH_DATA_DIR=str(tmp_path / "data"))
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr


def test_an_own_ray_takes_no_address_from_the_environment() -> None:
    given = dict.fromkeys(OTHER_RAY, "127.0.0.1:1")
    environment = {**given, "RAY_worker_niceness": "5"}
    prepare_own_ray(environment)
    assert not environment.keys() & set(OTHER_RAY)
    assert environment["RAY_worker_niceness"] == "5"
    assert environment.keys() >= NODE_ENVIRONMENT.keys()


@pytest.mark.parametrize("variable", BREAKING)
def test_commands_work_with_variables_of_python(variable: str, tmp_path: Path) -> None:
    value = "error" if variable == "PYTHONWARNINGS" else "2"
    done = subprocess.run(
        [str(Path(sys.executable).parent / "facegraph"), "enroll", "--help"],
        env=clean(tmp_path, **{variable: value}),
        input="print('interactive')",
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0
    assert "Enrol many persons" in done.stdout  # a docstring
    assert "interactive" not in done.stdout


def test_make_takes_them_out_too() -> None:
    found = re.search(r"^unexport (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found is not None
    assert tuple(found[1].split()) == BREAKING


def test_the_command_prints_the_variables_of_a_node(tmp_path: Path) -> None:
    printed = facegraph("environment").stdout
    done = subprocess.run(
        ["sh", "-c", f"{printed}\nenv"], env=clean(tmp_path), capture_output=True, text=True, timeout=60, check=True
    )
    variables = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    assert variables.items() >= (QUIET | NODE_ENVIRONMENT).items()
