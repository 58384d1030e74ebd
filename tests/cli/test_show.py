"""`tao-automl show`: one study, or one trial with everything that tells what happened."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli import study_on_disk


@pytest.fixture(autouse=True)
def study(tmp_path: Path) -> None:
    study_on_disk.make(tmp_path / "studies")


def test_a_failed_trial_names_its_class_the_telling_line_and_the_fix(call) -> None:
    said = call("show", "coco/3")
    assert said.code == 0
    assert "gpu_oom" in said.out
    assert "torch.OutOfMemoryError: CUDA out of memory." in said.out
    assert "Lower the batch size." in said.out


def test_a_trial_names_its_log_and_how_to_run_it_by_hand(call) -> None:
    said = call("show", "coco/1")
    assert "studies/coco/trials/0001/attempt-1/log.txt" in said.out
    assert "studies/coco/trials/0001/attempt-1/run.sh" in said.out


def test_parameters_stand_beside_the_defaults_they_differ_from(call) -> None:
    assert "train.optim.lr" in call("show", "coco/1").out
    assert "train.optim.lr" not in call("show", "coco/0").out


def test_as_json_it_has_points_by_epoch(call) -> None:
    document = call("show", "coco/1", "--json").document
    assert document["points"] == {"0": 0.21, "8": 0.5127, "9": 0.51}


@pytest.mark.parametrize(("target", "named"), [("coco/99", "99"), ("coco/x", "x"), ("none/1", "none")])
def test_what_is_not_there_is_said(call, target: str, named: str) -> None:
    said = call("show", target)
    assert said.code == 2
    assert said.err.startswith("error: ")
    assert named in said.err


def test_a_study_shows_its_goal_and_folder(call) -> None:
    said = call("show", "coco")
    assert "maximize val_mAP50" in said.out
    assert "studies/coco" in said.out
