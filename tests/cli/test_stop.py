"""`tao-automl stop`: the wish is in the study's storage, where its driver finds it."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tao_automl.layout import StudiesPaths, StudyPaths
from tao_automl.lock import StudyLock
from tao_automl.search import attributes
from tao_automl.search import study as studies
from tests.cli import study_on_disk


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    study_on_disk.make(folder / "studies")
    return folder


@pytest.fixture
def coco(made: Path, tmp_path: Path) -> StudyPaths:
    """A study with one active trial, for one test."""
    shutil.copytree(made / "studies", tmp_path / "studies")
    return StudiesPaths(tmp_path / "studies").study("coco")


def wish(folder: Path) -> Any:
    storage = studies.open_storage(StudiesPaths(folder / "studies").storage_url, create=False)
    return studies.load(storage, "coco").user_attrs.get(attributes.STOP)


def test_active_trials_may_finish(call, coco: StudyPaths, tmp_path: Path) -> None:
    with StudyLock(coco.lock, "coco"):
        said = call("stop", "coco")
    assert said.code == 0
    assert wish(tmp_path) == "drain"
    assert said.out == "coco: no new trials; 1 active one will finish\n"
    assert said.err == "To kill them: tao-automl stop coco --now\n"


def test_now_they_are_killed(call, coco: StudyPaths, tmp_path: Path) -> None:
    with StudyLock(coco.lock, "coco"):
        said = call("stop", "coco", "--now")
    assert said.code == 0
    assert wish(tmp_path) == "now"
    assert said.out == "coco: 1 active trial will be killed; 'resume' starts them again\n"


@pytest.mark.parametrize("options", [(), ("--now",)])
def test_where_nobody_drives_the_study_nothing_is_asked(call, coco: StudyPaths, tmp_path: Path, options) -> None:
    said = call("stop", "coco", *options)
    assert said.code == 0
    assert wish(tmp_path) is None
    assert said.out == "coco: nothing drives it, so there is nothing to stop\n"
    assert said.err == "Next: tao-automl resume coco\n"


@pytest.mark.parametrize("driven", [True, False])
def test_as_json_it_says_whether_somebody_was_asked(call, coco: StudyPaths, driven: bool) -> None:
    if driven:
        with StudyLock(coco.lock, "coco"):
            said = call("stop", "--json")
    else:
        said = call("stop", "--json")
    assert said.document == {"schema": 1, "study": "coco", "asked": driven, "now": False, "active": 1}
    assert said.err == ""
