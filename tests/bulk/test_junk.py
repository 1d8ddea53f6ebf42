"""The command and the console read the same endings and ignore the same junk."""

from __future__ import annotations

import json
import re

from serve_app.api.console_files import FILES
from serve_app.bulk.junk import JUNK
from serve_app.bulk.sources import PICTURES


def test_the_console_reads_and_ignores_the_same_files_as_the_command() -> None:
    script = (FILES / "lib" / "pictures.js").read_text()
    (endings,) = re.findall(r"const PICTURE = /\\\.\((.*)\)\$/i", script)
    assert {f".{ending}" for ending in endings.split("|")} == PICTURES
    (names,) = re.findall(r"const JUNK = new Set\(\[(.*?)\]\)", script, re.DOTALL)
    assert {json.loads(name) for name in re.findall(r'"[^"]*"', names)} == JUNK
