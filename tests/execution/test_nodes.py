"""What a cluster of several nodes does: GPUs by id, adoption, nodes that go away, ranks that meet."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tao_automl.errors import PlatformError
from tao_automl.execution import runtimes
from tao_automl.execution.cluster import RayCluster, Room
from tao_automl.execution.job import JobSpec, JobStatus, Mount, Phase
from tests.contracts.runtime_contract import until
from tests.execution.nodes import Nodes

pytestmark = [pytest.mark.ray, pytest.mark.slow]

WAITS = "while [ ! -e go ]; do sleep 0.05; done; exit 9"
OWN = f"GPU-{uuid.uuid4().hex[:6]}"  # ids that no other test on this machine asks for
GPUS = {f"gpu-{n}": f"{OWN}-{n}a,{OWN}-{n}b" for n in (1, 2, 3)}


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    made = Nodes(GPUS)
    yield made
    made.close()


@pytest.fixture
def study() -> Iterator[str]:
    """A name that no other run of these tests has used; what is left of it is ended."""
    name = f"s{uuid.uuid4().hex[:8]}"
    yield name
    runtime = runtimes.by_name("process")
    for status in runtime.found(name):
        runtime.end(status.id)


@pytest.fixture
def opened(nodes: Nodes, study: str) -> Iterator[Callable[..., RayCluster]]:
    """Drivers, one after another."""
    current: list[RayCluster] = []

    def make(**values: object) -> RayCluster:
        while current:
            current.pop().close()
        room = {"study": study, "runtime": "process", "gpus": 1, "node_grace_s": 60.0, **values}
        current.append(RayCluster(Room(address=nodes.address, **room)))
        return current[-1]

    yield make
    while current:
        current.pop().close()


@pytest.fixture
def make(tmp_path: Path, study: str) -> Callable[..., JobSpec]:
    made: list[JobSpec] = []

    def job(script: str, **values: object) -> JobSpec:
        number = len(made)
        fields = {"folder": tmp_path / f"job{number}", "runtime": "process", "gpus": 1, "study": study, **values}
        made.append(JobSpec(f"{study}-{number:04d}-1", "train", "none", ("sh", "-c", script), **fields))
        return made[-1]

    return job


def running(cluster: RayCluster, job: JobSpec) -> JobStatus:
    until(lambda: cluster.status([job.id])[job.id].pid is not None, 40.0)
    return cluster.status([job.id])[job.id]


def ended(cluster: RayCluster, job: JobSpec) -> JobStatus:
    until(lambda: cluster.status([job.id])[job.id].phase is Phase.EXITED, 40.0)
    return cluster.status([job.id])[job.id]


def test_no_two_jobs_have_a_gpu_and_each_has_one_of_its_node(opened, make) -> None:
    cluster = opened(slots=6)
    until(lambda: cluster.free() == 6, 60.0)
    jobs = [make(f"echo $CUDA_VISIBLE_DEVICES; {WAITS}") for _ in range(6)]
    for job in jobs:
        cluster.submit(job)
    found = [running(cluster, job) for job in jobs]
    assert sorted(status.gpus[0] for status in found) == sorted(",".join(GPUS.values()).split(","))
    assert all(status.gpus[0] in GPUS[status.node] for status in found)
    for job, status in zip(jobs, found, strict=True):
        until(lambda job=job, status=status: (job.folder / "log.txt").read_text() == f"{status.gpus[0]}\n")
        (job.folder / "go").write_text("")
    assert [ended(cluster, job).exit_code for job in jobs] == [9] * 6


def test_a_new_driver_finds_what_the_last_one_started_and_another_study_is_not_its_business(opened, make) -> None:
    first = opened()
    job = make(WAITS)
    first.submit(job)
    pid = running(first, job).pid
    second = opened()
    found = second.survey()
    assert list(found) == [job.id]
    assert found[job.id].phase is Phase.RUNNING
    second.submit(job)
    assert running(second, job).pid == pid
    assert opened(study="other").survey() == {}


def test_a_job_that_nobody_waits_for_is_ended_where_it_runs(opened, make) -> None:
    first = opened()
    job = make("sleep 300")
    first.submit(job)
    running(first, job)
    second = opened()
    second.survey()
    second.end(job.id)
    until(lambda: second.survey() == {})


def test_what_a_job_is_to_avoid_it_does_not_get(opened, make) -> None:
    cluster = opened()
    avoid = ("gpu-1", "gpu-2", f"gpu-3/{OWN}-3a")
    job = make("true", avoid=avoid)
    until(lambda: cluster.free(avoid) == 1, 60.0)
    cluster.submit(job)
    status = ended(cluster, job)
    assert (status.node, status.gpus) == ("gpu-3", (f"{OWN}-3b",))
    cluster.release(job.id)
    everything = tuple(f"{name}/{gpu}" for name, ids in GPUS.items() for gpu in ids.split(","))
    with pytest.raises(PlatformError, match="no node has 1 GPUs left that work"):
        cluster.submit(make("true", avoid=everything))


def test_ranks_of_a_job_meet_on_nodes_of_their_own_and_one_that_fails_ends_the_others(opened, make, nodes) -> None:
    cluster = opened(nodes=2)
    job = make("env | grep -E 'WORLD|NODE_R|MASTER|NUM_GPU' | sort", nodes=2)
    job.folder.mkdir()
    cluster.submit(job)
    status = ended(cluster, job)
    assert status.exit_code == 0
    said = [dict(line.split("=", 1) for line in path.read_text().splitlines()) for path in _logs(job)]
    assert [words.pop("NODE_RANK") for words in said] == ["0", "1"]
    assert said[0] == said[1]
    assert (said[0]["WORLD_SIZE"], said[0]["NUM_GPU_PER_NODE"]) == ("2", "1")
    cluster.release(job.id)
    failing = make("[ $NODE_RANK = 1 ] && exit 5; sleep 300", nodes=2)
    failing.folder.mkdir()
    cluster.submit(failing)
    assert ended(cluster, failing).exit_code == 5


def _logs(job: JobSpec) -> list[Path]:
    return [job.folder / "log.txt", job.folder / "node-1" / "log.txt"]


def test_a_job_outlives_its_node_and_is_found_where_it_is_seen_again(opened, make, nodes) -> None:
    cluster = opened()
    job = make(WAITS)
    cluster.submit(job)
    before = running(cluster, job)
    nodes.kill(before.node)
    until(lambda: cluster.status([job.id])[job.id].waits, 60.0)
    waiting = cluster.status([job.id])[job.id]
    assert (waiting.phase, waiting.waits) == (Phase.RUNNING, f"node {before.node} is gone")
    until(lambda: cluster.status([job.id])[job.id].waits is None, 60.0)
    assert running(cluster, job).pid == before.pid
    (job.folder / "go").write_text("")
    assert ended(cluster, job).exit_code == 9
    nodes.back(before.node)


def test_a_job_that_went_with_its_node_is_lost_after_the_grace_time(opened, make, nodes) -> None:
    cluster = opened(node_grace_s=1.0)
    job = make("sleep 300")
    cluster.submit(job)
    before = running(cluster, job)
    nodes.kill(before.node)
    until(lambda: cluster.status([job.id])[job.id].waits, 60.0)
    os.killpg(before.pid, signal.SIGKILL)
    runtimes.by_name("process").stop(job, 0.0)
    until(lambda: runtimes.by_name("process").poll(job).phase is Phase.EXITED)
    runtimes.by_name("process").remove(job)
    status = ended(cluster, job)
    assert (status.exit_code, status.error) == (None, f"node {before.node} was lost and did not come back")
    cluster.release(job.id)
    again = make("exit 4")
    until(lambda: cluster.free() == 1, 60.0)
    cluster.submit(again)
    assert ended(cluster, again).exit_code == 4
    nodes.back(before.node)


def test_a_node_that_does_not_see_the_data_is_named_before_anything_starts(nodes, opened, make, tmp_path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    job = make("true", mounts=(Mount(str(data), str(data)),))
    cluster = opened()
    token = tmp_path / "token"
    token.write_text("")
    cluster.prepare(job, token, lambda _node, _text: None)
    words = [sys.executable, "-m", "ray.scripts.scripts", "start", f"--address={nodes.address}", "--block"]
    words += ["--num-gpus=2", "--num-cpus=2", "--node-name=blind", "--disable-usage-stats"]
    blind = f"mount -t tmpfs none {data.parent} && exec {' '.join(words)}"
    pipes = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    node = subprocess.Popen(["unshare", "--mount", "sh", "-c", blind], start_new_session=True, **pipes)
    try:
        _joined(cluster, job, token, timeout_s=60.0)
    finally:
        os.killpg(node.pid, signal.SIGTERM)
        node.wait(100)  # Ray takes its time on a busy machine


def _joined(cluster: RayCluster, job: JobSpec, token: Path, timeout_s: float) -> None:
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        try:
            cluster.prepare(job, token, lambda _node, _text: None)
        except PlatformError as error:
            assert error.message == f"node blind does not see {job.mounts[0].host}"
            assert "mount the same file system" in error.tip
            return
        time.sleep(0.1)
    raise AssertionError("the node did not join")
