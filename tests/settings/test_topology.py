"""The choice of the topology, and how it reaches the replicas."""

from __future__ import annotations

import pickle

import pytest

from serve_app.settings import Topology, load_settings, tree
from serve_app.settings.topology import chosen_topology


@pytest.mark.parametrize(
    ("processors", "ingress_replicas", "expected"),
    [
        (1, 1, (Topology.SINGLE, "auto: 1 processor, fewer than 4")),
        (3, 1, (Topology.SINGLE, "auto: 3 processors, fewer than 4")),
        (4, 1, (Topology.DISTRIBUTED, "auto: 4 processors, 4 or more")),
        (64, 1, (Topology.DISTRIBUTED, "auto: 64 processors, 4 or more")),
        (2, 3, (Topology.DISTRIBUTED, "auto: up to 3 ingress replicas are configured")),
    ],
)
def test_auto(processors: int, ingress_replicas: int, expected: tuple[Topology, str]) -> None:
    assert chosen_topology(Topology.AUTO, processors, ingress_replicas) == expected


@pytest.mark.parametrize("configured", ["single", "compact", "distributed"])
def test_what_is_configured_is_taken(configured: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "cpu_count", lambda: 4)
    settings = load_settings({"topology": configured})
    assert (settings.topology, settings.topology_reason) == (configured, "as configured")


def test_settings_hold_the_choice_and_hand_it_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tree, "cpu_count", lambda: 4)
    settings = load_settings({"topology": "auto"})
    for same in (
        settings,
        pickle.loads(pickle.dumps(settings.without_secrets())),
        load_settings(settings.as_arguments()),
    ):
        assert (same.topology, same.topology_reason) == (Topology.DISTRIBUTED, "auto: 4 processors, 4 or more")


def test_secrets_of_a_file_reach_the_graph() -> None:
    written = {"milvus_token": "root:secret", "encryption_key": "a2V5", "database_url": "postgresql://u:p@host/db"}
    storage = load_settings(load_settings({"storage": written}).as_arguments()).storage
    assert storage.milvus_token.get_secret_value() == "root:secret"
    assert storage.encryption_key.get_secret_value() == "a2V5"
    assert storage.database_url == "postgresql://u:p@host/db"


def test_the_admin_key_does_not_reach_the_graph() -> None:
    settings = load_settings({"api_key": "an-admin-key-of-the-operator"})
    assert settings.api_key is not None
    assert load_settings(settings.as_arguments()).api_key is None
