"""Hostile inputs beside an ordinary client: those of ``make attack`` in small, with bounds for a busy machine."""

from __future__ import annotations

import pytest

from scripts.attack.battery import Bounds, kinds, observe
from scripts.attack.observation import ServiceProcesses
from scripts.attack.target import Target, prepare
from tests import photos
from tests.graph.service import RunningService

pytestmark = pytest.mark.graph

BOUNDS = Bounds(stall_s=5.0, search_s=20.0, idle_s=10.0)
KINDS = kinds(photos.grace_hopper())


@pytest.fixture(scope="module")
def target(service: RunningService) -> Target:
    return prepare(service.url, service.key or "")


@pytest.mark.parametrize("kind", KINDS)
def test_an_attack_leaves_the_service_to_others(kind: str, target: Target, service: RunningService) -> None:
    inputs = [(one, one.short) for one in KINDS[kind] if one.short]
    row = observe(target, ServiceProcesses(service.pid), photos.grace_hopper(), inputs, BOUNDS, kind)
    assert not row.beyond, (row.beyond, row)
