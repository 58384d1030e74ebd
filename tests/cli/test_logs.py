"""`tao-automl logs`: a trial's log, whole or its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli import study_on_disk


@pytest.fixture(autouse=True)
def study(tmp_path: Path) -> None:
    study_on_disk.make(tmp_path / "studies")


def test_the_log_of_a_trial_is_printed(call) -> None:
    said = call("logs", "coco/3")
    assert said.code == 0
    assert "CUDA out of memory" in said.out
    assert said.out.endswith("bye\n")


def test_without_a_number_it_says_how_to_name_one(call) -> None:
    said = call("logs", "coco")
    assert said.code == 2
    assert "coco/0" in said.err


def test_a_trial_without_a_log_is_said(call, tmp_path: Path) -> None:
    for path in tmp_path.rglob("log.txt"):
        path.unlink()
    said = call("logs", "coco/3")
    assert said.code != 0
    assert said.err.startswith("error: ")
