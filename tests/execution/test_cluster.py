"""The Ray cluster: a real local Ray, real watchers, real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tao_automl.errors import PlatformError
from tao_automl.execution import runtimes
from tao_automl.execution.cluster import RayCluster, Room
from tao_automl.execution.job import JobSpec, JobStatus, Phase
from tests.contracts.runtime_contract import group, kill, until

pytestmark = pytest.mark.ray

SLOTS, CPUS = 3, 0.8  # 2.4 CPUs: three jobs need three of them

# A driver: starts a job, says its process, and then answers each line with the job's phase until stdin ends.
DRIVER = """
import pathlib, signal, sys
from tao_automl.execution.cluster import RayCluster, Room
from tao_automl.execution.job import JobSpec
signal.signal(signal.SIGINT, lambda *_: None)
job = JobSpec.from_json(pathlib.Path(sys.argv[1]).read_text())
cluster = RayCluster(Room("s", "process"))
cluster.submit(job)
while (status := cluster.status([job.id])[job.id]).pid is None:
    pass
print(status.pid, flush=True)
for line in sys.stdin:
    print(cluster.status([job.id])[job.id].phase.value, flush=True)
cluster.close()
"""

# Asks a standing cluster for one slot: says how the job is doing, or what is wrong.
GUEST = """
import pathlib, sys
from tao_automl.errors import AutoMLError
from tao_automl.execution.cluster import RayCluster, Room
from tao_automl.execution.job import JobSpec
path, address, cpus, gpus = sys.argv[1:]
job = JobSpec.from_json(pathlib.Path(path).read_text())
try:
    cluster = RayCluster(Room("s", "process", cpus=float(cpus), gpus=int(gpus), address=address))
except AutoMLError as error:
    print(f"{error.message}|{error.tip}")
    sys.exit(error.exit_code)
cluster.submit(job)
print(cluster.status([job.id])[job.id].phase.value)
cluster.close()
"""

Make = Callable[..., JobSpec]


def children(pid: int) -> list[int]:
    """All living processes below one."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent, *_ = path.read_text().rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(parent) == pid and state not in "ZX":
            found += [int(path.parent.name), *children(int(path.parent.name))]
    return found


def watchers(pid: int) -> list[int]:
    """The processes of a driver's watchers."""
    return [child for child in children(pid) if b"Watcher" in Path(f"/proc/{child}/cmdline").read_bytes()]


@pytest.fixture(scope="module")
def ray() -> Iterator[RayCluster]:
    cluster = RayCluster(Room("s", "process", slots=SLOTS, cpus=CPUS))
    yield cluster
    cluster.close()


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    """Makes jobs; what still runs after the test is stopped."""
    made: list[JobSpec] = []

    def job(script: str, **values) -> JobSpec:
        name = f"{tmp_path.name}-{len(made)}"
        fields = {"folder": tmp_path / f"job{len(made)}", "runtime": "process", **values}
        made.append(JobSpec(name, "train", "none", ("sh", "-c", script), **fields))
        return made[-1]

    yield job
    for spec in made:
        runtimes.by_name(spec.runtime).stop(spec, 0.0)


@pytest.fixture
def cluster(ray: RayCluster) -> Iterator[RayCluster]:
    """The module's cluster with all its slots free, before and after."""
    submitted: list[str] = []
    submit = ray.submit

    def remember(job: JobSpec) -> None:
        submit(job)
        submitted.append(job.id)

    ray.submit = remember  # type: ignore[method-assign]
    yield ray
    ray.submit = submit  # type: ignore[method-assign]
    for job_id in submitted:
        ray.cancel(job_id, 0.0)
        try:
            until(lambda job_id=job_id: ray.status([job_id])[job_id].phase in (Phase.EXITED, Phase.UNKNOWN))
        finally:
            ray.release(job_id)
    assert ray.free() == SLOTS


def running(cluster: RayCluster, job: JobSpec) -> JobStatus:
    until(lambda: cluster.status([job.id])[job.id].pid is not None)
    return cluster.status([job.id])[job.id]


def ended(cluster: RayCluster, job: JobSpec) -> JobStatus:
    until(lambda: cluster.status([job.id])[job.id].phase is Phase.EXITED)
    return cluster.status([job.id])[job.id]


def test_a_job_runs_and_its_exit_code_comes_back(cluster: RayCluster, make: Make) -> None:
    job = make("echo hello; exit 3")
    cluster.submit(job)
    status = ended(cluster, job)
    assert (status.id, status.exit_code) == (job.id, 3)
    assert (job.folder / "log.txt").read_text() == "hello\n"


def test_a_job_is_not_known_before_it_is_submitted_and_after_it_is_released(cluster: RayCluster, make: Make) -> None:
    job = make("true")
    unknown = {job.id: JobStatus(job.id, Phase.UNKNOWN)}
    assert cluster.status([job.id]) == unknown
    cluster.submit(job)
    ended(cluster, job)
    cluster.release(job.id)
    assert cluster.status([job.id]) == unknown
    assert cluster.status([]) == {}


def test_submitting_twice_is_once(cluster: RayCluster, make: Make) -> None:
    job = make("echo started; sleep 300")
    cluster.submit(job)
    pid = running(cluster, job).pid
    cluster.submit(job)
    assert cluster.free() == SLOTS - 1
    assert running(cluster, job).pid == pid
    cluster.release(job.id)  # as a driver that starts anew: the job is there, its slot is not
    cluster.submit(job)
    assert running(cluster, job).pid == pid
    assert (job.folder / "log.txt").read_text() == "started\n"


def test_slots_are_jobs_at_a_time_also_with_parts_of_cpus(cluster: RayCluster, make: Make) -> None:
    jobs = [make("sleep 300") for _ in range(SLOTS + 1)]
    for number, job in enumerate(jobs[:SLOTS]):
        assert cluster.free() == SLOTS - number
        cluster.submit(job)
    assert cluster.free() == 0
    with pytest.raises(RuntimeError, match=jobs[-1].id):
        cluster.submit(jobs[-1])
    pids = {running(cluster, job).pid for job in jobs[:SLOTS]}
    assert len(pids) == SLOTS
    phases = {status.phase for status in cluster.status([job.id for job in jobs[:SLOTS]]).values()}
    assert phases == {Phase.RUNNING}
    cluster.cancel(jobs[0].id, 0.0)
    ended(cluster, jobs[0])
    assert cluster.free() == 0  # until its end has been taken note of
    cluster.release(jobs[0].id)
    assert cluster.free() == 1
    cluster.submit(jobs[-1])
    assert running(cluster, jobs[-1]).pid not in pids


def test_a_cancelled_job_is_asked_to_end(cluster: RayCluster, make: Make) -> None:
    job = make("sleep 300")
    cluster.submit(job)
    pid = running(cluster, job).pid
    cluster.cancel(job.id, 10.0)
    assert ended(cluster, job).exit_code == 143
    assert group(pid) is None


def test_cancelling_a_job_that_is_not_there_is_nothing(cluster: RayCluster) -> None:
    cluster.cancel("nobody", 0.0)
    cluster.release("nobody")
    assert cluster.free() == SLOTS


def test_a_watcher_that_died_is_replaced_and_finds_its_job(cluster: RayCluster, make: Make) -> None:
    job = make("sleep 300")
    cluster.submit(job)
    pid = running(cluster, job).pid
    before = watchers(os.getpid())
    assert before
    for process in before:
        kill(process)
    until(lambda: cluster.status([job.id]) and set(watchers(os.getpid())) - set(before))
    assert running(cluster, job).pid == pid
    other = make("exit 4")  # its slot's watcher died while it had nothing to do
    cluster.submit(other)
    assert ended(cluster, other).exit_code == 4


def test_a_cancel_is_not_lost_with_its_watcher(cluster: RayCluster, make: Make) -> None:
    job = make("sleep 300")
    cluster.submit(job)
    pid = running(cluster, job).pid
    for process in watchers(os.getpid()):
        kill(process)
    cluster.cancel(job.id, 10.0)
    assert ended(cluster, job).exit_code == 143
    assert group(pid) is None


def test_a_job_that_cannot_be_started_is_told_and_its_slot_is_free_again(
    cluster: RayCluster, make: Make, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    job = make("true", folder=tmp_path / "file" / "job")
    cluster.submit(job)
    with pytest.raises(PlatformError, match=f"job {job.id} cannot be started"):
        until(lambda: cluster.status([job.id])[job.id].phase is Phase.EXITED)
    cluster.release(job.id)
    good = make("exit 6")
    cluster.submit(good)
    assert ended(cluster, good).exit_code == 6


def test_status_does_not_wait_for_a_slow_watcher(cluster: RayCluster, make: Make) -> None:
    job = make("sleep 300")
    cluster.submit(job)
    running(cluster, job)
    stopped = watchers(os.getpid())
    try:
        for process in stopped:
            os.kill(process, signal.SIGSTOP)
        began_s = time.monotonic()
        assert cluster.status([job.id])[job.id].phase is Phase.RUNNING  # the last that is known
        assert time.monotonic() - began_s < 2.0
    finally:
        for process in stopped:
            os.kill(process, signal.SIGCONT)
    until(lambda: cluster.status([job.id])[job.id].phase is Phase.RUNNING)


@pytest.fixture
def guest(ray: RayCluster, make: Make, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Another driver that asks for a slot at an address, by default that of the module's cluster."""
    import ray as ray_core

    def run(cpus: float, gpus: int, address: str | None = None) -> subprocess.CompletedProcess[str]:
        address = address or ray_core.get_runtime_context().gcs_address
        path = tmp_path / "guest.json"
        path.write_text(make("exit 0").to_json())
        words = [sys.executable, "-c", GUEST, str(path), address, str(cpus), str(gpus)]
        return subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)

    return run


def test_more_gpus_than_any_node_has_is_told_with_numbers(guest) -> None:
    said = guest(cpus=0.1, gpus=64)
    assert said.returncode == 3
    assert said.stdout.startswith("a trial needs 64 GPUs, and no node has more than ")
    assert "--gpus" in said.stdout
    assert said.stderr == ""


def test_more_cpus_than_any_node_has_is_told_with_numbers(guest) -> None:
    said = guest(cpus=512.0, gpus=0)
    assert said.returncode == 3
    assert said.stdout.startswith("a trial needs 512 CPUs, and no node has more than 3|")
    assert said.stderr == ""


def test_a_job_waits_while_the_nodes_are_full(guest) -> None:
    said = guest(cpus=1.0, gpus=0)
    assert (said.returncode, said.stdout, said.stderr) == (0, "pending\n", "")


@pytest.fixture
def driver(make: Make, tmp_path: Path) -> Iterator[Callable[[JobSpec], subprocess.Popen[str]]]:
    """Drivers with a local Ray of their own, as a terminal starts them: each in a process group."""
    started: list[subprocess.Popen[str]] = []

    def start(job: JobSpec) -> subprocess.Popen[str]:
        path = tmp_path / f"{job.id}.json"
        path.write_text(job.to_json())
        words = [sys.executable, "-c", DRIVER, str(path)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        started.append(subprocess.Popen(words, text=True, start_new_session=True, **pipes))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def asked(driver: subprocess.Popen[str]) -> str:
    driver.stdin.write("\n")
    driver.stdin.flush()
    return driver.stdout.readline()


def finish(job: JobSpec) -> int:
    """Let a job that waits for this file end; returns its exit code as its runtime knows it."""
    (job.folder / "go").write_text("")
    runtime = runtimes.by_name(job.runtime)
    until(lambda: runtime.poll(job).phase is Phase.EXITED)
    return runtime.poll(job).exit_code


WAITS = "while [ ! -e go ]; do sleep 0.05; done; exit 9"


def test_nothing_of_ray_is_printed_not_even_of_a_dead_watcher_and_jobs_go_on_when_the_cluster_is_left(
    make: Make, driver
) -> None:
    job = make(WAITS)
    process = driver(job)
    pid = int(process.stdout.readline())
    before = watchers(process.pid)
    for watcher in before:
        kill(watcher)
    until(lambda: asked(process) == "running\n" and set(watchers(process.pid)) - set(before))
    ray_processes = children(process.pid)
    assert pid not in ray_processes
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
    until(lambda: all(group(other) is None for other in ray_processes))
    assert group(pid) is not None
    assert finish(job) == 9


def test_jobs_outlive_an_interrupt_and_the_drivers_death_and_ray_does_not(make: Make, driver) -> None:
    job = make(WAITS)
    process = driver(job)
    pid = int(process.stdout.readline())
    os.killpg(process.pid, signal.SIGINT)
    time.sleep(0.1)
    assert asked(process) == "running\n"
    ray_processes = children(process.pid)
    assert ray_processes
    process.kill()
    process.wait()
    until(lambda: all(group(other) is None for other in ray_processes), timeout_s=20.0)
    assert group(pid) is not None
    assert finish(job) == 9
