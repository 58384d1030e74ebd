"""What every runtime promises: twice is once, nothing but the folder is needed to find a job again, its exit
code is kept, and a stopped job is gone with all its processes.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest

from tao_automl.errors import PlatformError
from tao_automl.execution import runtimes
from tao_automl.execution.job import JobSpec, JobStatus, Phase, Site
from tao_automl.execution.runtimes import Runtime, supervisor

WAIT_S = 20.0

# Starts a job as a driver does: says its process when it has one, and waits to be killed.
STARTER = """
import pathlib, sys, time
from tao_automl.execution import runtimes
from tao_automl.execution.job import JobSpec, Site
job = JobSpec.from_json(pathlib.Path(sys.argv[1]).read_text())
runtime = runtimes.by_name(job.runtime)
status = runtime.attach_or_start(job, Site(tuple(sys.argv[2:])))
while status.pid is None and status.exit_code is None:
    status = runtime.poll(job)
    time.sleep(0.02)
print(status.pid, flush=True)
time.sleep(60)
"""


@dataclass(frozen=True)
class Work:
    """A command for a runtime's jobs: how it ends, and a line that it prints once."""

    command: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    exit_code: int | None = None
    says: str = ""
    processes: int = 1


def until(condition: Callable[[], Any], timeout_s: float = WAIT_S) -> None:
    """Wait for a condition, a little at a time."""
    end_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < end_s, "it did not happen"
        time.sleep(0.02)


def ended(runtime: Runtime, job: JobSpec) -> JobStatus:
    """The status of a job after its end."""
    until(lambda: runtime.poll(job).phase is Phase.EXITED)
    return runtime.poll(job)


def pid_of(runtime: Runtime, job: JobSpec) -> int:
    """The process of a running job."""
    until(lambda: runtime.poll(job).pid is not None)
    return int(runtime.poll(job).pid or 0)


def group_of(pid: int) -> list[int]:
    """The living processes of a process group."""
    return [int(path.name) for path in Path("/proc").glob("[0-9]*") if group(int(path.name)) == pid]


def group(pid: int) -> int | None:
    """The group of a process, None if it has ended."""
    try:
        state, _, number, *_ = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return None
    return None if state in "ZX" else int(number)


def kill(pid: int) -> None:
    """Kill a process that is not ours to wait for, and see it gone."""
    os.kill(pid, signal.SIGKILL)
    until(lambda: group(pid) is None)


class RuntimeContract:
    """Inherit and give the fixtures `name` (of the runtime) and `quick`, `failing`, `endless`: what jobs do.

    `endless.processes` is how many it becomes, `endless.exit_code` how it ends when it is asked to.
    """

    @pytest.fixture(autouse=True)
    def apart(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Nobody else's jobs are seen: what a node knows of its processes lies in its temp folder."""
        (tmp_path / "node").mkdir()
        monkeypatch.setenv("TMPDIR", str(tmp_path / "node"))
        monkeypatch.setattr(tempfile, "tempdir", None)

    @pytest.fixture
    def runtime(self, name: str) -> Runtime:
        return runtimes.by_name(name)

    @pytest.fixture
    def common(self) -> dict[str, Any]:
        """What all jobs of a runtime have."""
        return {"image": "none"}

    @pytest.fixture
    def make(
        self, name: str, runtime: Runtime, common: dict[str, Any], tmp_path: Path
    ) -> Iterator[Callable[..., JobSpec]]:
        """Makes jobs, each in a folder of its own; what is left of them after the test is ended."""
        made: list[JobSpec] = []
        study = f"s{uuid.uuid4().hex[:8]}"

        def job(work: Work, **values: Any) -> JobSpec:
            spec = JobSpec(
                id=f"{study}-{len(made)}-1",
                study=study,
                trial=len(made),
                attempt=1,
                action="train",
                command=work.command,
                env=work.env,
                folder=tmp_path / f"job {len(made)}",
                runtime=name,
                **common,
            )
            made.append(replace(spec, **values))
            return made[-1]

        yield job
        for spec in made:
            runtime.end(spec.id)
        assert runtime.found(study) == ()

    @pytest.fixture
    def starter(self, tmp_path: Path) -> Iterator[Callable[..., subprocess.Popen[str]]]:
        """Other processes that start a job."""
        started: list[subprocess.Popen[str]] = []

        def start(job: JobSpec, gpus: tuple[str, ...] = ()) -> subprocess.Popen[str]:
            text = tmp_path / f"{job.id}.json"
            text.write_text(job.to_json())
            command = [sys.executable, "-c", STARTER, str(text), *gpus]
            started.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True))
            return started[-1]

        yield start
        for process in started:
            process.kill()
            process.communicate()

    def running(self, runtime: Runtime, job: JobSpec, work: Work) -> int:
        """Start a job and wait for all its processes; returns the first one."""
        runtime.attach_or_start(job)
        pid = pid_of(runtime, job)
        until(lambda: len(group_of(pid)) >= work.processes)
        return pid

    def test_what_it_prints_and_how_it_ends_is_kept(self, runtime: Runtime, make, failing: Work) -> None:
        before_s = time.time()
        job = make(failing)
        assert runtime.attach_or_start(job).phase in (Phase.RUNNING, Phase.EXITED)
        status = ended(runtime, job)
        assert status.exit_code == failing.exit_code
        assert status.started_at_s is not None
        assert status.ended_at_s is not None
        assert before_s - 1 < status.started_at_s <= status.ended_at_s < time.time() + 1
        assert status.node
        assert failing.says in (job.folder / "log.txt").read_text()

    def test_a_job_that_does_well_ends_with_0(self, runtime: Runtime, make, quick: Work) -> None:
        job = make(quick)
        runtime.attach_or_start(job)
        assert ended(runtime, job).exit_code == 0

    def test_starting_twice_is_once(self, runtime: Runtime, make, endless: Work) -> None:
        job = make(endless)
        runtime.attach_or_start(job)
        pid = pid_of(runtime, job)
        assert runtime.attach_or_start(job).pid == pid

    def test_starting_an_ended_job_does_not_run_it_again(self, runtime: Runtime, make, failing: Work) -> None:
        job = make(failing)
        runtime.attach_or_start(job)
        status = ended(runtime, job)
        assert runtime.attach_or_start(job) == status
        assert (job.folder / "log.txt").read_text().count(failing.says) == 1

    def test_starters_at_the_same_moment_run_it_once(self, runtime: Runtime, make, starter, endless: Work) -> None:
        job = make(endless)
        others = [starter(job) for _ in range(3)]
        pids = {process.stdout.readline() for process in others}
        assert pids == {f"{pid_of(runtime, job)}\n"}

    def test_it_outlives_its_starter_and_is_found_again(self, runtime: Runtime, make, starter, endless: Work) -> None:
        job = make(endless)
        first = starter(job)
        pid = int(first.stdout.readline())
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
        status = runtime.attach_or_start(job)
        assert (status.phase, status.pid) == (Phase.RUNNING, pid)
        runtime.stop(job, 10.0)
        assert ended(runtime, job).exit_code == endless.exit_code

    def test_a_job_whose_time_is_up_is_stopped_and_its_log_says_so(self, runtime: Runtime, make, endless: Work) -> None:
        job = make(endless, timeout_s=0.3)
        runtime.attach_or_start(job)
        assert ended(runtime, job).exit_code in (endless.exit_code, 137)
        assert "time limit of 0.3 s" in (job.folder / "log.txt").read_text()

    def test_a_folder_that_is_not_there_is_an_unknown_job(self, runtime: Runtime, make, quick: Work) -> None:
        job = make(quick)
        runtime.stop(job, 1.0)
        runtime.remove(job)
        assert runtime.poll(job) == JobStatus(job.id, Phase.UNKNOWN)
        assert not job.folder.exists()

    def test_a_folder_that_cannot_be_made_is_a_platform_error(
        self, runtime: Runtime, make, quick: Work, tmp_path: Path
    ) -> None:
        (tmp_path / "file").write_text("")
        job = make(quick, folder=tmp_path / "file" / "job")
        with pytest.raises(PlatformError, match=job.id) as raised:
            runtime.attach_or_start(job)
        assert raised.value.exit_code == 3

    def test_a_removed_job_leaves_its_log_and_results(self, runtime: Runtime, make, failing: Work) -> None:
        job = make(failing)
        job.folder.mkdir()
        (job.folder / "result").write_text("kept")
        runtime.attach_or_start(job)
        ended(runtime, job)
        runtime.remove(job)
        assert runtime.poll(job).phase is Phase.UNKNOWN
        assert runtime.found(job.study) == ()
        assert sorted(path.name for path in job.folder.iterdir()) == ["log.txt", "result"]

    def test_a_running_job_is_not_removed(self, runtime: Runtime, make, endless: Work) -> None:
        job = make(endless)
        runtime.attach_or_start(job)
        runtime.remove(job)
        assert runtime.poll(job).phase is Phase.RUNNING

    @pytest.mark.parametrize(("grace_s", "exit_code"), [(10.0, None), (0.0, 137)])
    def test_a_stopped_job_is_gone_with_all_its_processes_within_two_seconds(
        self, runtime: Runtime, make, endless: Work, grace_s: float, exit_code: int | None
    ) -> None:
        job = make(endless)
        pid = self.running(runtime, job, endless)
        began_s = time.monotonic()
        runtime.stop(job, grace_s)
        assert time.monotonic() - began_s < 0.5
        assert ended(runtime, job).exit_code == (exit_code or endless.exit_code)
        assert time.monotonic() - began_s < 2.0
        until(lambda: group_of(pid) == [])

    def test_a_job_that_is_stopped_before_its_start_is_not_started(self, runtime: Runtime, make, failing: Work) -> None:
        job = make(failing)
        job.folder.mkdir()
        runtime.stop(job, 0.0)
        status = runtime.attach_or_start(job)
        assert (status.phase, status.exit_code) == (Phase.EXITED, None)
        assert "before it started" in status.error
        runtime.remove(job)
        assert list(job.folder.iterdir()) == []

    def test_the_jobs_of_a_study_are_found_and_ended_by_their_ids(self, runtime: Runtime, make, endless, quick) -> None:
        one, other, third = make(endless), make(quick), make(endless, study="another")
        for job in (one, other, third):
            runtime.attach_or_start(job)
        ended(runtime, other)
        pids = [pid_of(runtime, job) for job in (one, third)]
        found = {status.id: status.phase for status in runtime.found(one.study)}
        assert found == {one.id: Phase.RUNNING, other.id: Phase.EXITED}
        assert runtime.found("yet another") == ()
        for status in runtime.found(one.study):
            runtime.end(status.id)
        assert runtime.found(one.study) == ()
        assert group(pids[0]) is None
        assert runtime.poll(third).pid == pids[1]

    def test_no_gpu_is_given_twice_by_starters_at_the_same_moment(
        self, runtime: Runtime, make, starter, endless
    ) -> None:
        jobs = [make(endless, gpus=1) for _ in range(3)]
        waiting = make(endless, gpus=1)
        for process in [starter(job, ("5", "6", "7")) for job in jobs]:
            process.stdout.readline()
        assert sorted(runtime.poll(job).gpus for job in jobs) == [("5",), ("6",), ("7",)]
        status = runtime.attach_or_start(waiting, Site(("5", "6", "7")))
        assert status.phase is Phase.PENDING
        assert all(job.id in status.waits for job in jobs)
        runtime.stop(jobs[0], 0.0)
        gpus = ended(runtime, jobs[0]).gpus
        assert runtime.attach_or_start(waiting, Site(("5", "6", "7"))).phase is Phase.RUNNING
        assert runtime.poll(waiting).gpus == gpus

    def test_shares_of_a_gpu_add_up_to_one(self, runtime: Runtime, make, endless: Work) -> None:
        site = Site(("8", "9"))
        first, second, third = (make(endless, gpus=0.5) for _ in range(3))
        for job in (first, second):
            runtime.attach_or_start(job, site)
        assert [runtime.poll(job).gpus for job in (first, second)] == [("8",), ("8",)]
        assert runtime.attach_or_start(make(endless, gpus=2), site).phase is Phase.PENDING
        assert runtime.attach_or_start(third, site).gpus == ("9",)

    def test_a_secret_is_in_the_jobs_environment_and_on_no_disk(self, runtime: Runtime, make, endless: Work) -> None:
        job = make(endless, secrets=("SIGN_IN",))
        with pytest.raises(PlatformError, match="SIGN_IN"):
            runtime.attach_or_start(job)
        runtime.attach_or_start(job, Site(secrets={"SIGN_IN": "hush-hush"}))
        words = Path(f"/proc/{pid_of(runtime, job)}/environ").read_bytes().split(b"\0")
        assert b"SIGN_IN=hush-hush" in words
        assert not any(b"hush-hush" in path.read_bytes() for path in job.folder.rglob("*") if path.is_file())
        assert "hush-hush" not in " ".join(runtime.command(job))

    def test_it_works_here(self, runtime: Runtime) -> None:
        found = runtime.probe()
        assert found.ok
        assert found.detail


class ProcessContract(RuntimeContract):
    """More, for runtimes whose jobs are processes of this machine."""

    def owner(self, job: JobSpec) -> dict[str, Any]:
        values: dict[str, Any] = json.loads((job.folder / "pid.json").read_text())
        return values

    def test_a_killed_job_is_seen_as_killed(self, runtime: Runtime, make, endless: Work) -> None:
        job = make(endless)
        pid = self.running(runtime, job, endless)
        os.kill(pid, signal.SIGKILL)
        assert ended(runtime, job).exit_code == 137
        until(lambda: group_of(pid) == [])

    def test_its_environment_is_clean(
        self, runtime: Runtime, make, endless: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        leaks = ("WORLD_SIZE", "RANK", "LOCAL_RANK", "NODE_RANK", "MASTER_PORT", "RAY_JOB_ID", "JOB_ID")
        secrets = ("AWS_SECRET_ACCESS_KEY", "NGC_API_KEY", "MY_TOKEN")
        for variable in (*leaks, *secrets, "TAO_AUTOML_SEED", "CUDA_VISIBLE_DEVICES"):
            monkeypatch.setenv(variable, "7")
        monkeypatch.setenv("LANG", "C.UTF-8")
        job = make(replace(endless, env={**endless.env, "RANK": "given", "ASKED": "value of its own"}), cpus=2.0)
        pid = self.running(runtime, job, endless)
        words = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
        found = dict(word.split("=", 1) for word in words if word)
        assert found.keys() & {*leaks, *secrets, "TAO_AUTOML_SEED", "CUDA_VISIBLE_DEVICES"} == {"RANK"}
        assert (found["RANK"], found["ASKED"], found["LANG"]) == ("given", "value of its own", "C.UTF-8")
        assert found["OMP_NUM_THREADS"] == "2"
        assert not any(b"value of its own" in path.read_bytes() for path in job.folder.iterdir())

    def test_it_gets_the_signals_that_its_starter_ignores_or_blocks(
        self, runtime: Runtime, make, endless: Work
    ) -> None:
        hangup = signal.signal(signal.SIGHUP, signal.SIG_IGN)
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            job = make(endless)
            pid = self.running(runtime, job, endless)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            signal.signal(signal.SIGHUP, hangup)

        def gets_all() -> bool:
            lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
            kept = int(lines["SigIgn"], 16) | int(lines["SigBlk"], 16)
            return not any(kept >> (number - 1) & 1 for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM))

        until(gets_all)  # a process blocks every signal for the moment in which it starts another one

    def test_without_its_supervisor_it_is_still_seen_and_can_be_stopped(
        self, runtime: Runtime, make, endless: Work
    ) -> None:
        job = make(endless)
        pid = self.running(runtime, job, endless)
        kill(self.owner(job)["supervisor"])
        assert runtime.poll(job).pid == pid
        runtime.stop(job, 10.0)
        assert ended(runtime, job).exit_code is None
        until(lambda: group_of(pid) == [])

    @pytest.mark.parametrize(
        "changed",
        [
            {"supervisor": os.getpid(), "job": os.getpid()},  # both pids are somebody else's by now
            {"boot": "an earlier one", "supervisor": os.getpid()},
            {"supervisor": 2**22 + 1, "job": 2**22 + 2, "job_started": None},  # no such processes
        ],
    )
    def test_a_process_that_is_not_the_jobs_is_not_taken_for_it(
        self, runtime: Runtime, make, endless: Work, changed: dict[str, Any]
    ) -> None:
        job = make(endless)
        pid = self.running(runtime, job, endless)
        owner = self.owner(job)
        kill(owner["supervisor"])
        os.killpg(pid, signal.SIGKILL)
        (job.folder / "pid.json").write_text(json.dumps({**owner, **changed}))
        status = runtime.attach_or_start(job)
        assert (status.phase, status.exit_code) == (Phase.EXITED, None)

    def test_a_job_that_starts_while_somebody_looks_is_not_taken_for_lost(
        self, runtime: Runtime, make, endless: Work, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        job = make(endless)
        pid = self.running(runtime, job, endless)
        looks = iter([None])  # the first look comes a moment before the file
        found = supervisor.owner
        monkeypatch.setattr(supervisor, "owner", lambda folder: next(looks, found(folder)))
        status = runtime.poll(job)
        assert (status.phase, status.pid) == (Phase.RUNNING, pid)

    def test_a_job_whose_bookkeeping_is_damaged_is_lost(self, runtime: Runtime, make, quick: Work) -> None:
        job = make(quick)
        job.folder.mkdir()
        (job.folder / "pid.json").write_text("")
        status = runtime.attach_or_start(job)
        assert (status.phase, status.exit_code) == (Phase.EXITED, None)
