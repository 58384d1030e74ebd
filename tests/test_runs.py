"""Which downstream actions have finished, and what they have made: read from their folders alone."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from tao_automl import runs
from tao_automl.errors import UsageError
from tao_automl.layout import StudyPaths
from tests.fakes.chain import run


@pytest.fixture
def study(tmp_path: Path) -> StudyPaths:
    return StudyPaths(tmp_path / "s")


def recorded(study: StudyPaths, name: str, age_s: int = 0, **changed) -> runs.Run:
    made = run(study, name, **changed)
    runs.record(study, made)
    stat = made.paths.result.stat()
    os.utime(made.paths.result, (stat.st_atime, stat.st_mtime - age_s))
    return made


def test_a_run_is_read_as_it_was_recorded(study: StudyPaths) -> None:
    made = recorded(study, "export-001")
    trained = recorded(
        study, "distill-001", model=study.folder / "actions" / "distill-001" / "m.pth", after="export-001"
    )
    assert runs.read(study, "export-001") == made
    assert runs.read(study, "distill-001") == trained


def test_a_study_can_be_moved(study: StudyPaths, tmp_path: Path) -> None:
    recorded(study, "export-001")
    shutil.move(study.folder, tmp_path / "t")
    moved = StudyPaths(tmp_path / "t")
    found = runs.find(moved, "export", None)
    assert found.outputs == {"export.onnx_file": moved.actions / "export-001" / "model.onnx"}
    assert found.outputs["export.onnx_file"].exists()


def test_a_file_outside_the_study_keeps_its_place(study: StudyPaths, tmp_path: Path) -> None:
    recorded(study, "export-001", outputs={"export.onnx_file": tmp_path / "mine.onnx"})
    assert runs.find(study, "export", None).outputs == {"export.onnx_file": tmp_path / "mine.onnx"}


def test_the_newest_run_of_an_action_is_found_and_each_by_its_name(study: StudyPaths) -> None:
    for number, age_s in ((1, 0), (2, 60)):
        recorded(study, f"export-00{number}", age_s)
    assert runs.find(study, "export", None).name == "export-001"
    assert runs.find(study, "export-002", None).name == "export-002"
    assert [item.name for item in runs.finished(study)] == ["export-002", "export-001"]


def test_runs_are_told_apart_by_trial(study: StudyPaths) -> None:
    recorded(study, "export-001", trial=3)
    recorded(study, "export-002", trial=7)
    assert runs.find(study, "export", 3).name == "export-001"
    with pytest.raises(UsageError, match="export-002 of study 's' is of trial 7, not of trial 3"):
        runs.find(study, "export-002", 3)


def test_the_newest_file_of_a_kind_is_one_that_is_there(study: StudyPaths) -> None:
    recorded(study, "export-001", 60)
    later = recorded(study, "export-002")
    found = runs.newest(study, 3, "onnx_file")
    assert found is not None
    assert found.name == "export-002"
    later.outputs["export.onnx_file"].unlink()
    found = runs.newest(study, 3, "onnx_file")
    assert found is not None
    assert found.name == "export-001"
    assert runs.newest(study, 4, "onnx_file") is None
    assert runs.newest(study, 3, "engine") is None


@pytest.mark.parametrize("text", ["", "{", "[]", '{"action": 1}', '{"schema": 1, "outputs": null}', "\x00"])
def test_a_broken_record_is_none(study: StudyPaths, text: str) -> None:
    made = recorded(study, "export-001")
    made.paths.result.write_text(text, encoding="utf-8")
    assert runs.finished(study) == ()


def test_what_has_not_finished_is_told_with_its_log(study: StudyPaths) -> None:
    made = run(study, "export-001")
    with pytest.raises(UsageError, match="export-001 of study 's' has not finished") as raised:
        runs.find(study, "export-001", None)
    assert str(made.paths.log) in raised.value.tip


def test_what_has_not_been_run_is_told_with_what_has(study: StudyPaths) -> None:
    recorded(study, "export-001")
    with pytest.raises(UsageError, match="no exprot-001 of trial 3 of study 's' has finished") as raised:
        runs.find(study, "exprot-001", 3)
    assert "'export-001'" in raised.value.tip


def test_a_run_and_an_action_have_different_names() -> None:
    assert runs.is_run("deploy_score-012")
    assert not runs.is_run("export")


def test_recording_leaves_nothing_else_behind(study: StudyPaths) -> None:
    made = replace(run(study, "count-001"), outputs={})
    runs.record(study, made)
    assert [path.name for path in made.paths.folder.iterdir()] == ["result.json"]
