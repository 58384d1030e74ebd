"""The profile of DINO: the study that is run when neither data nor classes are given."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from jsonschema import Draft202012Validator

from tao_automl import studyfile
from tao_automl.config import resolve
from tao_automl.layout import configs_dir, skills_dir

DATA = Path(__file__).resolve().parents[1] / "data"
FILE = skills_dir() / "tao-train-dino" / "profile.yaml"


def test_the_profile_is_a_study_file_with_the_values_of_tao() -> None:
    schema = json.loads((configs_dir() / "study.schema.json").read_text(encoding="utf-8"))
    content = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    Draft202012Validator(schema).validate(content)
    assert resolve([studyfile.read(FILE)])["model"] == "dino"
    known = yaml.safe_load((DATA / "dino_actions.yaml").read_text(encoding="utf-8"))["profile"]
    classes = known.pop("classes")
    assert content == {"model": "dino", "num_classes": classes + 1, **known}
