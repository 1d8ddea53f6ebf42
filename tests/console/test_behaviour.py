"""Properties of every view: error states, phone width, colour schemes, keyboard, accessible names, security policy."""

from __future__ import annotations

import json
from collections.abc import Callable

import cv2
import pytest
from playwright.sync_api import Browser, Route, expect

from serve_app.client import Client
from tests import photos
from tests.console.conftest import PHONE, Console
from tests.graph.inprocess import InProcessService

pytestmark = pytest.mark.browser

VIEWS = ("search", "enrol", "people", "people/staff", "people/staff/eileen", "review", "unknowns", "compare", "status")

NAMELESS = """() => [...document.querySelectorAll("a, button, input, select, textarea, img, [role=img]")]
  .filter((node) => node.offsetParent !== null || node.classList.contains("unseen"))
  .filter((node) => !(node.labels?.length || node.getAttribute("aria-label") || node.hasAttribute("alt")
    || node.textContent.trim()))
  .map((node) => node.outerHTML)"""

NAME_OF_FOCUSED = "(document.activeElement.labels?.[0] ?? document.activeElement).textContent"

FOCUS_IS_SHOWN = """() => {
  const focused = document.activeElement;
  return [focused, focused.closest("label"), focused.nextElementSibling]
    .some((node) => node && getComputedStyle(node).outlineStyle === "solid");
}"""


@pytest.fixture
def staff(gallery: Client) -> Client:
    """A gallery with one person."""
    gallery.create_collection("staff")
    gallery.put_person("staff", "eileen", [photos.astronaut()], name="Eileen Collins")
    return gallery


def refusal(code: str, message: str) -> str:
    return json.dumps({"error": {"code": code, "message": message, "details": {}, "request_id": "r-1"}})


def test_a_search_says_how_a_face_is_turned_and_how_many_were_left_out(console: Console, staff: Client) -> None:
    page = console.open().page

    def with_more_faces(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "faces_left_out": 3})

    page.route("**/v1/search", with_more_faces)
    lying = cv2.rotate(photos.decode(photos.astronaut()), cv2.ROTATE_90_CLOCKWISE)
    console.give(("a.png", cv2.imencode(".png", lying[..., ::-1])[1].tobytes()))
    expect(page.locator(".match")).to_contain_text("Eileen Collins")
    expect(page.locator(".face header")).to_contain_text("turned by 90°")
    expect(page.get_by_role("heading", level=2)).to_have_text("1 face, 1 found; 3 more were left out")


def test_a_busy_service_is_asked_again(console: Console, staff: Client) -> None:
    page, answers = console.open().page, []

    def busy_once(route: Route) -> None:
        answers.append(route.request.method)
        if len(answers) == 1:
            body = refusal("overloaded", "Too much.")
            route.fulfill(status=429, headers={"Retry-After": "1"}, body=body)
        else:
            route.continue_()

    page.route("**/v1/search", busy_once)
    console.give(("a.jpg", photos.astronaut()))
    expect(page.locator(".match")).to_contain_text("Eileen Collins")
    assert answers == ["POST", "POST"]


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda route: route.abort(), "The service does not answer."),
        (
            lambda route: route.fulfill(status=500, body=refusal("internal_error", "It is in the log.")),
            "It is in the log. Request r-1.",
        ),
        (lambda route: route.fulfill(status=502, body="<h1>bad gateway</h1>"), "The service answered 502."),
    ],
)
def test_failures_are_said_in_words(
    console: Console, staff: Client, answer: Callable[[Route], None], words: str
) -> None:
    page = console.open().page
    page.route("**/v1/search", answer)
    console.give(("a.jpg", photos.astronaut()))
    expect(page.get_by_role("alert")).to_contain_text(words)
    console.shot("search-failed")


def test_pictures_that_do_not_serve(console: Console, staff: Client) -> None:
    page = console.open().page
    console.give(("coffee.jpg", photos.no_face()))
    expect(page.get_by_role("heading", name="No face on this image")).to_be_visible()
    console.give(("broken.jpg", b"not an image at all"))
    expect(page.get_by_role("alert")).to_contain_text("cannot be shown as an image")
    page.get_by_text("staff", exact=True).click()
    console.give(("a.jpg", photos.astronaut()))
    expect(page.get_by_role("alert")).to_contain_text("Choose at least one collection")


def test_an_unknown_person_or_collection(console: Console, gallery: Client) -> None:
    page = console.open("people/nowhere").page
    expect(page.get_by_role("alert")).to_contain_text("nowhere")
    page.goto(f"{console.service.url}/#/search")
    expect(page.get_by_role("heading", name="No collections yet")).to_be_visible()


def test_the_status_is_live(console: Console, staff: Client) -> None:
    page = console.open().page
    console.give(("a.jpg", photos.astronaut()))
    expect(page.locator(".match")).to_be_visible()
    page.get_by_role("link", name="Status").click()
    row = page.get_by_role("row", name="detector")
    expect(row).to_contain_text("Ready")
    expect(row).to_contain_text("ms")
    console.shot("status")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_view_fits_a_phone(
    browser: Browser, console_service: InProcessService, staff: Client, scheme: str
) -> None:
    context = browser.new_context(viewport=PHONE, color_scheme=scheme, has_touch=True)  # type: ignore[arg-type]
    console = Console(context.new_page(), console_service).open()
    console.give(("a.jpg", photos.group([photos.astronaut(), photos.grace_hopper()])))
    expect(console.page.locator(".match")).to_be_visible()
    for view in ("result", *VIEWS):
        if view != "result":
            console.page.goto(f"{console_service.url}/#/{view}")
            console.page.locator(".view > *").first.wait_for(state="attached")
        console.shot(f"phone-{scheme}-{view.replace('/', '-')}")
        assert console.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], view
        assert console.page.evaluate(NAMELESS) == [], view
    assert console.complaints == []
    context.close()


def test_the_keyboard_suffices(console: Console, staff: Client) -> None:
    page = console.open().page
    page.locator("#skip").focus()
    expect(page.locator("#skip")).to_be_in_viewport()
    page.keyboard.press("Enter")
    expect(page.locator("#main")).to_be_focused()
    reached: list[str] = []
    while page.keyboard.press("Tab") or page.evaluate("document.activeElement !== document.body"):
        reached.append(page.evaluate(NAME_OF_FOCUSED))
        assert page.evaluate(FOCUS_IS_SHOWN), reached
    assert any("staff" in text for text in reached)
    assert {"Options", "Choose an image", "Camera"} <= set(reached)
    page.get_by_role("link", name="People").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1)).to_be_focused()


def test_light_and_dark_can_be_chosen(console: Console) -> None:
    page = console.open().page
    before = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    page.get_by_role("button", name="Change between light and dark").click()
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != before
    page.reload()
    expect(page.locator("#bar nav")).to_be_visible()
    assert page.evaluate("getComputedStyle(document.documentElement).backgroundColor") != before


def test_nothing_but_the_consoles_own_code_runs(console: Console) -> None:
    page = console.open().page
    outcome = page.evaluate(
        """() => {
          const script = document.createElement("script");
          try { script.text = "document.title = 'owned'"; } catch (error) { return error.name; }
          document.body.append(script);
          return "ran";
        }"""
    )
    assert outcome == "TypeError"  # Trusted Types refuse it before the policy would
    assert page.title() != "owned"
    assert any("Trusted" in text for text in console.complaints)
    console.complaints.clear()
