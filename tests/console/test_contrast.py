"""Contrast by WCAG 2.2 (AA), from the colours that Chromium computed, in light and dark."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from serve_app.client import Client
from tests import photos
from tests.console.conftest import DESKTOP, Console
from tests.console.test_status import BUSY, answering
from tests.graph.inprocess import InProcessService

pytestmark = pytest.mark.browser

TEXT, PARTS = 4.5, 3.0
"""Least contrast of text (1.4.3; nothing here is large enough for less) and of what makes a control (1.4.11)."""

FAINT = """([leastOfText, leastOfParts]) => {
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  canvas.canvas.width = canvas.canvas.height = 1;

  // Any CSS colour, drawn: the browser knows all the ways to write one.
  function over(below, colour, opacity = 1) {
    canvas.globalAlpha = 1;
    canvas.fillStyle = `rgb(${below.join(" ")})`;
    canvas.fillRect(0, 0, 1, 1);
    canvas.globalAlpha = opacity;
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
  }
  function path(node) {
    const found = [];
    for (let at = node; at; at = at.parentElement) {
      found.unshift(at);
      // A dialog lies above the page; around it is the page's own colour.
      if (at.localName === "dialog") return [document.documentElement, ...found];
    }
    return found;
  }
  function ground(node) {
    return path(node).reduce((below, at) => over(below, getComputedStyle(at).backgroundColor), [255, 255, 255]);
  }
  function opacity(node) {
    return path(node).reduce((product, at) => product * Number(getComputedStyle(at).opacity), 1);
  }
  function luminance(colour) {
    const [red, green, blue] = colour.map((value) => value / 255)
      .map((value) => (value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  }
  function contrast(one, other) {
    const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
    return (light + 0.05) / (dark + 0.05);
  }

  const faint = [];
  let looked = 0;
  function look(node, what, colour, below, least) {
    looked += 1;
    const ratio = contrast(over(below, colour, opacity(node)), below);
    const kind = node.className.baseVal ?? node.className;
    if (ratio < least) faint.push(`${ratio.toFixed(2)} ${what} <${node.localName} class="${kind}">`);
  }
  const modal = [...document.querySelectorAll("dialog[open]")].at(-1);
  for (const node of (modal ?? document.body).querySelectorAll("*")) {
    if (!node.checkVisibility() || node.closest(":disabled, .unseen, label:has(:disabled), .skip")) continue;
    const style = getComputedStyle(node);
    const texts = [...node.childNodes].filter((child) => child.nodeType === Node.TEXT_NODE);
    const text = texts.map((child) => child.data.trim()).join(" ").trim();
    const onPicture = node.closest(".marks"); // its numbers have a ground of their own
    if (text && !onPicture) look(node, `"${text}"`, style.color, ground(node), leastOfText);
    if (node.matches("input:not([type=checkbox]), select, textarea")) {
      look(node, "value", style.color, ground(node), leastOfText);
      look(node, "border", style.borderTopColor, ground(node.parentElement), leastOfParts);
      const hint = getComputedStyle(node, "::placeholder").color;
      if (node.placeholder) look(node, "placeholder", hint, ground(node), leastOfText);
    }
    if (node.matches("svg.icon") && node.closest("button, .button, nav, .note")) {
      look(node, "icon", style.color, ground(node.parentElement), leastOfParts);
    }
  }
  return { looked, faint };
}"""


def faint(page: Page) -> list[str]:
    """What is too faint on the page, or in the dialog above it."""
    page.mouse.move(0, 0)
    page.wait_for_timeout(250)  # colours fade in
    found: dict[str, Any] = page.evaluate(FAINT, [TEXT, PARTS])
    assert found["looked"] >= 4
    return list(found["faint"])


def test_the_measure_finds_what_is_faint(console: Console) -> None:
    page = console.page
    page.goto(console.service.url)
    assert faint(page) == []
    page.evaluate("document.querySelector('h1').style.color = '#888'")  # 3.5 on white
    page.evaluate("document.querySelector('.hint').style.opacity = 0.6")
    page.evaluate("document.querySelector('input').style.borderColor = 'color-mix(in srgb, black 20%, white)'")
    assert [line.split(" ", 1)[1] for line in faint(page)] == [
        '"facegraph" <h1 class="">',
        '"Face search on your own machines" <p class="hint">',
        'border <input class="">',
    ]


@pytest.fixture
def everything(gallery: Client) -> Client:
    """Something to see in each view."""
    gallery.create_collection("guests")
    gallery.create_collection("staff", title="Head office", policy={"keep_unknown_h": 48})
    gallery.put_person("staff", "eileen", [photos.astronaut()], name="Eileen Collins")
    gallery.put_person("staff", "collins", [photos.variant(photos.astronaut())], name="E. Collins")
    gallery.search(photos.grace_hopper(), ["staff"], keep_unknown="staff")
    return gallery


def found(console: Console) -> None:
    group = photos.group([photos.variant(photos.astronaut()), photos.grace_hopper()])
    console.give(("group.jpg", group))
    expect(console.page.locator(".match").first).to_be_visible()


def refused(console: Console) -> None:
    console.give(("broken.jpg", b"no image"))
    expect(console.page.get_by_role("alert")).to_be_visible()


def enrolled(console: Console) -> None:
    console.give(("grace.jpg", photos.grace_hopper()), ("coffee.jpg", photos.no_face()))
    console.page.get_by_text("Options", exact=True).click()
    console.page.get_by_role("button", name="Enrol", exact=True).click()
    expect(console.page.locator(".note.warn")).to_be_visible()
    expect(console.page.locator(".reasons")).to_be_visible()


def duplicates(console: Console) -> None:
    console.page.get_by_role("button", name="Look for duplicates").click()
    expect(console.page.locator(".duplicate")).to_be_visible()


def compared(console: Console) -> None:
    for picture in (photos.astronaut(), photos.grace_hopper()):
        console.give(("a.jpg", picture))
        console.page.wait_for_timeout(300)
    expect(console.page.locator(".ruling")).to_be_visible()


def pressed(name: str) -> Callable[[Console], None]:
    """After a click that opens a dialog."""

    def press(console: Console) -> None:
        console.page.get_by_role("button", name=name, exact=True).click()
        expect(console.page.locator("dialog[open]")).to_be_visible()

    return press


def shown(console: Console) -> None:
    """As it is, once nothing is loaded any more; the status is asked for every two seconds."""
    console.page.wait_for_timeout(1000)


STATES: list[tuple[str, Callable[[Console], None]]] = [
    ("search", found),
    ("search", refused),
    ("enrol", enrolled),
    ("people", shown),
    ("people", pressed("Settings of staff")),
    ("people/staff", shown),
    ("people/guests", shown),
    ("people/staff/eileen", shown),
    ("people/staff/eileen", pressed("Delete")),
    ("people/staff/eileen", pressed("Merge with …")),
    ("review/staff", duplicates),
    ("unknowns/staff", shown),
    ("unknowns/staff", pressed("Name …")),
    ("unknowns/guests", shown),
    ("compare", shown),
    ("compare", compared),
    ("status", shown),
]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everything_can_be_read(
    browser: Browser, console_service: InProcessService, everything: Client, scheme: str
) -> None:
    context = browser.new_context(viewport=DESKTOP, color_scheme=scheme)  # type: ignore[arg-type]
    console = Console(context.new_page(), console_service)
    page = console.page
    answering(page, [BUSY])
    page.goto(console_service.url)
    page.get_by_label("API key").fill("schlüssel")
    page.keyboard.press("Enter")
    expect(page.get_by_role("alert")).to_be_visible()
    too_faint = {"sign in": faint(page)}
    console.open()
    for number, (view, make) in enumerate(STATES):
        page.goto(f"{console_service.url}/?{number}#/{view}")  # anew, so that nothing is left open
        page.locator(".view > *").first.wait_for(state="attached")
        make(console)
        too_faint[f"{number}: {view}"] = faint(page)
    assert {where: lines for where, lines in too_faint.items() if lines} == {}
    context.close()
