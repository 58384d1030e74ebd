"""`tao-automl models`: what can be tuned, and why something cannot."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tao_automl.layout import skills_dir
from tests.fakes import bank as fake


@pytest.fixture
def bank(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bank of skills of our own."""
    folder = tmp_path / "bank"
    shutil.copytree(skills_dir() / "tao-train-dino", folder / "tao-train-dino")
    monkeypatch.setenv("TAO_AUTOML_SKILLS_DIR", str(folder))
    return folder


def test_each_model_is_a_line_with_its_objective_and_actions(call) -> None:
    said = call("models")
    assert said.code == 0
    header, *lines = said.out.splitlines()
    assert header.split("  ")[0] == "MODEL"
    dino = next(line for line in lines if line.startswith("dino "))
    assert "17 of 117" in dino
    assert "max val_mAP50" in dino
    assert "evaluate export" in dino
    assert said.err.rstrip().endswith("What would be searched: tao-automl space deformable_detr")


def test_as_json_it_has_the_same_and_no_talk(call) -> None:
    said = call("models", "--json")
    assert said.err == ""
    assert said.document["schema"] == 1
    dino = next(item for item in said.document["models"] if item["model"] == "dino")
    assert (dino["metric"], dino["direction"], dino["tunable"], dino["keys"]) == ("val_mAP50", "maximize", 17, 117)
    assert (dino["automl_enabled"], dino["runnable"], dino["problem"]) == (True, True, None)
    assert "train" not in dino["actions"]
    assert "export" in dino["actions"]


@pytest.mark.parametrize("file", ["schemas/train.schema.json", "references/spec_template_train.yaml"])
def test_a_model_that_cannot_run_is_listed_with_what_it_lacks(call, bank: Path, file: str) -> None:
    (bank / "tao-train-dino" / file).unlink()
    (dino,) = call("models", "--json").document["models"]
    assert (dino["runnable"], dino["tunable"]) == (False, None)
    assert file in dino["problem"]
    said = call("models")
    assert (said.code, "not runnable" in said.out) == (0, True)
    assert "tao-automl space" not in said.err


def test_without_any_model_it_says_where_it_looked(call, monkeypatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TAO_AUTOML_SKILLS_DIR", str(tmp_path))
    said = call("models")
    assert (said.code, said.out) == (0, "")
    assert str(tmp_path) in said.err
    assert "TAO_AUTOML_SKILLS" in said.err
    assert call("models", "--json").document == {"schema": 1, "models": []}


def test_in_a_narrow_terminal_only_the_actions_give_way(call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    out = call("models").out
    assert "17 of 117" in out
    assert "max val_mAP50" in out
    assert "(no room for ACTIONS AFTER TRAINING: a wider terminal or --json shows it)" in out


def test_models_of_a_bank_are_listed_beside_ours_and_a_broken_one_says_why(call, monkeypatch, tmp_path: Path) -> None:
    fake.write(tmp_path / "more" / "models", "tao-train-seg")
    fake.write(tmp_path / "more" / "models", "tao-train-mute", text=None)
    broken = fake.write(tmp_path / "more" / "models", "tao-train-odd")
    (broken / "references" / "skill_info.yaml").write_text("actions: [\n")
    for line in (("models", "--json", "--skill-dir", "more"), ("models", "--json")):
        listed = {item["model"]: item for item in call(*line).document["models"]}
        assert {"dino", "seg", "mute", "odd"} <= set(listed)
        assert (listed["seg"]["metric"], listed["seg"]["direction"]) == ("val_miou", "maximize")
        assert (listed["mute"]["metric"], listed["mute"]["runnable"]) == (None, True)
        assert (listed["odd"]["runnable"], "skill_info.yaml:2" in listed["odd"]["problem"]) == (False, True)
        monkeypatch.setenv("TAO_AUTOML_SKILLS", str(tmp_path / "more"))
    said = call("models")
    assert said.code == 0
    assert any(line.startswith("odd ") and "not runnable" in line for line in said.out.splitlines())


def test_a_skill_of_a_user_stands_before_ours(call, tmp_path: Path) -> None:
    own = shutil.copytree(skills_dir() / "tao-train-dino", tmp_path / "own" / "tao-train-dino")
    (own / "automl.yaml").unlink()
    (dino,) = (
        item for item in call("models", "--json", "--skill-dir", "own").document["models"] if item["model"] == "dino"
    )
    assert dino["folder"] == str(own)
    assert (dino["metric"], dino["title"]) == ("val_mAP50", "2D object detection")
