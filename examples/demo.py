"""Demonstration without photographs of your own: starts the service, enrols two people, searches a group image.

    make demo

The photographs come with mainstream packages (photos.py). All data is stored in data/demo, separate from that of ``make
run``. FACEGRAPH_PORT and FACEGRAPH_DATA_DIR change port and folder, FACEGRAPH_API_KEY the key. It serves until Ctrl-C.
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
        print(f"A service is running at {url}: stop it, or set another port with FACEGRAPH_PORT.", file=sys.stderr)
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
    """Write the photographs; False if their packages could not be installed."""
    command = [BIN / "uv", "run", "--quiet", "--script", ROOT / "examples" / "photos.py", folder]
    if subprocess.run(command, stdout=subprocess.DEVNULL, check=False).returncode == 0:
        return True
    print("The photographs come with scikit-image and matplotlib, which could not be installed.", file=sys.stderr)
    return False


def wait_until_ready(client: Client, service: subprocess.Popen[bytes]) -> bool:
    """Whether the service became ready; False if it ended or took too long."""
    for _ in range(WITHIN_S):
        if client.wait_until_ready(1):
            return True
        if service.poll() is not None:
            return False
    service.send_signal(signal.SIGTERM)
    return False


def fill(client: Client, pictures: Path) -> tuple[str, Json]:
    """Enrol both people, and the group image in a separate collection.

    Returns:
        The id of the face by which the console finds the group image, and the answer of a search with the image.
    """
    for collection, title in ((PEOPLE, "Two pioneers"), (PROBES, "Images to search with")):
        try:
            client.create_collection(collection, title=title, policy={"image_storage": "full"})
        except ApiError as error:
            if error.code != "collection_exists":
                raise
    client.put_person(PEOPLE, "eileen", [pictures / "me1.jpg"], name="Eileen Collins")
    client.put_person(PEOPLE, "grace", [pictures / "grace.jpg"], name="Grace Hopper")
    group = pictures / "group.jpg"
    probe = client.put_person(PROBES, "group", [group], name="An image of both", faces="largest")
    return probe["faces"][0]["id"], client.search(group, [PEOPLE], faces="all")


def show(url: str, key: str, pictures: Path, face_id: str, answer: Json) -> None:
    """Print the matches and commands to try next, and open the console if there is a screen."""
    address = f"{url}/#/search/{face_id}/{PEOPLE}"
    found = [
        f"{match['person']['name']} ({match['score']:.2f})" for face in answer["faces"] for match in face["matches"]
    ]
    curl = f'curl -H "X-API-Key: $FACEGRAPH_API_KEY" {url}'
    print(
        f"""
Found on {pictures / "group.jpg"}:
  {", ".join(found)}
(The group image is made from the enrolled photographs: scores of photographs of different days are lower.)

The same in the console (sign in with the key {key}):
  {address}

The same by curl:
  export FACEGRAPH_API_KEY={key}
  {curl}/v1/search -F collections={PEOPLE} -F faces=all -F image=@{pictures / "group.jpg"}

List the enrolled people; enrol yourself; search for yourself:
  {curl}/v1/collections/{PEOPLE}/persons
  {curl}/v1/collections/{PEOPLE}/persons/me -X PUT -F name=Me -F image=@YOUR-IMAGE.jpg
  {curl}/v1/search -F collections={PEOPLE} -F image=@ANOTHER-IMAGE.jpg

It serves until Ctrl-C; 'rm -r {pictures.parent}' deletes its data.
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
