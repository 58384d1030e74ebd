"""From flags, variables and files to settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from tao_automl.cli import _options
from tao_automl.errors import ConfigError, UsageError


def test_flag_beats_variable_beats_file_beats_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "box.yaml").write_text("gpus: 1\nparallel: 1\nepochs: 1\ntrials: 1\n", encoding="utf-8")
    (tmp_path / "study.yaml").write_text("parallel: 2\nepochs: 2\ntrials: 2\n", encoding="utf-8")
    monkeypatch.setenv("TAO_AUTOML_EPOCHS", "3")
    monkeypatch.setenv("TAO_AUTOML_TRIALS", "3")
    found = _options.settings({"trials": "4", "platform": "box.yaml"}, "study.yaml")
    assert [found[name] for name in ("gpus", "parallel", "epochs", "trials")] == [1, 2, 3, 4]
    assert [found.origin(name) for name in ("gpus", "parallel", "epochs", "trials")] == [
        "platform box",
        "file study.yaml",
        "environment",
        "flag",
    ]


def test_platform_may_be_named_in_the_study_file(tmp_path: Path) -> None:
    (tmp_path / "box.yaml").write_text("gpus: 2\n", encoding="utf-8")
    (tmp_path / "study.yaml").write_text("platform: box.yaml\n", encoding="utf-8")
    assert _options.settings({}, "study.yaml")["gpus"] == 2


def test_shipped_platform_has_a_name() -> None:
    assert _options.settings({"platform": "local"}, None).origin("runtime") == "platform local"


def test_unknown_platform() -> None:
    with pytest.raises(UsageError, match="no platform 'lokal'") as caught:
        _options.settings({"platform": "lokal"}, None)
    assert "did you mean 'local'?" in caught.value.tip


def test_wrong_value_in_a_file_names_its_line(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("model: m\ntrials: many\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"study\.yaml:2: trials many: is not a whole number"):
        _options.settings({}, "study.yaml")


def test_unknown_setting_in_a_file_has_near_matches(tmp_path: Path) -> None:
    (tmp_path / "study.yaml").write_text("model: m\ntrails: 3\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=r"study\.yaml:2: 'trails' is not a setting") as caught:
        _options.settings({}, "study.yaml")
    assert "'trials'" in caught.value.tip


def test_place_of_studies_ignores_variables_of_other_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAO_AUTOML_TRIALS", "many")
    monkeypatch.setenv("TAO_AUTOML_STUDIES_DIR", str(tmp_path / "there"))
    where = _options.where({})
    assert where.studies_dir == tmp_path / "there"
    assert where.url == f"sqlite:///{tmp_path / 'there' / 'studies.db'}"


def test_changes_are_only_what_was_typed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TAO_AUTOML_TRIALS", "30")
    assert _options.changes({"time": "1h30m", "trials": None, "env": (), "mount": ()}) == {"time": 5400.0}


@pytest.mark.parametrize(
    ("text", "found"), [(None, (None, None)), ("a", ("a", None)), ("a/8", ("a", 8)), ("/8", (None, 8))]
)
def test_study_and_trial(text: str | None, found: tuple[str | None, int | None]) -> None:
    assert _options.study_and_trial(text) == found


@pytest.mark.parametrize("text", ["a/b", "a/", "a/-1", "a/1.5"])
def test_trial_is_a_number(text: str) -> None:
    with pytest.raises(UsageError, match="names no trial"):
        _options.study_and_trial(text)
