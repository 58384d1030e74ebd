"""A model's profile: what runs when nothing is said of data and classes, if it can; never mixed with what is said."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tao_automl import plan as plans
from tao_automl.errors import AutoMLError, PlatformError, UsageError
from tao_automl.plan import Plan
from tests.engine import Engine
from tests.fakes.tiny import NOW, SKILL, coco, settings
from tests.s3 import Bucket

UNNAMED = {"train_data": None, "val_data": None}


@pytest.fixture
def skill(tmp_path: Path, s3: Bucket) -> Path:
    """The tiny skill with a profile, whose data lies in a bucket."""
    folder = Path(shutil.copytree(SKILL, tmp_path / "skill"))
    lines = ["model: tiny", f"train_data: {s3.url('train')}", f"val_data: {s3.url('val')}", "num_classes: 5"]
    lines += ["trials: 7", "epochs: 2", "gpus: 1", "set:", "  train.optim.weight_decay: 0.5"]
    (folder / "profile.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for split in ("train", "val"):
        coco(s3.folder / split)
    return folder


def prepared(skill: Path, **flags: Any) -> Plan:
    tmp_path = skill.parent
    asked = {**UNNAMED, "skill_dir": str(skill), "node_gpus": 1, "cache_dir": str(tmp_path / "cache"), **flags}
    return plans.prepare(settings(tmp_path, **asked), NOW)


def refused(skill: Path, **flags: Any) -> AutoMLError:
    """The error; nothing was made but what the cache has."""
    for split in ("train", "val"):
        coco(skill.parent / split)
    before = sorted(path for path in skill.parent.rglob("*") if "cache" not in path.parts)
    with pytest.raises(AutoMLError) as raised:
        prepared(skill, **flags)
    assert sorted(path for path in skill.parent.rglob("*") if "cache" not in path.parts) == before
    return raised.value


def test_with_a_runtime_a_gpu_and_its_data_in_reach_the_profile_is_what_runs(skill, s3):
    made = prepared(skill)
    assert made.profile is not None
    assert (made.profile.lacks, made.embedded, made.runtime) == (None, False, "process")
    assert (made.trials, made.epochs, made.gpus) == (7, 2, 1)
    assert [item.url for item in made.data.all] == [s3.url("train"), s3.url("val")]
    assert made.launch.overrides["dataset.num_classes"] == 5
    assert made.settings.origin("train_data") == "profile of tiny"


def test_what_says_nothing_of_data_goes_over_the_profile(skill):
    made = prepared(skill, trials=3, set="train.precision=fp16")
    assert (made.trials, made.epochs) == (3, 2)
    assert made.launch.overrides["train.precision"] == "fp16"
    assert made.launch.overrides["train.optim.weight_decay"] == 0.5


def test_the_users_data_is_never_trained_with_the_profiles_values(skill):
    folders = {name: str(coco(skill.parent / name.partition("_")[0])) for name in UNNAMED}
    made = prepared(skill, **folders)
    assert made.profile is None
    assert made.launch.overrides["dataset.num_classes"] == 3
    assert (made.trials, made.gpus) == (10, 0)
    assert "train.optim.weight_decay" not in made.launch.overrides


@pytest.mark.parametrize(
    ("named", "missing"),
    [
        ({"train_data": "train"}, "--val-data"),
        ({"val_data": "val"}, "--train-data"),
        ({"num_classes": 9}, "--train-data"),
        ({"set": "dataset.num_classes=9"}, "--train-data"),
    ],
)
def test_one_value_of_the_user_is_not_completed_from_the_profile(skill, monkeypatch, named, missing):
    monkeypatch.chdir(skill.parent)
    error = refused(skill, **named)
    assert (type(error), error.code) == (UsageError, "data-missing")
    assert missing in f"{error.message} {error.tip}"


@pytest.mark.parametrize("named", [{"num_classes": 9}, {"set": "dataset.num_classes=9"}])
def test_classes_alone_do_not_start_the_stand_in_either(skill, named):
    error = refused(skill, runtime=None, **named)
    assert error.exit_code == 2
    assert "a number of classes is named, but no data" in error.message


@pytest.mark.parametrize(
    ("lacking", "said"), [({"node_gpus": 0}, "a trial needs 1 GPU, and this machine has 0"), ({}, "there is no s3://")]
)
def test_with_a_runtime_and_out_of_reach_it_says_so_and_offers_the_stand_in(skill, s3, lacking, said):
    if not lacking:
        shutil.rmtree(s3.folder / "train")
    error = refused(skill, **lacking)
    assert (type(error), error.code) == (PlatformError, "profile-unreachable")
    assert said in error.message
    assert "--runtime standin" in error.tip


def test_without_credentials_it_is_out_of_reach(skill, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    assert "credentials" in refused(skill).message


def test_a_profile_that_is_no_study_file_names_its_line(skill):
    (skill / "profile.yaml").write_text("model: tiny\ntrails: 3\n", encoding="utf-8")
    error = refused(skill)
    assert "profile.yaml:2: 'trails' is not a setting" in error.message


def dino(tmp_path: Path, **flags: Any) -> Plan:
    named = {**UNNAMED, "skill_dir": None, "model": "dino", "runtime": None, **flags}
    return plans.prepare(settings(tmp_path, **named), NOW)


@pytest.mark.parametrize(
    ("lacking", "said"),
    [
        ({"node_gpus": 0}, "a trial needs 1 GPU, and this machine has 0"),
        ({"address": "auto"}, "nothing says which runtime the cluster has"),
    ],
)
def test_where_nothing_at_all_is_named_the_stand_in_runs_instead(tmp_path, lacking, said):
    made = dino(tmp_path, **lacking)
    assert made.embedded
    assert made.profile is not None
    assert made.profile.lacks == said
    assert (made.trials, made.epochs, made.settings["num_classes"]) == (10, 10, None)


def test_without_an_engine_the_stand_in_runs_instead(tmp_path, monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/none.sock")
    made = dino(tmp_path, node_gpus=1)
    assert made.embedded
    assert "none.sock" in made.profile.lacks


def test_who_asks_for_the_stand_in_hears_nothing_of_the_profile(tmp_path):
    made = dino(tmp_path, runtime="standin", num_classes=5)
    assert made.profile is None
    assert made.embedded


def test_with_an_engine_a_gpu_and_its_data_it_runs_in_containers(skill, docker_env: Engine):
    made = prepared(skill, runtime=None)
    assert (made.runtime, made.embedded, made.trials) == ("docker", False, 7)
    assert made.profile.lacks is None
