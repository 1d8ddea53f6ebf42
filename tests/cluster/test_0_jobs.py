"""A folder is enrolled by a job that is submitted to the cluster, as docs/python-handle.md describes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests import photos
from tests.cluster.marks import ON_CLUSTER
from tests.cluster.nodes import Cluster
from tests.graph.service import ROOT

pytestmark = ON_CLUSTER


def test_ray_job_submit_enrols_a_folder(cluster: Cluster, tmp_path: Path) -> None:
    for person, picture in (("eileen", photos.astronaut()), ("grace", photos.grace_hopper())):
        (tmp_path / "people" / person).mkdir(parents=True)
        (tmp_path / "people" / person / "1.png").write_bytes(picture)

    def submit(collection: str) -> subprocess.CompletedProcess[str]:
        script, state = ROOT / "examples" / "enrol_job.py", tmp_path / f"{collection}.db"
        job = (sys.executable, script, tmp_path / "people", collection, "--state", state)
        return cluster.submit(*map(str, job))

    done = submit("from-a-job")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 enrolled of 2 persons." in done.stdout
    with cluster.client() as api:
        files = {"image": ("a.jpg", photos.variant(photos.grace_hopper()))}
        answer = api.post("/v1/search", files=files, data={"collections": "from-a-job"})
        assert answer.json()["faces"][0]["matches"][0]["person"]["id"] == "grace"
    again = submit("from-a-job")
    assert again.returncode == 0, again.stdout + again.stderr
    assert "2 skipped of 2 persons." in again.stdout
    (tmp_path / "people" / "grace" / "1.png").write_bytes(b"no picture")
    failed = submit("from-another-job")
    assert failed.returncode != 0, "a failure of the job is one of the command"
    assert "1 enrolled, 1 failed of 2 persons." in failed.stdout
