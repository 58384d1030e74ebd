"""What is launched: template, skill, data, flags, --set; then what the engine decides."""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tao_automl import launch
from tao_automl.errors import SkillError, UsageError
from tao_automl.launch import Data, Launch
from tao_automl.layout import StudiesPaths, skills_dir
from tao_automl.tao import dataset, keypath, skill
from tao_automl.tao.metric import Direction, Metric
from tests.fakes import bank
from tests.fakes.tiny import SKILL, coco, settings


def launched(tmp_path: Path, **flags: Any) -> Launch:
    asked = settings(tmp_path, **flags)
    named = [tuple(dataset.inspect(folder) for folder in asked[split]) for split in ("train_data", "val_data")]
    return launch.training(skill.load(SKILL), asked, Data(*named))


def at(found: Launch, path: str) -> Any:
    return keypath.get(found.spec, path)


def origin(found: Launch, path: str) -> str:
    return found.chosen[path].origin


def test_the_data_is_where_the_user_says(tmp_path):
    found = launched(tmp_path)
    train, val = tmp_path / "train", tmp_path / "val"
    assert at(found, "dataset.train") == [
        {"image_dir": str(train / "images"), "json_file": str(train / "annotations.json")}
    ]
    assert at(found, "dataset.val") == {
        "image_dir": str(val / "images"),
        "json_file": str(val / "annotations.json"),
    }
    assert origin(found, "dataset.train") == "flag"


def test_several_directories_can_be_trained_on_but_one_is_validated_on(tmp_path):
    more = str(coco(tmp_path / "more"))
    found = launched(tmp_path, train_data=[str(tmp_path / "train"), more])
    assert [item["image_dir"] for item in at(found, "dataset.train")] == [
        str(tmp_path / "train" / "images"),
        str(tmp_path / "more" / "images"),
    ]
    with pytest.raises(UsageError, match=r"dataset\.val\.image_dir takes one directory, 2 are named"):
        launched(tmp_path, val_data=[str(tmp_path / "val"), more])


def test_an_archive_is_trained_on_where_it_will_be_unpacked(tmp_path):
    folder = coco(tmp_path / "packed")
    with tarfile.open(folder / "images.tar.gz", "w:gz") as archive:
        archive.add(folder / "images", "images")
    for file in (folder / "images").iterdir():
        file.unlink()
    (folder / "images").rmdir()
    found = launched(tmp_path, train_data=str(folder))
    image_dir = Path(at(found, "dataset.train[0].image_dir"))
    assert image_dir == StudiesPaths(tmp_path / "studies").unpacked(folder / "images.tar.gz") / "images"
    assert not image_dir.exists()


def test_data_may_be_named_by_set_instead_of_a_directory(tmp_path):
    named = {
        "set": [
            "dataset.train=[{image_dir: /a, json_file: /b}]",
            "dataset.val.image_dir=/c",
            "dataset.val.json_file=/d",
            "dataset.num_classes=4",
        ]
    }
    found = launched(tmp_path, train_data=None, val_data=None, **named)
    assert at(found, "dataset.train") == [{"image_dir": "/a", "json_file": "/b"}]
    assert at(found, "dataset.val.json_file") == "/d"
    assert launch.data_is_named(skill.load(SKILL), settings(tmp_path, train_data=None, val_data=None, **named))
    assert not launch.data_is_named(skill.load(SKILL), settings(tmp_path, train_data=None, val_data=None))


@pytest.mark.parametrize(("split", "flag"), [("train_data", "--train-data"), ("val_data", "--val-data")])
def test_a_split_that_nobody_names_is_missed(tmp_path, split, flag):
    with pytest.raises(UsageError, match=f"training needs {flag}") as raised:
        launched(tmp_path, **{split: None})
    assert raised.value.code == "data-missing"
    assert raised.value.tip


# Classes


def test_classes_are_counted_from_the_data(tmp_path):
    found = launched(tmp_path, train_data=str(coco(tmp_path / "gap", categories=(1, 7))))
    assert at(found, "dataset.num_classes") == 8
    assert at(found, "dataset.eval_class_ids") == [1, 2, 7]
    assert origin(found, "dataset.num_classes") == "data: highest category id + 1"


def test_a_class_count_above_the_data_is_taken_and_one_below_is_refused(tmp_path):
    assert at(launched(tmp_path, num_classes=91), "dataset.num_classes") == 91
    for flags in ({"num_classes": 2}, {"set": "dataset.num_classes=2"}):
        with pytest.raises(UsageError, match="must be at least 3") as raised:
            launched(tmp_path, **flags)
        assert raised.value.tip == "--num-classes 3, or leave it out"
        assert raised.value.code == "num-classes"


# The batch


def test_a_batch_larger_than_the_smaller_split_is_refused(tmp_path):
    coco(tmp_path / "val", images=2)
    assert at(launched(tmp_path, set="dataset.batch_size=2"), "dataset.batch_size") == 2
    with pytest.raises(UsageError, match="more than the 2 images of the smaller split") as raised:
        launched(tmp_path, set="dataset.batch_size=3")
    assert raised.value.tip == "--set dataset.batch_size=2"


def test_the_batch_counts_on_every_gpu(tmp_path):
    with pytest.raises(UsageError, match=r"2 on 2 GPU\(s\)") as raised:
        launched(tmp_path, set="dataset.batch_size=2", gpus=2)
    assert raised.value.tip == "--set dataset.batch_size=1"


# --set


def test_set_goes_before_flags_data_and_skill(tmp_path):
    asked = ["train.num_epochs=7", "dataset.eval_class_ids=[1]", "train.precision=fp16", "train.optim.lr=1e-3"]
    found = launched(tmp_path, epochs=5, set=asked)
    assert at(found, "train.num_epochs") == 7
    assert at(found, "dataset.eval_class_ids") == [1]
    assert at(found, "train.precision") == "fp16"
    assert at(found, "train.optim.lr") == 1e-3
    assert origin(found, "train.optim.lr") == "flag: set"


def test_what_nobody_sets_is_the_template_and_what_the_skill_sets_says_why(tmp_path):
    found = launched(tmp_path)
    assert at(found, "train.optim") == {"optimizer": "AdamW", "lr": 2e-4, "weight_decay": 1e-4}
    assert at(found, "train.precision") == "fp32"
    assert origin(found, "train.precision") == "skill: the safest choice"
    assert "train.optim.lr" not in found.chosen


def test_shorthand_of_the_skill_is_understood(tmp_path):
    found = launched(tmp_path, set="num_epochs=4")
    assert at(found, "train.num_epochs") == 4


def test_a_key_that_the_schema_lacks_is_refused_with_near_matches(tmp_path):
    with pytest.raises(UsageError, match=r"train\.optim\.lrr") as raised:
        launched(tmp_path, set="train.optim.lrr=1")
    assert "'train.optim.lr'" in raised.value.tip


@pytest.mark.parametrize("text", ["train.num_epochs=many", "train.num_epochs=1.5", "train.optim.lr=[1]"])
def test_a_value_of_the_wrong_type_is_refused(tmp_path, text):
    with pytest.raises(UsageError, match=text.split("=", maxsplit=1)[0].replace(".", r"\.")):
        launched(tmp_path, set=text)


def test_text_stays_text(tmp_path):
    found = launched(tmp_path, set=["dataset.val.image_dir=2024", "dataset.val.json_file=yes"])
    assert at(found, "dataset.val") == {"image_dir": "2024", "json_file": "yes"}


def test_the_results_folder_is_no_users_choice(tmp_path):
    with pytest.raises(UsageError, match="each run has its own results folder"):
        launched(tmp_path, set="results_dir=/tmp")


# What the engine decides


def test_each_validated_epoch_has_a_checkpoint(tmp_path):
    found = launched(tmp_path, epochs=6, set=["train.validation_interval=2", "train.checkpoint_interval=4"])
    assert (at(found, "train.validation_interval"), at(found, "train.checkpoint_interval")) == (2, 2)
    assert origin(found, "train.checkpoint_interval") == "engine: each validated epoch needs a checkpoint"
    found = launched(tmp_path, epochs=6, set=["train.validation_interval=4", "train.checkpoint_interval=2"])
    assert (at(found, "train.validation_interval"), at(found, "train.checkpoint_interval")) == (4, 2)


def test_intervals_are_not_longer_than_the_training(tmp_path):
    found = launched(tmp_path, epochs=2, set=["train.validation_interval=5", "train.checkpoint_interval=5"])
    assert (at(found, "train.validation_interval"), at(found, "train.checkpoint_interval")) == (2, 2)


def test_checkpoints_are_counted_in_epochs(tmp_path):
    found = launched(tmp_path, set="train.checkpoint_interval_unit=step")
    assert at(found, "train.checkpoint_interval_unit") == "epoch"


@pytest.mark.parametrize(
    "text",
    [
        "train.checkpoint_interval=0",
        "train.validation_interval=0",
        "train.num_epochs=0",
        "train.num_epochs=null",
        "dataset.batch_size=-1",
    ],
)
def test_counts_below_one_are_refused(tmp_path, text):
    with pytest.raises(UsageError, match=text.split("=", maxsplit=1)[0].replace(".", r"\.")):
        launched(tmp_path, set=text)


@pytest.mark.parametrize(("gpus", "ids"), [(0, [0]), (1, [0]), (2, [0, 1]), (0.5, [0])])
def test_gpu_ids_count_from_zero(tmp_path, gpus, ids):
    found = launched(tmp_path, gpus=gpus)
    assert (at(found, "train.num_gpus"), at(found, "train.gpu_ids")) == (len(ids), ids)


def test_gpu_ids_follow_a_number_that_was_set(tmp_path):
    found = launched(tmp_path, set="train.num_gpus=3")
    assert at(found, "train.gpu_ids") == [0, 1, 2]


def test_nodes_count_as_gpus_do_when_a_batch_is_too_large(tmp_path):
    dino = {"skill_dir": str(skills_dir() / "tao-train-dino"), "gpus": 1, "nodes": 2}
    asked = settings(tmp_path, **dino, set="dataset.batch_size=1")
    known, data = skill.load(asked["skill_dir"][0]), tmp_path
    split = (dataset.inspect(data / "train"),), (dataset.inspect(data / "val"),)
    found = launch.training(known, asked, Data(*split))
    assert (at(found, "train.num_nodes"), origin(found, "train.num_nodes")) == (2, "flag")
    assert launch.devices(known.facts, found.spec) == 2
    with pytest.raises(UsageError, match=r"dataset\.batch_size 2 on 2 GPU\(s\) is more than the 3 images"):
        launch.training(known, settings(tmp_path, **dino, set="dataset.batch_size=2"), Data(*split))


# The metric


def test_a_metric_is_known_by_its_alias_too(tmp_path):
    known = skill.load(SKILL)
    assert launch.metrics_of(known, settings(tmp_path))[0].name == "val_mAP50"
    assert launch.metrics_of(known, settings(tmp_path, metric="mAP50"))[0].name == "val_mAP50"
    with pytest.raises(UsageError, match="reports no metric 'val_los'") as raised:
        launch.metrics_of(known, settings(tmp_path, metric="val_los"))
    assert "'val_loss'" in raised.value.tip


def bank_skill(tmp_path, leaves=None, lines="", **changes):
    """A skill of a bank, with a few lines of automl.yaml."""
    folder = bank.write(tmp_path / "bank", "tao-train-net", {**bank.TRAINER, **(leaves or {})}, **changes)
    (folder / "automl.yaml").write_text(lines)
    return skill.load(folder)


def test_the_metric_of_a_model_without_facts_may_be_named(tmp_path):
    known = bank_skill(tmp_path, text=None)
    with pytest.raises(UsageError, match="nothing says by which metric model 'net' is tuned") as raised:
        launch.metrics_of(known, settings(tmp_path))
    assert "`metrics: {NAME: {direction: maximize}}`" in raised.value.tip
    assert str(known.folder / "automl.yaml") in raised.value.tip
    with pytest.raises(UsageError, match="nothing says which way 'val_f1' is better") as raised:
        launch.metrics_of(known, settings(tmp_path, metric="val_f1"))
    assert "`metrics: {'val_f1': {direction: maximize}}`" in raised.value.tip
    (found,) = launch.metrics_of(known, settings(tmp_path, metric="val_f1", direction="minimize"))
    assert found == Metric("val_f1", Direction.MINIMIZE)


def test_another_metric_than_the_one_a_text_names_may_be_chosen(tmp_path):
    known = bank_skill(tmp_path)
    assert launch.metrics_of(known, settings(tmp_path))[0].name == "val_miou"
    assert launch.metrics_of(known, settings(tmp_path, metric="miou"))[0].evaluate == "test_miou"
    assert launch.metrics_of(known, settings(tmp_path, metric="val_acc", direction="maximize"))[0].name == "val_acc"


@pytest.mark.parametrize("value", [None, -1, "auto", 2.5, float("nan")])
def test_what_a_template_leaves_open_counts_as_not_said(tmp_path, value):
    names = ("train.num_nodes", "train.validation_interval", "train.checkpoint_interval", "dataset.batch_size")
    keys = ", ".join(f"{name.rpartition('.')[2]}: {name}" for name in names)
    leaves = {name: {"type": "int", "default": value} for name in names}
    known = bank_skill(tmp_path, leaves, f"keys: {{{keys}}}\n")
    found = launch.training(known, settings(tmp_path), Data(), with_data=False)
    assert launch.devices(known.facts, found.spec) == 1
    assert launch.epochs(known, found.spec) == 10


def test_epochs_that_are_no_number_are_asked_for(tmp_path):
    leaves = {"train.num_epochs": {"type": "int", "default": None}}
    known = bank_skill(tmp_path, leaves, "keys: {epochs: train.num_epochs}\n")
    with pytest.raises(
        SkillError, match=r"train\.num_epochs holds no number of epochs in the spec template of net"
    ) as raised:
        launch.training(known, settings(tmp_path), Data(), with_data=False)
    assert "--epochs" in raised.value.tip
    found = launch.training(known, settings(tmp_path, epochs=3), Data(), with_data=False)
    assert launch.epochs(known, found.spec) == 3


def test_a_flag_for_a_key_that_the_model_lacks_is_refused(tmp_path):
    shutil.copytree(SKILL, tmp_path / "skill")
    facts = tmp_path / "skill" / "automl.yaml"
    facts.write_text(facts.read_text().replace("  num_classes: dataset.num_classes\n", ""))
    asked = settings(tmp_path, num_classes=5)
    data = Data((dataset.inspect(tmp_path / "train"),), (dataset.inspect(tmp_path / "val"),))
    with pytest.raises(UsageError, match="--num-classes: this model has no such key"):
        launch.training(skill.load(tmp_path / "skill"), asked, data)
