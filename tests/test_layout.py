"""Paths: derived in one place, stored in a form that survives moving the studies."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tao_automl.layout import StudiesPaths, StudyPaths, configs_dir, skills_dir


def test_attempts_are_listed_in_their_order(tmp_path: Path) -> None:
    study = StudyPaths(tmp_path)
    for attempt in (10, 2, 1):
        study.attempt(8, attempt).folder.mkdir(parents=True)
    assert [item.folder.name for item in study.attempts(8)] == ["attempt-1", "attempt-2", "attempt-10"]
    assert study.trial(8).name == "0008"


def test_each_run_of_an_action_has_a_folder_of_its_own(tmp_path: Path) -> None:
    study = StudyPaths(tmp_path)
    first = study.next_action("export")
    first.folder.mkdir(parents=True)
    study.next_action("evaluate").folder.mkdir()
    assert first.folder.name == "export-001"
    assert study.next_action("export").folder.name == "export-002"


def test_a_changed_archive_is_unpacked_elsewhere(tmp_path: Path) -> None:
    archive, studies = tmp_path / "images.tar.gz", StudiesPaths(tmp_path / "studies")
    archive.write_bytes(b"one")
    first = studies.unpacked(archive)
    assert studies.unpacked(archive) == first
    os.utime(archive, ns=(1, 1))
    assert studies.unpacked(archive) != first
    with pytest.raises(FileNotFoundError):
        studies.unpacked(tmp_path / "gone.tar.gz")


def test_shipped_folders_are_found_and_a_bank_may_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert (configs_dir() / "platforms").is_dir()
    assert any(skills_dir().glob("tao-train-*"))
    monkeypatch.setenv("TAO_AUTOML_SKILLS_DIR", str(tmp_path))
    assert skills_dir() == tmp_path


def test_stored_paths_are_relative_to_the_study(tmp_path: Path) -> None:
    study = StudyPaths(tmp_path / "s")
    assert study.relative(study.attempt(1, 2).spec) == "trials/0001/attempt-2/spec.yaml"
