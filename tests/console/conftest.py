"""The console in a real headless Chromium, over the whole service in this process; screenshots are artefacts."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, expect, sync_playwright

from serve_app.client import Client
from serve_app.vision.image import encode_jpeg
from tests import photos
from tests.graph.inprocess import InProcessService

ARTEFACTS = photos.ROOT / "tests" / "artefacts" / "console"
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
PATIENCE_MS = 180_000
DESKTOP, PHONE = {"width": 1280, "height": 860}, {"width": 390, "height": 844}
expect.set_options(timeout=PATIENCE_MS)


def chromium() -> str:
    """The installed browser; skips without one."""
    for name in CHROMIUM:
        if path := shutil.which(name):
            return path
    pytest.skip(f"none of {', '.join(CHROMIUM)} is installed")


def camera_film(path: Path) -> Path:
    """What Chromium's stand-in for a camera shows: the astronaut, as motion JPEG of 4:3."""
    pixels = photos.decode(photos.astronaut())
    wide = np.pad(pixels, ((0, 0), (85, 85), (0, 0)), mode="edge")
    path.write_bytes(encode_jpeg(wide))
    return path


@pytest.fixture(scope="package")
def driver() -> Iterator[Playwright]:
    """Drives browsers. Of these tests alone: while it lives the thread counts as inside an event loop, which the tests
    of other folders could then not start.
    """
    chromium()
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="package")
def browser(driver: Playwright, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """One browser for all tests, with a camera that always sees the astronaut."""
    film = camera_film(tmp_path_factory.mktemp("camera") / "film.mjpeg")
    arguments = [
        "--no-sandbox",  # tests run as root in CI
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-video-capture={film}",
    ]
    started = driver.chromium.launch(executable_path=chromium(), args=arguments)
    yield started
    started.close()


@pytest.fixture(scope="package")
def console_service(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[InProcessService]:
    """The service behind the console; asked for after the browser, so that it is not started in vain."""
    local = InProcessService(tmp_path_factory.mktemp("console") / "data").start()
    yield local
    local.stop()


@pytest.fixture
def gallery(console_service: InProcessService) -> Iterator[Client]:
    """A client of the service; every collection is deleted afterwards."""
    with Client(console_service.url, console_service.key or "") as client:
        yield client
        for collection in client.collections()["collections"]:
            client.delete_collection(collection["name"])


class Console:
    """One tab of the console, and everything it complained of."""

    def __init__(self, page: Page, service: InProcessService) -> None:
        self.page, self.service = page, service
        self.complaints: list[str] = []
        self.hosts: set[str] = set()
        page.on("console", self._heard)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.hosts.add(re.sub(r"^(\w+://[^/]*|\w+:).*", r"\1", request.url)))

    def _heard(self, message: ConsoleMessage) -> None:
        # A refused request is shown to people; that the browser also logs it is no fault of the page.
        if message.type in {"error", "warning"} and "Failed to load resource" not in message.text:
            self.complaints.append(message.text)

    def open(self, view: str = "search", key: str | None = None) -> Console:
        """Sign in and show a view; it is there when this returns."""
        self.page.goto(f"{self.service.url}/#/{view}")
        self.page.get_by_label("API key").fill(key or self.service.key or "")
        self.page.keyboard.press("Enter")
        self.page.locator(".view > *").first.wait_for(state="attached")
        return self

    def give(self, *files: tuple[str, bytes] | Path, nth: int = 0) -> None:
        """Choose files, or a folder, in the view's file input number ``nth``."""
        chosen = [
            str(file) if isinstance(file, Path) else {"name": file[0], "mimeType": "image/jpeg", "buffer": file[1]}
            for file in files
        ]
        self.page.locator("main input[type=file]").nth(nth).set_input_files(chosen)  # type: ignore[arg-type]

    def drop(self, onto: str, *paths: Path) -> None:
        """Drag files and folders of the disk from outside onto an element, as a file manager does."""
        place = self.page.locator(onto).bounding_box()
        assert place is not None
        x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
        data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
        devtools = self.page.context.new_cdp_session(self.page)
        for kind in ("dragEnter", "dragOver", "drop"):
            devtools.send("Input.dispatchDragEvent", {"type": kind, "x": x, "y": y, "data": data})
        devtools.detach()

    def shot(self, name: str) -> None:
        """Keep a picture of the page."""
        ARTEFACTS.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(150)
        self.page.screenshot(path=ARTEFACTS / f"{name}.png")


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A fresh profile at desktop width."""
    opened = browser.new_context(viewport=DESKTOP, permissions=["camera"])  # type: ignore[arg-type]
    opened.set_default_timeout(PATIENCE_MS)
    yield opened
    opened.close()


@pytest.fixture
def console(context: BrowserContext, console_service: InProcessService) -> Iterator[Console]:
    """A tab that must not complain and must not speak with anybody but the service."""
    tab = Console(context.new_page(), console_service)
    yield tab
    assert tab.complaints == []
    assert tab.hosts <= {console_service.url, "blob:", f"blob:{console_service.url}"}
