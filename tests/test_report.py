"""What storage and files say about studies and trials."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tao_automl import report
from tao_automl.errors import StudyError, UsageError
from tao_automl.lock import StudyLock
from tests.cli import study_on_disk


@pytest.fixture
def where(tmp_path: Path) -> report.Where:
    study_on_disk.make(tmp_path / "studies")
    return report.Where(tmp_path / "studies")


def test_a_study_has_its_winner_and_counts(where: report.Where) -> None:
    study = report.study(where, "coco", datetime.now())
    assert study.winner is not None
    assert (study.winner.trial, study.winner.value) == (1, 0.5127)
    assert dict(study.counts) == {"COMPLETE": 2, "PRUNED": 1, "FAIL": 1, "RUNNING": 1}


def test_a_study_is_running_while_somebody_drives_it(where: report.Where) -> None:
    assert report.study(where, "coco", datetime.now()).state == "stopped"
    with StudyLock(where.layout.study("coco").lock, "coco"):
        found = report.study(where, "coco", datetime.now())
        assert found.state == "running"
        assert found.driver
    assert report.study(where, "coco", datetime.now()).state == "stopped"


def test_the_only_study_is_found_without_its_name(where: report.Where) -> None:
    assert report.study(where, None, datetime.now()).name == "coco"


def test_of_several_studies_one_must_be_named(where: report.Where) -> None:
    study_on_disk.create(where.studies_dir, "other")
    with pytest.raises((UsageError, StudyError)) as error:
        report.study(where, None, datetime.now())
    assert "coco" in str(error.value) + error.value.tip


def test_a_trial_is_read_from_its_newest_attempt(where: report.Where) -> None:
    trial = report.study(where, "coco", datetime.now()).trial(4)
    assert trial.attempt == 2
    assert trial.files.folder.name == "attempt-2"
    assert not trial.is_finished


def test_a_trial_that_is_not_there_is_said(where: report.Where) -> None:
    with pytest.raises(UsageError, match="99"):
        report.study(where, "coco", datetime.now()).trial(99)


def test_without_a_database_there_are_no_studies(tmp_path: Path) -> None:
    assert report.studies(report.Where(tmp_path), datetime.now()) == ()
    assert list(tmp_path.iterdir()) == []


def test_the_folder_may_be_gone(where: report.Where) -> None:
    for path in where.layout.study("coco").folder.rglob("*.pth"):
        path.unlink()
    study = report.study(where, "coco", datetime.now())
    assert study.winner is not None
    assert study.winner.checkpoint is None
