"""`tao-automl skills check`."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tao_automl.layout import skills_dir
from tests.fakes.tiny import SKILL


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    for name in ("tao-train-one", "tao-train-two"):
        shutil.copytree(SKILL, tmp_path / "bank" / name)
    return tmp_path / "bank"


def test_sound_skills_are_a_line_each(call, bank: Path) -> None:
    said = call("skills", "check", "--skill-dir", str(bank))
    assert said.code == 0
    header, *lines = said.out.splitlines()
    assert header.split() == ["SKILL", "ACTIONS", "SEARCHED", "STATE"]
    assert [line.split()[0] for line in lines] == ["tao-train-one", "tao-train-two"]
    assert all(line.endswith("sound") for line in lines)
    assert said.err.rstrip().endswith("2 skills, all sound")


def test_without_a_folder_those_that_we_ship_are_checked_and_are_sound(call) -> None:
    said = call("skills", "check")
    assert said.code == 0, said.out
    assert said.err.rstrip().endswith("4 skills, all sound")


def test_what_is_wrong_is_said_and_the_exit_code_is_one(call, bank: Path) -> None:
    (bank / "tao-train-two/schemas/train.schema.json").write_text("{")
    said = call("skills", "check", "--skill-dir", str(bank))
    assert said.code == 1
    assert f"{bank / 'tao-train-two'}\n  " in said.out
    assert "train.schema.json:1:2: broken JSON" in said.out
    assert "2 skills, 1 problem in 1 skill" in said.err


def test_one_folder_may_be_named(call, bank: Path) -> None:
    document = call("skills", "check", "--skill-dir", str(bank / "tao-train-one"), "--json").document
    (one,) = document["skills"]
    assert (document["schema"], document["sound"], one["problems"]) == (1, True, [])
    assert one["actions"][0] == "train"


def test_a_folder_without_skills_is_refused(call, tmp_path: Path) -> None:
    said = call("skills", "check", "--skill-dir", str(tmp_path))
    assert (said.code, said.out) == (2, "")
    assert f"no skill in {tmp_path}" in said.err


def test_a_bank_of_the_environment_is_checked_with_the_facts_that_we_have(call, monkeypatch, tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "models" / "tao-train-dino"
    shutil.copytree(skills_dir() / "tao-train-dino", folder)
    (folder / "automl.yaml").unlink()
    monkeypatch.setenv("TAO_AUTOML_SKILLS", str(tmp_path / "deep"))
    (dino,) = call("skills", "check", "--json").document["skills"]
    assert (dino["folder"], dino["model"], dino["problems"]) == (str(folder), "dino", [])
