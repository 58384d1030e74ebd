"""What this machine can give a trial."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tao_automl import capacity
from tao_automl.capacity import Need
from tao_automl.config import Layer, resolve
from tao_automl.errors import PlatformError
from tao_automl.execution import gpus


@pytest.fixture
def four(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A machine whose driver lists four GPUs."""
    for number in range(4):
        (tmp_path / f"0000:0{number}:00.0").mkdir()
    monkeypatch.setattr(gpus, "PROC", tmp_path)


@pytest.mark.parametrize(
    ("visible", "count"), [(None, 4), ("2,3", 2), ("GPU-a, GPU-b,", 2), ("", 0), ("-1", 0), ("0,1,2,3,4,5", 4)]
)
def test_gpus_are_those_that_are_there_and_visible(four, monkeypatch, visible, count):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert capacity.gpus_here(resolve([])) == count
    assert capacity.gpus_here(resolve([Layer("flag", {"node_gpus": "1"})])) == 1


@given(st.floats(0.01, 0.99), st.integers(0, 8))
def test_shares_on_a_device_never_add_up_to_more_than_it_is(share, devices):
    held = capacity.fitting(share, devices)
    assert held % max(1, devices) == 0
    assert held / max(1, devices) * share <= 1 + 1e-6
    assert held >= devices


@given(st.integers(1, 9), st.integers(0, 64))
def test_whole_devices_hold_as_many_trials_as_fit(each, devices):
    assert capacity.fitting(each, devices) * each <= devices < (capacity.fitting(each, devices) + 1) * each


def test_what_does_not_fit_on_this_machine_is_refused():
    capacity.check_room(Need(2, 1, in_containers=True), 2)
    capacity.check_room(Need(0, 1, in_containers=True), None)
    with pytest.raises(PlatformError, match="a trial needs 1 GPU, and this machine has 0"):
        capacity.check_room(Need(1, 1, in_containers=True), 0)
    with pytest.raises(PlatformError, match="needs 2 nodes"):
        capacity.check_room(Need(1, 2, in_containers=True), 8)
