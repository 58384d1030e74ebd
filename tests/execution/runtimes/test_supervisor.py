"""What stands between a job and whoever started it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

from tao_automl.execution.runtimes import supervisor
from tests.contracts.runtime_contract import until


def start(folder: Path, script: str, timeout_s: float | None = None) -> subprocess.CompletedProcess[bytes]:
    """Run the supervisor as its program is run; it goes on in the background."""
    order = {"command": ["sh", "-c", script], "timeout_s": timeout_s}
    (folder / "start.json").write_text(json.dumps(order))
    words = [sys.executable, "-I", "-S", supervisor.__file__, str(folder)]
    return subprocess.run(words, capture_output=True, check=True, timeout=10)


def test_a_process_has_the_same_start_time_each_time_and_another_one_another() -> None:
    mine = supervisor.start_time(os.getpid())
    assert mine is not None
    assert supervisor.start_time(os.getpid()) == mine
    time.sleep(0.05)  # the kernel counts in hundredths of a second
    other = subprocess.Popen(["sleep", "60"])
    assert supervisor.start_time(other.pid) not in (None, mine)
    other.kill()
    until(lambda: supervisor.start_time(other.pid) is None)  # dead, although nobody has waited for it
    other.wait()
    assert supervisor.start_time(other.pid) is None


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    supervisor.write(tmp_path / "stop.json", {"kill_at_s": 1.5})
    supervisor.write(tmp_path / "stop.json", {"kill_at_s": 2.5})
    assert json.loads((tmp_path / "stop.json").read_text()) == {"kill_at_s": 2.5}
    assert [path.name for path in tmp_path.iterdir()] == ["stop.json"]


def test_a_folder_is_claimed_once(tmp_path: Path) -> None:
    assert supervisor.claim(tmp_path)
    owner = (tmp_path / "pid.json").read_text()
    assert not supervisor.claim(tmp_path)
    assert (tmp_path / "pid.json").read_text() == owner
    assert json.loads(owner)["supervisor"] == os.getpid()
    assert [path.name for path in tmp_path.iterdir()] == ["pid.json"]


def test_its_starter_waits_neither_for_the_job_nor_for_its_output(tmp_path: Path) -> None:
    began_s = time.monotonic()
    start(tmp_path, "sleep 1; echo late; exit 4")
    assert time.monotonic() - began_s < 0.9
    assert not (tmp_path / "exit.json").exists()
    until((tmp_path / "exit.json").exists)
    assert json.loads((tmp_path / "exit.json").read_text())["exit_code"] == 4
    assert (tmp_path / "log.txt").read_text() == "late\n"


def test_a_second_one_leaves_the_job_to_the_first(tmp_path: Path) -> None:
    for _ in range(3):
        start(tmp_path, "echo once")
    until((tmp_path / "exit.json").exists)
    time.sleep(0.1)  # for one that would run it again
    assert (tmp_path / "log.txt").read_text() == "once\n"


def test_a_stop_asked_for_before_the_start_counts(tmp_path: Path) -> None:
    supervisor.write(tmp_path / "stop.json", {"kill_at_s": time.time() - 1})
    start(tmp_path, "sleep 300")
    until((tmp_path / "exit.json").exists)
    assert json.loads((tmp_path / "exit.json").read_text())["exit_code"] == 137
