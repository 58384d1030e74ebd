"""Which GPUs a job gets."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl.execution import gpus

IDS = st.lists(st.sampled_from(["0", "1", "2", "GPU-a", "GPU-b"]), max_size=6)
HELD = st.dictionaries(st.sampled_from(["0", "1", "2", "GPU-a", "7"]), st.sampled_from([0.0, 0.25, 0.5, 1.0]))
WANTED = st.sampled_from([0, 0.25, 0.5, 0.75, 1, 2, 3])

# Two of these would see each other's file if the lock did not keep them apart.
TAKER = """
import pathlib, sys, time
from tao_automl.execution.gpus import node_lock
for _ in range(20):
    with node_lock("test"):
        path = pathlib.Path(sys.argv[1])
        path.touch(exist_ok=False)
        time.sleep(0.001)
        path.unlink()
"""


@given(IDS, HELD, WANTED)
def test_what_is_chosen_may_be_used_and_is_free(usable, held, wanted) -> None:
    chosen = gpus.choose(usable, held, wanted)
    room = [gpu for gpu in set(usable) if (held.get(gpu, 0) + wanted <= 1 if wanted < 1 else not held.get(gpu))]
    if chosen is None:
        assert len(room) < max(1, wanted)
    else:
        assert len(chosen) == len(set(chosen)) == -(-wanted // 1)
        assert wanted == 0 or set(chosen) <= set(room)


def test_whole_devices_are_given_in_the_order_of_the_node() -> None:
    assert gpus.choose(("3", "1", "2"), {"3": 0.5}, 2) == ("1", "2")


def test_a_share_goes_to_the_fullest_device_with_room() -> None:
    assert gpus.choose(("0", "1", "2"), {"1": 0.5, "2": 0.75}, 0.5) == ("1",)
    assert gpus.choose(("0", "1", "2"), {"1": 0.5, "2": 0.75}, 0.25) == ("2",)
    assert gpus.choose(("0",), {"0": 0.75}, 0.5) is None


def test_ten_tenths_fit_on_a_device() -> None:
    assert gpus.choose(("0",), {"0": sum([0.1] * 9)}, 0.1) == ("0",)


def test_who_has_the_devices_is_said() -> None:
    assert gpus.waiting((), {}, 1) == "no GPU of this node may be used"
    assert gpus.waiting(("0",), {}, 2) == "it needs 2 GPUs, and only 0 may be used here"
    assert gpus.waiting(("0", "1"), {"1": "s-0-1", "4": "x"}, 2) == "not enough GPUs are free: 1 by s-0-1"


def test_the_lock_is_held_by_one_process_at_a_time(tmp_path: Path) -> None:
    words = [sys.executable, "-c", TAKER, str(tmp_path / "taken")]
    assert [process.wait() for process in [subprocess.Popen(words) for _ in range(3)]] == [0, 0, 0]


def test_gpus_are_counted_by_the_driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "PROC", tmp_path)
    assert gpus.count_here() == 0
    for name in ("0000:01:00.0", "0000:02:00.0"):
        (tmp_path / name).mkdir()
    assert gpus.count_here() == 2


def test_without_the_drivers_folder_its_tool_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "PROC", tmp_path / "none")
    monkeypatch.setenv("PATH", str(tmp_path))
    gpus.other_names.cache_clear()
    assert gpus.count_here() == 0
    assert gpus.other_names() == {}
    tool = tmp_path / "nvidia-smi"
    tool.write_text(
        "#!/bin/sh\necho 'GPU 0: NVIDIA H200 (UUID: GPU-1f-2)'\necho 'GPU 1: NVIDIA H200 (UUID: GPU-3a-4)'\n"
    )
    tool.chmod(0o755)
    gpus.other_names.cache_clear()
    assert gpus.count_here() == 2
    assert gpus.other_names() == {"0": "GPU-1f-2", "GPU-1f-2": "0", "1": "GPU-3a-4", "GPU-3a-4": "1"}
    gpus.other_names.cache_clear()
