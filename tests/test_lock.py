"""One driver per study; a driver that was killed leaves nothing to clean up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tao_automl.errors import StudyError
from tao_automl.lock import StudyLock, holder

HOLD = """
import sys, pathlib
from tao_automl.lock import StudyLock
with StudyLock(pathlib.Path(sys.argv[1]), "s"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other(tmp_path: Path):
    """Another process that holds the lock."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path / "lock")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.communicate()


def test_a_second_driver_is_refused_and_told_who_has_it(tmp_path: Path, other) -> None:
    with (
        pytest.raises(StudyError, match=f"process {other.pid} on ") as caught,
        StudyLock(tmp_path / "lock", "s"),
    ):
        pass
    assert caught.value.code == "study-locked"


def test_readers_see_who_drives(tmp_path: Path, other) -> None:
    assert str(other.pid) in (holder(tmp_path / "lock") or "")


def test_a_killed_driver_frees_the_lock(tmp_path: Path, other) -> None:
    os.kill(other.pid, signal.SIGKILL)
    other.wait()
    assert holder(tmp_path / "lock") is None
    with StudyLock(tmp_path / "lock", "s"):
        assert str(os.getpid()) in (holder(tmp_path / "lock") or "")
    assert holder(tmp_path / "lock") is None


def test_nobody_holds_a_lock_that_was_never_made(tmp_path: Path) -> None:
    assert holder(tmp_path / "lock") is None
    assert not (tmp_path / "lock").exists()
