"""No name that a user wrote is ignored: variables of the environment and keys of a file, with the nearest known one."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from ray.serve.schema import HTTPOptionsSchema, LoggingConfig, ServeApplicationSchema, ServeDeploySchema

from serve_app.client.http import options_of
from serve_app.errors import ConfigurationError
from serve_app.settings import Settings, load_settings
from serve_app.settings.environment import OTHER_VARIABLES, unknown_variables
from serve_app.settings.serve_file import KNOWN, read_serve_file

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("name", "nearest"),
    [
        ("FACEGRAPH_STORAGE_ENCRYPTION_KEY", "FACEGRAPH_STORAGE__ENCRYPTION_KEY"),
        ("FACEGRAPH_LIMITS_MAX_RESULTS", "FACEGRAPH_LIMITS__MAX_RESULTS"),
        ("FACEGRAPH_TOPOLGY", "FACEGRAPH_TOPOLOGY"),
        ("FACEGRAPH_STORAGE__MILVUS_URL", "FACEGRAPH_STORAGE__MILVUS_URI"),
        ("FACEGRAPH_API_KEYS", "FACEGRAPH_API_KEY"),
        ("FACEGRAPH_ULR", "FACEGRAPH_URL"),
        ("FACEGRAPH_METRIC_PORT", "FACEGRAPH_METRICS_PORT"),
        ("facegraph_host", "FACEGRAPH_HOST"),  # the case counts, except in settings
        ("FACEGRAPH_EMBEDDER__SERVE__AUTOSCALING__MAX_REPLICA", "FACEGRAPH_EMBEDDER__SERVE__AUTOSCALING__MAX_REPLICAS"),
    ],
)
def test_an_unknown_variable_is_refused_with_the_nearest_one(
    name: str, nearest: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "1")
    with pytest.raises(ConfigurationError, match=f"{name}: is not a known variable; did you mean '{nearest}'"):
        load_settings()


def test_variables_that_are_known_are_accepted() -> None:
    known = dict.fromkeys(
        [*OTHER_VARIABLES, "FACEGRAPH_STORAGE", "FACEGRAPH_STORAGE__TIMEOUT_S", "facegraph_data_dir", "HOME"], "1"
    )
    assert unknown_variables(known) == []


def test_variables_that_kubernetes_sets_for_services_are_accepted() -> None:
    names = ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_8000_TCP", "PORT_8000_TCP_ADDR"]
    set_by_it = [f"FACEGRAPH_{service}{name}" for service in ("", "SERVE_SVC_") for name in names]
    assert unknown_variables(dict.fromkeys(set_by_it, "tcp://10.0.0.1:8000")) == []
    assert len(unknown_variables({"FACEGRAPH_MAX_PORTS": "1", "FACEGRAPH_PORT_TCP": "1"})) == 2


def test_every_variable_that_the_repository_names_is_known() -> None:
    files = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    if not files:
        pytest.skip("this is not a clone")
    texts = (
        (ROOT / name).read_text("utf-8", "replace")
        for name in files
        if not name.endswith((".json", ".svg", ".lock"))
        and not name.startswith(("tests/settings/", "serve_app/settings/"))
    )
    named = {name for text in texts for name in re.findall(r"\bFACEGRAPH_[A-Z0-9_]*[A-Z0-9]\b", text)}
    assert len(named) > 30
    misspelt_in_tests = {"FACEGRAPH_ULR"}
    assert unknown_variables(dict.fromkeys(named - misspelt_in_tests, "1")) == []
    assert named >= OTHER_VARIABLES


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("applications:\n- arg: {topology: single}", "applications.0.arg: is not a known key; did you mean 'args'"),
        ("http_option: {port: 1}\napplications:\n- args: {}", "http_option: .*'http_options'"),
        ("http_options: {prot: 1}\napplications:\n- args: {}", "http_options.prot: .*'port'"),
        ("logging_config: {encodin: JSON}\napplications:\n- args: {}", "logging_config.encodin: .*'encoding'"),
        ("http_options: [1]\napplications:\n- args: {}", "http_options: expected keys with values"),
        ("applications:\n- args: [1]", "args must have the settings by name"),
        (
            "applications:\n- args: {embeder: {max_batch: 3}}",
            "embeder: is not a known setting; did you mean 'embedder'",
        ),
        (
            "applications:\n- args: {embedder: {inference: {thread: 3}}}",
            r"embedder\.inference\.thread: is not a known setting; did you mean 'threads'",
        ),
        ("applications:\n- args: {embedder: {max_batch: 3}, embedder: {workers: 2}}", "'embedder' is written twice"),
    ],
)
def test_an_unknown_key_of_a_file_is_refused(content: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=words):
        read_serve_file(path)


def test_the_known_keys_of_a_file_are_those_of_ray_serve() -> None:
    schemas = {
        "": ServeDeploySchema,
        "applications.0": ServeApplicationSchema,
        "http_options": HTTPOptionsSchema,
        "logging_config": LoggingConfig,
    }
    assert {part: set(names) for part, names in KNOWN.items()} == {
        part: set(schema.model_fields) for part, schema in schemas.items()
    }


def test_keys_without_effect_are_named(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(
        "target_capacity: 50\nhttp_options: {port: 1, ssl_keyfile: x}\n"
        "applications:\n- runtime_env: {}\n  args: {ingress: {own_port: true}}\n"
    )
    expected = ("target_capacity", "applications.0.runtime_env", "http_options.ssl_keyfile")
    assert read_serve_file(path).not_applied == expected
    path.write_text("http_options: {ssl_keyfile: x}\napplications:\n- args: {ingress: {own_port: false}}\n")
    assert read_serve_file(path).not_applied == ()


def test_blanks_and_line_breaks_at_the_ends_of_values_are_removed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FACEGRAPH_API_KEY", "secret-0123456789abcdef\n")
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", f" {tmp_path}\r\n")
    monkeypatch.setenv("FACEGRAPH_TOPOLOGY", "single ")
    monkeypatch.setenv("FACEGRAPH_DIALECTS", '["facepp\\n"]')
    settings = load_settings({"storage": {"milvus_uri": "\thttp://milvus:19530\n", "milvus_token": "root:Milvus\n"}})
    assert settings.api_key is not None
    assert settings.api_key.get_secret_value() == "secret-0123456789abcdef"
    assert (settings.data_dir, settings.topology, settings.dialects) == (tmp_path, "single", ("facepp",))
    assert settings.storage.milvus_uri == "http://milvus:19530"
    assert settings.storage.milvus_token.get_secret_value() == "root:Milvus"
    sent = options_of(" http://127.0.0.1:8000\n", "secret\n", 1)
    assert (sent["base_url"], sent["headers"]) == ("http://127.0.0.1:8000", {"X-API-Key": "secret"})
    for key in ("sec\nret", "s\u00e9cret"):
        with pytest.raises(
            ValueError, match=r"^an API key consists of printable ASCII characters, this one has others$"
        ):
            options_of("http://127.0.0.1:8000", key, 1)


def test_an_empty_path_is_not_the_working_directory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEGRAPH_MODEL_DIR", "")
    assert load_settings().model_dir is None
    monkeypatch.setenv("FACEGRAPH_DATA_DIR", " ")
    with pytest.raises(ConfigurationError, match=r"data_dir: .*the path of a folder was expected"):
        load_settings()


def test_every_setting_has_a_variable() -> None:
    assert unknown_variables({f"FACEGRAPH_{name}".upper(): "1" for name in Settings.model_fields}) == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [("DIALECTS", "facepp"), ("LIVENESS__MODELS", "minifasnet-v2"), ("STORAGE", "x"), ("LIMITS", "[" * 100_000)],
)
def test_a_list_or_section_that_is_no_json_is_refused(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"FACEGRAPH_{variable}", value)
    with pytest.raises(ConfigurationError, match="JSON was expected"):
        load_settings()


def test_a_file_that_is_nested_too_deep_is_refused(tmp_path: Path) -> None:
    (tmp_path / "deep.yaml").write_text("{a: " * 5000)
    with pytest.raises(ConfigurationError, match="not valid YAML"):
        read_serve_file(tmp_path / "deep.yaml")


def test_a_variable_in_two_spellings_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FACEGRAPH_LIMITS__MAX_RESULTS", "3")
    monkeypatch.setenv("FACEGRAPH_limits__max_results", "4")
    with pytest.raises(ConfigurationError, match="FACEGRAPH_limits__max_results: is the same variable as FACEGRAPH_L"):
        load_settings()
