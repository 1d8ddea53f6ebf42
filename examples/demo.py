"""Show the service at work without any photograph of your own: start it, enrol two people, search a group picture.

    make demo

The photographs come with mainstream packages (photos.py). Everything is kept in data/demo, apart from what ``make run``
keeps. FACEGRAPH_PORT and FACEGRAPH_DATA_DIR choose other places, FACEGRAPH_API_KEY another key. It serves until Ctrl-C.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import webbrowser
from pathlib import Path

from facegraph.client import ApiError, Client, Json

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PEOPLE, PROBES = "demo", "demo-pictures"
WITHIN_S = 180


def main() -> int:
    """Run the demonstration; the exit code."""
    data = Path(os.environ.get("FACEGRAPH_DATA_DIR") or ROOT / "data" / "demo").resolve()
    port = os.environ.get("FACEGRAPH_PORT") or "8000"
    key = os.environ.get("FACEGRAPH_API_KEY") or secrets.token_urlsafe(24)
    url = f"http://127.0.0.1:{port}"
    if Client(url).ready():
        print(
            f"Something serves at {url} already: stop it, or choose another port with FACEGRAPH_PORT.", file=sys.stderr
        )
        return 1
    pictures = data / "pictures"
    if not (pictures / "group.jpg").is_file() and not write_pictures(pictures):
        return 1
    environment = {**os.environ, "FACEGRAPH_DATA_DIR": str(data), "FACEGRAPH_PORT": port, "FACEGRAPH_API_KEY": key}
    service = subprocess.Popen([BIN / "facegraph", "serve"], env=environment)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: service.send_signal(signal.SIGTERM))
    with Client(url, key) as client:
        if wait_until_ready(client, service):
            try:
                show(url, key, pictures, *fill(client, pictures))
            except ApiError as error:
                print(f"The service refused: {error}", file=sys.stderr)
                service.send_signal(signal.SIGTERM)
    return service.wait()


def write_pictures(folder: Path) -> bool:
    """Write the photographs; whether that went well."""
    command = [BIN / "uv", "run", "--quiet", "--script", ROOT / "examples" / "photos.py", folder]
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0:
        return True
    print("The photographs come with scikit-image and matplotlib, which could not be installed.", file=sys.stderr)
    return False


def wait_until_ready(client: Client, service: subprocess.Popen[bytes]) -> bool:
    """False if the service ended, or does not get ready."""
    for _ in range(WITHIN_S):
        if client.wait_until_ready(1):
            return True
        if service.poll() is not None:
            return False
    service.send_signal(signal.SIGTERM)
    return False


def fill(client: Client, pictures: Path) -> tuple[str, Json]:
    """Enrol both people, and the group picture in a collection of its own.

    Returns:
        The face by which the console finds the group picture, and the answer of a search with it.
    """
    for collection, title in ((PEOPLE, "Two pioneers"), (PROBES, "Pictures to search with")):
        try:
            client.create_collection(collection, title=title, policy={"image_storage": "full"})
        except ApiError as error:
            if error.code != "collection_exists":
                raise
    client.put_person(PEOPLE, "eileen", [pictures / "me1.jpg"], name="Eileen Collins")
    client.put_person(PEOPLE, "grace", [pictures / "grace.jpg"], name="Grace Hopper")
    group = pictures / "group.jpg"
    probe = client.put_person(PROBES, "group", [group], name="A picture of both", faces="largest")
    return probe["faces"][0]["id"], client.search(group, [PEOPLE], faces="all")


def show(url: str, key: str, pictures: Path, face_id: str, answer: Json) -> None:
    """Print what was found and what to try next, and open the console where there is a screen."""
    address = f"{url}/#/search/{face_id}/{PEOPLE}"
    found = [
        f"{match['person']['name']} ({match['score']:.2f})" for face in answer["faces"] for match in face["matches"]
    ]
    curl = f'curl -H "X-API-Key: $FACEGRAPH_API_KEY" {url}'
    print(
        f"""
Found on {pictures / "group.jpg"}:
  {", ".join(found)}

The same in the console (sign in with the key {key}):
  {address}

The same by curl:
  export FACEGRAPH_API_KEY={key}
  {curl}/v1/search -F collections={PEOPLE} -F faces=all -F image=@{pictures / "group.jpg"}

Who is enrolled; enrol yourself; look for yourself:
  {curl}/v1/collections/{PEOPLE}/persons
  {curl}/v1/collections/{PEOPLE}/persons/me -X PUT -F name=Me -F image=@YOUR-PICTURE.jpg
  {curl}/v1/search -F collections={PEOPLE} -F image=@ANOTHER-PICTURE.jpg

It serves until Ctrl-C; 'rm -r {pictures.parent}' erases it.
""",
        flush=True,
    )
    if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        webbrowser.open(address)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # before the service was started
        sys.exit(130)
