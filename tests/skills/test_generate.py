"""The generated files of the skills are what their source says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKILLS = Path(__file__).resolve().parents[2] / "skills"
COMMAND = [sys.executable, str(SKILLS / "source" / "generate.py")]


def generate(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, check=False)


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for folder in SKILLS.glob("tao-train-*"):
        shutil.copytree(folder, tmp_path / folder.name)
    return tmp_path


def test_nothing_has_drifted_from_the_source() -> None:
    done = generate("--check")
    assert (done.returncode, done.stdout) == (0, "")


def test_each_kind_of_drift_is_named_and_repaired(copied: Path) -> None:
    folder = copied / "tao-train-dino"
    changed, missing = folder / "schemas/train.schema.json", folder / "references/spec_template_export.yaml"
    before = changed.read_text(encoding="utf-8")
    changed.write_text(before.replace('"default": 0.0002', '"default": 0.0003'), encoding="utf-8")
    missing.unlink()
    (folder / "schemas/prune.schema.json").write_text("{}", encoding="utf-8")

    found = generate("--check", "--skills", str(copied))
    assert found.returncode == 1
    assert sorted(found.stdout.splitlines()) == [
        "tao-train-dino/references/spec_template_export.yaml is missing",
        "tao-train-dino/schemas/prune.schema.json is stale",
        "tao-train-dino/schemas/train.schema.json differs",
    ]
    assert not missing.exists()

    assert generate("--skills", str(copied)).returncode == 0
    assert generate("--check", "--skills", str(copied)).returncode == 0
    assert changed.read_text(encoding="utf-8") == before


def test_what_is_written_by_hand_is_left_alone(copied: Path) -> None:
    info = copied / "tao-train-dino/references/skill_info.yaml"
    info.write_text("# mine\n", encoding="utf-8")
    assert generate("--skills", str(copied)).returncode == 0
    assert info.read_text(encoding="utf-8") == "# mine\n"
