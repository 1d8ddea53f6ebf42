"""``facegraph info``: what the running service says of itself."""

from __future__ import annotations

from typing import Any

from rich.pretty import Pretty

from serve_app.cli.options import AsJson, Key, Url, connect
from serve_app.cli.output import print_json, stdout, table


def info(url: Url = "", key: Key = "", as_json: AsJson = False) -> None:
    """Versions, models, thresholds and limits of the running service."""
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
        shown.add_row(name, _readable(value))
    stdout.print(shown)


def _readable(value: Any) -> Any:
    if isinstance(value, dict) and all(not isinstance(item, dict | list) for item in value.values()):
        return "\n".join(f"{name}: {item}" for name, item in value.items())
    return Pretty(value) if isinstance(value, dict | list) else str(value)
