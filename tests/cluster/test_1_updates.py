"""``serve deploy`` of a changed configuration under load: no request fails."""

from __future__ import annotations

import copy

from tests.cluster.load import Load
from tests.cluster.marks import ON_CLUSTER
from tests.cluster.nodes import STAGES, Cluster, configuration

pytestmark = ON_CLUSTER


def test_one_stage_is_replaced_without_a_failed_request(cluster: Cluster) -> None:
    config = configuration(cluster.port)
    # An option of one deployment leaves the others alone, where a change of the application's `args` replaces all.
    config["applications"][0]["deployments"] = [{"name": "Embedder", "ray_actor_options": {"num_cpus": 0.4}}]
    before = cluster.replicas()
    with Load(cluster) as load:
        load.wait_for(10)
        cluster.deploy(config)
        took = update(cluster, before, {"Embedder"})
        load.wait_for(10)
    print(f"one stage replaced in {took:.0f} s under {load}")
    assert set(load.answers) == {"200"}, load.failures[:5]


def test_all_stages_are_replaced_without_a_failed_request(cluster: Cluster) -> None:
    config = copy.deepcopy(configuration(cluster.port))
    config["applications"][0]["args"]["embedder"]["max_batch"] = 16
    before = cluster.replicas()
    with Load(cluster) as load:
        load.wait_for(10)
        cluster.deploy(config)
        took = update(cluster, before, set(STAGES))
        load.wait_for(10)
    print(f"all stages replaced in {took:.0f} s under {load}")
    assert set(load.answers) == {"200"}, load.failures[:5]


def update(cluster: Cluster, before: dict[str, dict[str, str]], stages: set[str]) -> float:
    """Wait until exactly these stages have new replicas, both of them; the seconds it took."""

    def replaced() -> bool:
        now = cluster.replicas()
        return cluster.whole() and all(not set(before[stage]) & set(now[stage]) for stage in stages)

    took = cluster.until("the update is through", replaced, 400)
    now = cluster.replicas()
    assert {stage for stage in STAGES if set(before[stage]) != set(now[stage])} == stages
    return took
