"""`tao-automl best`: the winner, its checkpoint file and what comes next."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli import study_on_disk


@pytest.fixture
def study(tmp_path: Path) -> Path:
    return study_on_disk.make(tmp_path / "studies").folder


def test_the_exact_file_of_the_best_epoch_is_named(call, study: Path) -> None:
    document = call("best", "coco", "--json").document
    assert document["trial"] == 1
    assert document["epoch"] == 8
    assert document["value"] == 0.5127
    assert document["checkpoint"] == str(study / "trials/0001/attempt-1/train/model_epoch_008_step_00100.pth")
    assert Path(document["spec"]).is_file()
    assert set(document["params"]) == {"train.optim.lr", "train.optim.weight_decay"}


def test_the_only_study_need_not_be_named(call, study: Path) -> None:
    assert call("best", "--json").document["study"] == "coco"


def test_the_text_names_the_next_command_and_the_defaults(call, study: Path) -> None:
    said = call("best", "coco")
    assert "tao-automl action evaluate coco" in said.out + said.err
    assert "0.4688" in said.out


def test_a_checkpoint_that_is_gone_is_null_not_a_wrong_path(call, study: Path) -> None:
    for file in study.rglob("*.pth"):
        file.unlink()
    assert call("best", "coco", "--json").document["checkpoint"] is None


def test_a_study_without_a_result_says_so(call, tmp_path: Path) -> None:
    study_on_disk.create(tmp_path / "studies", "empty")
    said = call("best", "empty")
    assert said.code == 1
    assert "empty" in said.err + said.out


def test_what_mattered_is_not_known_from_two_trials(call, study: Path) -> None:
    assert call("best", "coco", "--json").document["importances"] == {
        "method": "ped-anova",
        "trials": 2,
        "missing_trials": 18,
        "shares": {},
    }
    assert "18 more trials that end well would say" in call("best", "coco").out
