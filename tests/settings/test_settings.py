"""Settings come from the file and the environment; invalid ones are refused with a clear message."""

from __future__ import annotations

from pathlib import Path

import pytest

from serve_app.errors import ConfigurationError
from serve_app.resources import resource_dir
from serve_app.settings import Topology, load_settings
from serve_app.settings.serve_file import read_serve_file


@pytest.mark.parametrize("name", ["local", "gpu", "cluster"])
def test_shipped_configurations_are_valid(name: str) -> None:
    file = read_serve_file(resource_dir("configs") / f"{name}.yaml")
    assert file.settings.limits.max_image_bytes > 0
    assert "http_options" in file.serve


def test_local_listens_on_loopback() -> None:
    assert read_serve_file(resource_dir("configs") / "local.yaml").serve["http_options"]["host"] == "127.0.0.1"


def test_the_environment_beats_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("FACEGRAPH_EMBEDDER__MAX_BATCH", "3")
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", str(tmp_path))
    settings = load_settings({"embedder": {"max_batch": 5, "max_queue": 7}, "topology": "distributed"})
    assert settings.embedder.max_batch == 3
    assert settings.embedder.max_queue == 7
    assert settings.topology is Topology.DISTRIBUTED
    assert settings.database_url == f"sqlite:///{tmp_path}/records.db"
    assert settings.milvus_uri == str(tmp_path / "index.db")


def test_the_admin_key_goes_to_no_deployment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEGRAPH_API_KEY", "a-secret-of-some-length")
    settings = load_settings()
    assert settings.api_key is not None
    assert "a-secret-of-some-length" not in repr(settings)
    assert settings.without_secrets().api_key is None


def test_a_key_from_a_file_is_taken_without_the_line_break_at_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEGRAPH_API_KEY", " secret-0123456789abcdef\r\n")
    key = load_settings().api_key
    assert key is not None
    assert key.get_secret_value() == "secret-0123456789abcdef"


@pytest.mark.parametrize("key", ["secret-0123\n456789abcdef", "secret-0123456789\tabcdef"])
def test_a_key_that_no_client_can_send_is_refused_and_not_shown(key: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEGRAPH_API_KEY", key)
    with pytest.raises(ConfigurationError, match=r"api_key: .*line break") as refused:
        load_settings()
    assert "secret-0123" not in refused.value.message


def test_an_empty_key_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEGRAPH_API_KEY", "")
    assert load_settings().api_key is None


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"matcher": {"serve": {"autoscaling": {"max_replicas": 2}}}}, "milvus-lite"),
        (
            {
                "matcher": {"serve": {"autoscaling": {"max_replicas": 2}}},
                "storage": {"milvus_uri": "http://127.0.0.1:19530"},
            },
            "SQLite",
        ),
        ({"detector": {"input_side": 641}}, "multiple of 32"),
        ({"detectr": {}}, "detectr"),
        ({"image_urls": {"allowed_hosts": ["https://example.org"]}}, "can be no host of a URL"),
        ({"image_urls": {"allowed_hosts": ["*.example.org"]}}, "can be no host of a URL"),
        ({"image_urls": {"allowed_hosts": ["example.org", "images.example.org."]}}, "can be no host of a URL"),
        ({"image_urls": {"allowed_hosts": ["bücher.example"]}}, "can be no host of a URL"),
        ({"image_urls": {"allowed_hosts": ["example.org:8443"]}}, "can be no host of a URL"),
        ({"ingress": {"serve": {"autoscaling": {"min_replicas": 3}}}}, "below min_replicas"),
        ({"matcher": {"serve": {"autoscaling": {"min_replicas": 0}}}}, "only the liveness scorer may scale to zero"),
        (
            {
                "ingress": {
                    "serve": {
                        "max_ongoing_requests": 4,
                        "autoscaling": {"max_replicas": 2, "target_ongoing_requests": 8},
                    }
                }
            },
            "never scales up",
        ),
    ],
)
def test_an_impossible_configuration_is_refused_in_words(values: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigurationError, match=words):
        load_settings(values)


def test_hosts_that_images_may_come_from() -> None:
    hosts = ("localhost", "xn--bcher-kva.example", ".Example.org", "192.0.2.1", "2001:db8::1", "my_host")
    assert load_settings({"image_urls": {"allowed_hosts": list(hosts)}}).image_urls.allowed_hosts == hosts


def test_the_liveness_scorer_may_sleep() -> None:
    settings = load_settings({"liveness": {"serve": {"autoscaling": {"min_replicas": 0}}}})
    assert settings.liveness.serve.autoscaling.min_replicas == 0


@pytest.mark.parametrize("content", ["[", "applications: []", "applications: [1]", "x: 1"])
def test_a_broken_file_is_refused_in_words(tmp_path: Path, content: str) -> None:
    path = tmp_path / "broken.yaml"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=r"broken\.yaml"):
        read_serve_file(path)
    with pytest.raises(ConfigurationError, match="cannot be read"):
        read_serve_file(tmp_path / "absent.yaml")
