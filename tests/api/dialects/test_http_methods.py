"""HEAD, OPTIONS and Allow agree with what each path does, and no path answers with a redirect."""

from __future__ import annotations

import re

import httpx2 as httpx
import pytest

from tests.api.conftest import World, code

METHODS = ("GET", "PUT", "POST", "PATCH", "DELETE")


def documented(world: World) -> dict[str, set[str]]:
    """Path -> its methods; parameters of paths are filled with a name."""
    document = world.client.get("/openapi.json").json()["paths"]
    return {
        re.sub(r"{\w+}", "staff", path): {method.upper() for method in operations if method.upper() in METHODS}
        for path, operations in document.items()
    }


def test_each_path_allows_what_is_documented(world: World) -> None:
    paths = documented(world)
    assert len(paths) > 80
    for path, methods in paths.items():
        also = {"OPTIONS"} | ({"HEAD"} if "GET" in methods else set())
        answer = world.call("OPTIONS", path)
        assert answer.status_code == 204, path
        if not path.startswith("/facepp"):  # these answer browsers
            allowed = set(answer.headers["allow"].split(", "))
            others = {
                method
                for other, each in paths.items()
                for method in each
                if re.fullmatch(other.replace("staff", "[^/]+"), path)
            }
            assert methods | also <= allowed <= others | {"HEAD", "OPTIONS"}, path
        answer = world.call("TRACE", path)
        assert (answer.status_code, methods | also <= set(answer.headers["allow"].split(", "))) == (405, True), path


def test_head_is_get_without_the_body(world: World) -> None:
    for path, methods in documented(world).items():
        if "GET" in methods:
            got, head = world.call("GET", path), world.call("HEAD", path)
            assert (head.status_code, head.content) == (got.status_code, b""), path
            assert head.headers["content-type"] == got.headers["content-type"]
            assert abs(int(head.headers["content-length"]) - int(got.headers["content-length"])) < 10, path


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/", "/docs", "/openapi.json", "/console/app.js"])
def test_head_of_what_needs_no_key(world: World, path: str) -> None:
    answer = world.client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_methods_that_do_not_exist(world: World) -> None:
    for path, allowed in {
        "/v1/search": "OPTIONS, POST",
        "/healthz": "GET, HEAD, OPTIONS",
        "/console/app.js": "GET, HEAD, OPTIONS",
        "/v1/collections/staff": "DELETE, GET, HEAD, OPTIONS, PATCH",
        "/v1/collections/staff/persons/ada": "DELETE, GET, HEAD, OPTIONS, PUT",
    }.items():
        answer = world.call("TRACE", path)
        assert code(answer) == (405, "method_not_allowed")
        assert answer.headers["allow"] == allowed
        assert allowed in answer.json()["error"]["message"]
    assert world.call("HEAD", "/v1/search").status_code == 405
    assert code(world.call("OPTIONS", "/v1/nothing")) == (404, "route_not_found")


def test_a_slash_too_many_at_either_end_changes_nothing(world: World) -> None:
    headers = {**world.admin, "X-Forwarded-Prefix": "/face", "X-Forwarded-Host": "example.org"}
    for path, methods in documented(world).items():
        for method in methods:
            for variant in (f"{path}/", f"/{path}"):
                answer = world.call(method, f"http://testserver{variant}", headers, follow_redirects=False)
                assert not answer.is_redirect, variant
                assert "does not exist; /docs" not in answer.text, variant
            if method == "GET":
                assert answer.status_code == world.call("GET", path).status_code


def test_paths_that_end_in_a_slash_and_are_nothing(world: World) -> None:
    for path in ("/console", "/console/", "/v1/", "/v1", "/nothing/", "/docs/assets/"):
        answer = world.call("GET", path, follow_redirects=False)
        assert (answer.status_code, answer.headers.get("location")) == (404, None), path


def test_the_documentation_works_with_a_slash_at_its_end(world: World) -> None:
    page = world.call("GET", "/docs/").text
    names = re.findall(r'"([^"]*openapi\.json|[^"]*\.js|[^"]*\.css)"', page.replace("'", '"'))
    links = [httpx.URL("http://x/docs/").join(name) for name in names]
    assert len(links) == 3
    for link in links:
        assert world.call("GET", link.path).status_code == 200, link


def test_an_id_that_ends_in_a_slash_keeps_it(world: World) -> None:
    world.call("PUT", "/v1/collections/staff/persons/a%2F", json={"name": "With a slash"})
    assert world.call("GET", "/v1/collections/staff/persons/a%2F/").json()["id"] == "a/"
    assert world.call("GET", "/v1/collections/staff/persons/a").status_code == 404
