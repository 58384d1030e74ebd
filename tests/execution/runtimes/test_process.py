"""The process runtime: jobs as processes of this machine."""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from tao_automl.errors import PlatformError, UsageError
from tao_automl.execution import runtimes
from tao_automl.execution.job import Phase, Site
from tests.contracts.runtime_contract import ProcessContract, Work, ended, group, group_of, pid_of, until


def shell(script: str, **values) -> Work:
    return Work(("sh", "-c", script), **values)


class TestProcess(ProcessContract):
    @pytest.fixture
    def name(self) -> str:
        return "process"

    @pytest.fixture
    def quick(self) -> Work:
        return shell("true", exit_code=0)

    @pytest.fixture
    def failing(self) -> Work:
        return shell("echo out of luck; echo and of words >&2; exit 3", exit_code=3, says="out of luck\nand of words\n")

    @pytest.fixture
    def endless(self) -> Work:
        return shell("sh -c 'sleep 300 & wait' & sleep 300", exit_code=143, processes=4)

    @pytest.mark.parametrize(("script", "exit_code"), [("exit 255", 255), ("kill -9 $$", 137), ("kill -11 $$", 139)])
    def test_an_exit_code_tells_of_signals_too(self, runtime, make, script, exit_code) -> None:
        job = make(shell(script))
        runtime.attach_or_start(job)
        assert ended(runtime, job).exit_code == exit_code

    def test_a_command_that_is_not_there_ends_with_127_as_in_a_shell(self, runtime, make) -> None:
        job = make(Work(("no-such-program", "train")))
        runtime.attach_or_start(job)
        assert ended(runtime, job).exit_code == 127
        assert (job.folder / "log.txt").read_text() == "no-such-program: No such file or directory\n"

    def test_a_file_that_is_no_program_ends_with_126(self, runtime, make, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("not a program")
        job = make(Work((str(tmp_path / "text"),)))
        runtime.attach_or_start(job)
        assert ended(runtime, job).exit_code == 126

    def test_it_runs_in_its_folder_with_nothing_to_read(self, runtime, make) -> None:
        job = make(shell("pwd; cat"))
        runtime.attach_or_start(job)
        assert ended(runtime, job).exit_code == 0
        assert (job.folder / "log.txt").read_text() == f"{job.folder}\n"

    def test_what_it_prints_is_there_while_it_runs(self, runtime, make) -> None:
        job = make(shell("echo first; sleep 300"))
        runtime.attach_or_start(job)
        until(lambda: (job.folder / "log.txt").exists() and (job.folder / "log.txt").read_text() == "first\n")
        assert runtime.poll(job).phase is Phase.RUNNING

    def test_a_job_that_goes_on_after_sigterm_is_killed_when_the_grace_is_over(self, runtime, make) -> None:
        job = make(shell("trap 'echo asked' TERM; echo ready; while :; do sleep 0.05; done"))
        runtime.attach_or_start(job)
        until(lambda: "ready" in (job.folder / "log.txt").read_text())
        pid, began_s = pid_of(runtime, job), time.monotonic()
        runtime.stop(job, 0.7)
        assert ended(runtime, job).exit_code == 137
        assert 0.6 < time.monotonic() - began_s < 5.0
        assert "asked" in (job.folder / "log.txt").read_text()
        until(lambda: group_of(pid) == [])

    def test_a_job_that_ends_well_within_the_grace_keeps_its_own_exit_code(self, runtime, make) -> None:
        job = make(shell("trap 'sleep 0.1; exit 5' TERM; echo ready; while :; do sleep 0.05; done"))
        runtime.attach_or_start(job)
        until(lambda: "ready" in (job.folder / "log.txt").read_text())
        runtime.stop(job, 10.0)
        assert ended(runtime, job).exit_code == 5

    def test_a_second_stop_may_cut_the_grace_short(self, runtime, make) -> None:
        job = make(shell("trap '' TERM; echo ready; while :; do sleep 0.05; done"))
        runtime.attach_or_start(job)
        until(lambda: "ready" in (job.folder / "log.txt").read_text())
        began_s = time.monotonic()
        runtime.stop(job, 60.0)
        time.sleep(0.1)
        assert runtime.poll(job).phase is Phase.RUNNING
        runtime.stop(job, 0.0)
        assert ended(runtime, job).exit_code == 137
        assert time.monotonic() - began_s < 10.0

    def test_what_it_leaves_in_the_background_ends_with_it(self, runtime, make) -> None:
        job = make(shell("sleep 300 & echo $!; sleep 0.2"))
        runtime.attach_or_start(job)
        pid = pid_of(runtime, job)
        assert ended(runtime, job).exit_code == 0
        until(lambda: group_of(pid) == [])

    def test_what_left_its_process_group_ends_with_it(self, runtime, make) -> None:
        job = make(shell("setsid sh -c 'sleep 300 & echo $!; sleep 301' & echo $!; wait"))
        runtime.attach_or_start(job)
        until(lambda: (job.folder / "log.txt").read_text().count("\n") == 2)
        pids = [int(word) for word in (job.folder / "log.txt").read_text().split()]
        assert all(group(pid) is not None for pid in pids)
        runtime.stop(job, 0.0)
        assert ended(runtime, job).exit_code == 137
        assert all(group(pid) is None for pid in pids)

    def test_its_gpus_are_all_it_sees(self, runtime, make) -> None:
        job = make(shell("echo $CUDA_VISIBLE_DEVICES $NVIDIA_VISIBLE_DEVICES"), gpus=2)
        runtime.attach_or_start(job, Site(("3", "GPU-5a")))
        assert ended(runtime, job).gpus == ("3", "GPU-5a")
        assert (job.folder / "log.txt").read_text() == "3,GPU-5a 3,GPU-5a\n"

    def test_a_job_of_another_host_is_left_to_it(self, runtime, make) -> None:
        job = make(shell("true"))
        job.folder.mkdir()
        (job.folder / "pid.json").write_text('{"supervisor": 1, "started": "1", "boot": "b", "host": "node-b"}')
        status = runtime.attach_or_start(job)
        assert (status.phase, status.node, status.waits) == (Phase.PENDING, "node-b", "it runs on node-b")
        (job.folder / "exit.json").write_text('{"exit_code": 4, "started_at_s": 1.0, "ended_at_s": 2.0}')
        status = runtime.poll(job)
        assert (status.phase, status.node, status.exit_code) == (Phase.EXITED, "node-b", 4)

    def test_a_command_that_is_not_on_the_path_is_said_before_anything_starts(self, runtime, make) -> None:
        runtime.prepare(make(shell("true")), print)
        with pytest.raises(PlatformError, match="no-such-program is not on the PATH of node") as raised:
            runtime.prepare(make(Work(("no-such-program", "train"))), print)
        assert "--runtime docker" in raised.value.tip

    def test_a_job_whose_folder_is_gone_is_forgotten(self, runtime, make) -> None:
        job = make(shell("true"))
        runtime.attach_or_start(job)
        ended(runtime, job)
        shutil.rmtree(job.folder)
        assert runtime.found(job.study) == ()


def test_the_files_of_the_folder_are_the_runtimes_names() -> None:
    assert {"process", "standin"} <= set(runtimes.names())
    assert "supervisor" not in runtimes.names()


def test_a_misspelt_runtime_gets_near_matches() -> None:
    with pytest.raises(UsageError, match="no runtime 'proces'") as raised:
        runtimes.by_name("proces")
    assert "'process'" in raised.value.tip
