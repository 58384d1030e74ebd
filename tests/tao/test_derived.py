"""What is known of a model that nobody has written an automl.yaml for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tao_automl.errors import ConfigError, SkillError
from tao_automl.tao import derived, skill
from tao_automl.tao.facts import CheckpointNames, Facts, Keys, LaunchValue
from tao_automl.tao.metric import Direction, Metric
from tests.fakes.bank import TRAINER, write

Known = Callable[..., Facts]


@pytest.fixture
def known(tmp_path: Path) -> Known:
    """The facts of a skill: known(leaves, **keys of skill_info.yaml)."""

    def make(leaves: Any = TRAINER, name: str = "tao-train-net", lines: str | None = None, **changes: Any) -> Facts:
        folder = write(tmp_path, name, leaves, **changes)
        if lines is not None:
            (folder / "automl.yaml").write_text(lines)
        return skill.load(folder).facts

    return make


def without(*paths: str) -> dict[str, Any]:
    return {path: leaf for path, leaf in TRAINER.items() if path not in paths}


@pytest.mark.parametrize(
    ("folder", "model"),
    [
        ("tao-train-dep-net-v2", "dep_net_v2"),
        ("tao-finetune-nv-x", "nv_x"),
        ("My Model", "my_model"),
        ("tao-train-3d", "model_3d"),
    ],
)
def test_a_model_is_called_as_its_folder(folder: str, model: str) -> None:
    assert derived.model_of(Path("/bank") / folder) == model


def test_the_keys_of_a_trainer_are_found(known: Known) -> None:
    assert known().keys == Keys(
        epochs="train.num_epochs",
        validation_interval="train.validation_interval",
        checkpoint_interval="train.checkpoint_interval",
        batch_size="dataset.batch_size",
        num_gpus="train.num_gpus",
        gpu_ids="train.gpu_ids",
        num_nodes="train.num_nodes",
        seed="train.seed",
    )


def test_a_trainer_of_another_kind_has_other_keys(known: Known) -> None:
    leaves = {
        "train.epoch": {"type": "int", "default": 10},
        "train.output_dir": {"type": "string", "default": "/r"},
        "train.train_batch_per_replica": {"type": "int", "default": 32},
        "policy.shards": {"type": "int", "default": 1},
    }
    short = {"num_epochs": "train.epoch", "batch_size": "train.train_batch_per_replica"}
    params = {"train": {"train.output_dir": "output_dir"}}
    facts = known(leaves, gpu_spec_key="policy.shards", spec_shorthand_keys=short, spec_params=params)
    assert facts.keys == Keys(
        epochs="train.epoch",
        results_dir="train.output_dir",
        batch_size="train.train_batch_per_replica",
        num_gpus="policy.shards",
    )
    assert facts.checkpoints.folder == "."


def test_without_a_shorthand_a_key_is_known_by_its_name(known: Known) -> None:
    leaves = {
        **without("dataset.batch_size", "train.num_epochs"),
        "train.epochs": {"type": "int", "default": 4},
        "dataset.val_dataset.batch_size": {"type": "int", "default": 1},
        "dataset.train_dataset.batch_size": {"type": "int", "default": 4},
        "export.batch_size": {"type": "int", "default": -1},
    }
    keys = known(leaves, spec_shorthand_keys={}).keys
    assert (keys.epochs, keys.batch_size) == ("train.epochs", "dataset.train_dataset.batch_size")


@pytest.mark.parametrize("value", [None, "auto", "${eval: 1}", True])
def test_a_key_that_holds_no_number_is_none(known: Known, value: Any) -> None:
    leaves = {**TRAINER, "train.num_nodes": {"type": "int", "default": value}}
    assert known(leaves).keys.num_nodes is None


def test_without_epochs_the_line_to_write_is_said(known: Known, tmp_path: Path) -> None:
    leaves = {**without("train.num_epochs"), "train.rounds": {"type": "int", "default": 5}}
    with pytest.raises(SkillError, match="nothing says how many epochs a training of net has") as caught:
        known(leaves, spec_shorthand_keys={})
    assert "`keys: {epochs: KEY}`" in caught.value.tip
    assert str(tmp_path / "tao-train-net" / "automl.yaml") in caught.value.tip
    lines = "keys: {epochs: train.rounds}\n"
    assert known(leaves, lines=lines, spec_shorthand_keys={}).keys.epochs == "train.rounds"


@pytest.mark.parametrize(
    ("metric", "aliases", "evaluate"),
    [
        ("val_mAP50", ["mAP50"], "test_mAP50"),
        ("mAP50", ["val_mAP50"], "test_mAP50"),
        ("test_miou", ["val_miou", "miou"], "test_miou"),
        ("[bbox] val_mAP@50", ["[bbox] mAP@50"], "[bbox] test_mAP@50"),
        ("val/loss", ["loss"], "test/loss"),
        ("val Precision at Rank 1", ["Precision at Rank 1"], "test Precision at Rank 1"),
        ("train_loss", [], None),
    ],
)
def test_a_metric_has_its_names_in_training_and_evaluation(
    metric: str, aliases: list[str], evaluate: str | None
) -> None:
    assert derived.aliases(metric) == (aliases, evaluate)


def test_the_metric_is_the_one_the_text_names(known: Known) -> None:
    facts = known()
    assert facts.metric == "val_miou"
    assert facts.metrics == {"val_miou": Metric("val_miou", Direction.MAXIMIZE, ("miou",), "test_miou")}
    assert not facts.listed


def test_the_metric_of_skill_info_counts_before_the_text(known: Known, tmp_path: Path) -> None:
    write(tmp_path, "tao-train-net")
    actions = {"train": {"command": "net train {config_path}", "metric": "rmse", "metric_direction": "min"}}
    assert known(actions=actions).metrics["rmse"].direction is Direction.MINIMIZE


@pytest.mark.parametrize("text", [None, "no word of it", "**Monitoring metric:** val_acc"])
def test_a_metric_is_unknown_where_name_or_direction_is(known: Known, text: str | None) -> None:
    facts = known(text=text)
    assert (facts.metric, facts.metrics, facts.listed) == (None, {}, False)


def test_the_names_of_checkpoints_are_those_of_every_trainer(known: Known) -> None:
    assert known().checkpoints == CheckpointNames(
        "train", "model_epoch_{epoch:03d}_step_{step:05d}.pth", "*_model_latest.pth", "model_best_{epoch:03d}.pth"
    )


def test_what_needs_an_account_is_switched_off(known: Known) -> None:
    assert [(item.path, item.value) for item in known().launch] == [("wandb.enable", False)]
    assert known(without("wandb.enable")).launch == ()
    assert isinstance(known().launch[0], LaunchValue)


def test_the_structure_of_the_network_is_carried_but_no_file_of_it(known: Known) -> None:
    model = {"backbone.type": "vit", "backbone.pretrained_backbone_path": "/a", "queries": 300, "ckpt_file": ""}
    leaves = {f"model.{name}": {"type": "string", "default": value} for name, value in model.items()}
    assert known({**TRAINER, **leaves}).carry == ("model.backbone.type", "model.queries")


def test_a_title_is_short(known: Known) -> None:
    assert known().title == "Segments what it sees"
    assert known(description="word " * 40).title.endswith(" …")
    assert known(description=None).title == "net"


def test_lines_of_automl_yaml_lie_over_what_is_derived(known: Known) -> None:
    lines = "title: mine\nmetrics: {iou: {direction: maximize}}\ncheckpoints: {file: 'e{epoch}.ckpt'}\n"
    facts = known(lines=lines)
    assert (facts.title, facts.metric, list(facts.metrics), facts.listed) == ("mine", "iou", ["iou"], True)
    assert (facts.checkpoints.file, facts.checkpoints.folder) == ("e{epoch}.ckpt", "train")
    assert facts.keys.batch_size == "dataset.batch_size"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ("metricks: {}\n", r"automl\.yaml:1: unknown key 'metricks'"),
        ("title: a\nkeys: {epoch: a}\n", r"automl\.yaml:2: keys: unknown key 'epoch'"),
        ("metric: other\n", r"automl\.yaml:1: metric 'other' is not among the metrics"),
        ("- 1\n", r"automl\.yaml:1: .*not of type 'object'"),
        ("search: {ranges: {train.optim.lr: {low: 2, high: 1}}}\n", r"low 2 is not below high 1"),
    ],
)
def test_a_wrong_line_is_named(known: Known, lines: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        known(lines=lines)


def test_an_empty_automl_yaml_says_nothing(known: Known) -> None:
    assert known(lines="# to be written\n") == known()
