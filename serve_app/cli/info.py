"""``facegraph info``: show facts about the running service."""

from __future__ import annotations

from typing import Any

import yaml
from rich.text import Text

from serve_app.cli.options import AsJson, Key, Url, connect
from serve_app.cli.output import print_json, stdout, table


def info(url: Url = "", key: Key = "", as_json: AsJson = False) -> None:
    """Show versions, models, thresholds and limits of the running service."""
    with connect(url, key) as client:
        facts = client.info()
        facts["url"] = client.url
        facts["ready"] = client.ready()
    if as_json:
        print_json(facts)
        return
    shown = table("", "", "")
    shown.show_header = False
    for name, value in facts.items():
        shown.add_row(name, Text(_readable(value)))
    stdout.print(shown)


def _readable(value: Any) -> str:
    if not isinstance(value, dict | list):
        return str(value)
    return yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=200).rstrip()
