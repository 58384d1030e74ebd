"""A job that starts where its data is not: its watcher brings it, or says why it cannot."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tao_automl.execution import cache
from tao_automl.execution.cluster import RayCluster, Room
from tao_automl.execution.job import JobSpec, JobStatus, Phase
from tao_automl.execution.store import Store
from tests.contracts.runtime_contract import until
from tests.s3 import Bucket

pytestmark = pytest.mark.ray


@pytest.fixture
def cluster(s3: Bucket) -> Iterator[RayCluster]:
    """Its watchers have the AWS settings of this process."""
    found = RayCluster(Room("s", "process"))
    yield found
    found.close()


def ended(cluster: RayCluster, job: JobSpec, url: str) -> JobStatus:
    found: list[JobStatus] = []

    def over() -> bool:
        found.append(cluster.status([job.id])[job.id])
        assert found[-1].phase is not Phase.PENDING or found[-1].waits is None or url in found[-1].waits
        return found[-1].phase is Phase.EXITED

    until(over)
    cluster.release(job.id)
    return found[-1]


def test_a_job_starts_when_its_data_is_there(s3: Bucket, cluster: RayCluster, tmp_path: Path) -> None:
    url = s3.put("train/a.txt", b"from the store")
    seen = cache.look(Store(), url)
    staged = cache.placed(url, seen.kind, seen.digest(), seen.size_bytes, tmp_path / "cache")
    command = ("cp", staged.path, "got.txt")
    first = JobSpec("s-0000-1", "train", "", command, tmp_path / "first", "process", staged=(staged,))
    cluster.submit(first)
    assert ended(cluster, first, url).exit_code == 0
    assert (first.folder / "got.txt").read_bytes() == b"from the store"
    shutil.rmtree(tmp_path / "cache")
    s3.put("train/a.txt", b"another content")
    second = JobSpec("s-0001-1", "train", "", command, tmp_path / "second", "process", staged=(staged,))
    cluster.submit(second)
    status = ended(cluster, second, url)
    assert status.exit_code is None
    assert status.error == f"{url} has changed since the study was started"
    assert not (second.folder / "got.txt").exists()
