"""A node is killed under load: the answers that clients get, and the time until each stage is complete again."""

from __future__ import annotations

import time

from tests.cluster.load import Load
from tests.cluster.marks import ON_CLUSTER
from tests.cluster.nodes import WORKERS, Cluster

pytestmark = ON_CLUSTER


def test_a_lost_node_is_made_up_for(cluster: Cluster) -> None:
    lost, left = WORKERS
    before = cluster.replicas()
    stages_on = {address: {stage for stage, at in before.items() if address in at.values()} for address in WORKERS}
    assert all(stages_on.values()), f"all replicas are on one node: {before}"
    with Load(cluster) as load:
        load.wait_for(20)
        killed = time.monotonic()
        at = killed - load.started
        processes = cluster.kill_node(lost)

        def made_up_for() -> bool:
            return cluster.whole() and all(set(at.values()) == {left} for at in cluster.replicas().values())

        whole = cluster.until("every stage is whole on the node that is left", made_up_for, 400)
        load.wait_for(20)
    failed = [(when - at, what) for when, what in load.failures]
    print(f"killed {processes} processes with replicas of {sorted(stages_on[lost])}; {load}")
    print(f"failed: {failed}; whole again after {whole:.0f} s")
    statuses = set(load.answers) - {"200"}
    assert statuses <= {"503", "429"}, failed[:5]
    assert all(when < 30 for when, _ in failed), failed
    cluster.start_worker(lost)  # a new machine in its place
