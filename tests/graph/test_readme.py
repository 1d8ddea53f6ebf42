"""The README's first search, with the commands as written there."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from examples import photos as samples
from serve_app.client import Client
from tests.graph.inprocess import InProcessService
from tests.graph.service import RunningService
from tests.photos import ROOT

pytestmark = pytest.mark.graph


def test_the_first_search_finds_the_person(running: RunningService | InProcessService, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    key = running.key or ""
    (script,) = (
        text for text in re.findall(r"```sh\n(.*?)```", (ROOT / "README.md").read_text(), re.S) if "curl" in text
    )
    for written, here in (
        ("127.0.0.1:8000", running.url.removeprefix("http://")),
        ("change-me-0123456789abcdef", key),
        ("curl ", "curl --silent --show-error --fail --write-out '\\n' "),
    ):
        assert written in script
        script = script.replace(written, here)
    samples.main(tmp_path)  # `examples/photos.py`, which the README names for readers without photographs
    try:
        done = subprocess.run(
            ["bash", "-ec", script], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        answer = json.loads(done.stdout.splitlines()[-1])
        assert answer["faces"][0]["matches"][0]["person"]["id"] == "me"
    finally:
        with Client(running.url, key) as client:
            client.delete_collection("friends")
