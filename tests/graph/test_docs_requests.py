"""The curl commands of docs/api.md and docs/privacy.md, run one after the other as they are written.

Each block gets a tenant of its own, in which there is what the commands take for granted.
"""

from __future__ import annotations

import base64
import io
import json
import re
import shutil
import subprocess
import zipfile
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from tests import photos
from tests.graph.inprocess import InProcessService
from tests.graph.service import RunningService, key_of_tenant
from tests.photos import ROOT

pytestmark = pytest.mark.graph

Service = RunningService | InProcessService


class Block(NamedTuple):
    """A block of commands under a heading."""

    page: str
    heading: str
    script: str


def blocks() -> list[Block]:
    """Those with curl, with the lines that end in a backslash put together."""
    found = []
    for page in ("api", "privacy"):
        heading = ""
        for line, script in re.findall(
            r"^#+ ([^\n]*)$|^```sh\n(.*?)^```", (ROOT / f"docs/{page}.md").read_text(), re.MULTILINE | re.DOTALL
        ):
            heading = line or heading
            if "curl" in script:
                found.append(Block(page, heading, script.replace("\\\n", " ")))
    return found


class Place:
    """A tenant with two collections, three persons and pictures in a folder."""

    def __init__(self, service: Service, tenant: str, folder: Path) -> None:
        self.url, self.key, self.folder = service.url, key_of_tenant(service.data_dir, tenant), folder
        self.api = httpx.Client(base_url=service.url, headers={"X-API-Key": self.key}, timeout=60, trust_env=False)
        eileen, grace = photos.astronaut(), photos.grace_hopper()
        for name, picture in {
            **dict.fromkeys(("ada1", "a", "selfie"), eileen),
            **dict.fromkeys(("ada2", "ada3", "b", "who"), photos.variant(eileen)),
            "group": photos.group([eileen, grace]),
        }.items():
            (folder / f"{name}.jpg").write_bytes(picture)
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("hopper/1.jpg", grace)
        (folder / "people.zip").write_bytes(packed.getvalue())
        line = {"person": "hopper", "image_base64": [base64.b64encode(grace).decode()]}
        (folder / "people.jsonl").write_text(json.dumps(line) + "\n")

    def fill(self, block: Block) -> None:
        """What the block's commands take for granted."""
        if '-d \'{"name": "staff"' in block.script:
            return
        for collection in ("staff", "visitors"):
            self.api.post("/v1/collections", json={"name": collection}).raise_for_status()
        if "unknowns" in block.script:
            return  # everybody is one
        for person, picture in (("ada", "ada1"), ("ada-king", "ada2"), ("eve", "group"), ("gone", "ada1")):
            files = {"image": (self.folder / f"{picture}.jpg").read_bytes()}
            fields = {"faces": "largest"}
            path = f"/v1/collections/staff/persons/{person}"
            self.api.put(path, files=files, data=fields).raise_for_status()
        erased = self.api.delete("/v1/persons/gone").raise_for_status().json()
        (self.folder / "receipt.json").write_text(json.dumps(erased["receipt"]))

    def known(self, word: str) -> str:
        """What stands for a word in capitals now."""
        if word in ("ID", "OTHER_ID"):
            unknowns = self._unknowns()
            return str(unknowns[word == "OTHER_ID"]["id"])
        if word == "FACE_ID":
            person = self.api.get("/v1/collections/staff/persons/ada")
            faces = person.json()["faces"] if person.is_success else self._unknowns()[0]["faces"]
            return str(faces[0]["id"])
        if word == "TASK_ID":
            return str(self.api.get("/v1/tasks").json()["tasks"][0]["id"])
        assert word == "KEY_ID", word
        return str(next(key["id"] for key in self.api.get("/v1/keys").json()["keys"] if key["name"] == "door camera"))

    def _unknowns(self) -> list[dict[str, Any]]:
        listing = "/v1/collections/staff/unknowns"
        if len(self.api.get(listing).json()["unknowns"]) < 2:
            self.api.delete("/v1/persons/ada")  # one of them was named
            for picture in (photos.astronaut(), photos.grace_hopper()):
                asked = {"collections": "staff", "keep_unknown": "staff"}
                self.api.post("/v1/search", files={"image": picture}, data=asked).raise_for_status()
        return list(self.api.get(listing).json()["unknowns"])

    def run(self, line: str) -> str:
        """Run a command, and show what the service said if it refused."""
        line = re.sub(r"(?<![A-Z_$])(FACE_ID|TASK_ID|KEY_ID|OTHER_ID|ID)\b", lambda found: self.known(found[1]), line)
        line = line.replace("curl ", "curl --silent --show-error --fail-with-body --max-time 60 ")
        variables = f'FACEGRAPH_URL={self.url}; auth="X-API-Key: {self.key}"; '
        if "$NOTED" in line:
            variables += f"NOTED={self.api.get('/v1/audit/check').json()['head']}; "
        done = subprocess.run(
            ["bash", "-ec", variables + line], cwd=self.folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
        return done.stdout


@pytest.mark.parametrize("number", range(len(blocks())), ids=[f"{page}: {heading}" for page, heading, _ in blocks()])
def test_commands_are_accepted(running: Service, number: int, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        pytest.skip("curl is not installed")
    block = blocks()[number]
    place = Place(running, f"docs-{number}", tmp_path)
    with place.api:
        place.fill(block)
        for line in block.script.splitlines():
            if line.strip():
                place.run(line)
