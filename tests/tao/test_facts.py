from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tao_automl.errors import ConfigError
from tao_automl.tao.facts import ActiveFact, CheckpointNames, Facts, LaunchValue, RangeFact
from tao_automl.tao.metric import Direction, Metric

ROOT = Path(__file__).parents[2]
FILE = Path(__file__).parents[1] / "data" / "skills" / "tao-train-toy" / "automl.yaml"


def edited(folder: Path, old: str, new: str) -> Path:
    text = FILE.read_text()
    assert text.count(old) == 1
    path = folder / "automl.yaml"
    path.write_text(text.replace(old, new))
    return path


def test_every_part_is_typed() -> None:
    facts = Facts.load(FILE)
    assert (facts.model, facts.title, facts.metric) == ("toy", "a model for tests", "val_mAP50")
    assert facts.metrics["val_mAP50"] == Metric("val_mAP50", Direction.MAXIMIZE, ("mAP50",), "test_mAP50")
    assert facts.metrics["val_loss"] == Metric("val_loss", Direction.MINIMIZE)
    assert facts.keys.epochs == "train.num_epochs"
    assert facts.keys.batch_size is None
    assert facts.checkpoints == CheckpointNames(
        "train", "model_epoch_{epoch:03d}_step_{step:05d}.pth", "toy_model_latest.pth", None
    )
    assert facts.data.format == "coco"
    assert facts.launch == (LaunchValue("train.precision", "fp32", "the safest choice"),)
    assert facts.carry == ("train.precision",)


def test_the_facts_of_the_search_are_typed() -> None:
    search = Facts.load(FILE).search
    assert search.ranges["train.lr"] == RangeFact(1e-5, 1e-2, log=True, why="as published")
    assert search.ranges["train.precision"] == RangeFact(choices=("fp32", "bf16"))
    assert search.also == ("train.momentum",)
    assert search.keep == {"dataset.workers": "it changes speed only"}
    momentum, decay, lr = search.active
    assert momentum == ActiveFact("train.momentum", ({"train.optimizer": "SGD"},))
    assert decay.when[0] == {"train.scheduler": "step", "train.step_size": "< train.num_epochs"}
    assert len(decay.when) == 2
    assert decay.unless == ()
    assert lr == ActiveFact("train.lr", unless=({"train.optimizer": "Ada*"},))
    assert search.rules == ("train.step_size <= train.num_epochs",)


def test_optional_parts_may_be_left_out(tmp_path: Path) -> None:
    path = tmp_path / "automl.yaml"
    path.write_text(
        "model: toy\nmetric: loss\nmetrics: {loss: {direction: minimize}}\n"
        "keys: {epochs: train.num_epochs, results_dir: results_dir}\n"
        "checkpoints: {folder: train, file: 'm_{epoch}.pth', latest: m_latest.pth}\n"
    )
    facts = Facts.load(path)
    assert (facts.title, facts.launch, facts.carry, facts.data.format) == ("toy", (), (), None)
    assert not facts.search.ranges


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("title: a model", "titel: a model", r"automl\.yaml:2: unknown key 'titel'"),
        (
            "why: it changes speed only",
            "reason: x",
            r"automl\.yaml:24: search\.keep\[0\]: unknown key 'reason'",
        ),
        (
            "direction: minimize",
            "direction: down",
            r"automl\.yaml:6: metrics\.val_loss\.direction: 'down' is not one of",
        ),
        (
            "metric: val_mAP50\n",
            "metric: val_mAP\n",
            r"automl\.yaml:3: metric 'val_mAP' is not among the metrics",
        ),
        ("model: toy\n", "model: To y\n", r"automl\.yaml:1: model: "),
        (
            "low: 1e-5, high: 1.0e-2",
            "low: 1e-1, high: 1.0e-2",
            r"automl\.yaml:20: .*low 0\.1 is not below high 0\.01",
        ),
        (
            "low: 1e-5, high: 1.0e-2",
            "low: 0, high: 1.0e-2",
            r"automl\.yaml:20: .*log range needs low above 0",
        ),
        ("low: 1e-5, high: 1.0e-2", "high: 1.0e-2", r"automl\.yaml:20: .*low and high are both needed"),
        ("low: 1e-5, high: 1.0e-2", "low: 1e-5, high: .inf", r"automl\.yaml:20: .*must be finite"),
        (
            "low: 1e-5, high: 1.0e-2",
            "low: 1e-5, high: 1, step: 0.1",
            r"automl\.yaml:20: .*log and step exclude",
        ),
        ("choices: [fp32, bf16]", "choices: [fp32, bf16], low: 1", r"automl\.yaml:21: .*choices exclude low"),
        (
            "num_classes: dataset.num_classes",
            "num_classes: dataset..n",
            r"automl\.yaml:10: .*'dataset\.\.n' is no key path",
        ),
        (
            "when: {train.optimizer: SGD}",
            "when: {a: 1}, unless: {b: 2}",
            r"automl\.yaml:26: .*exclude each other",
        ),
        ("also: [train.momentum]", "also: train.momentum", r"automl\.yaml:22: search\.also: "),
        ("epoch:03d", "e:03d", r"automl\.yaml:13: checkpoints\.file: "),
        ("  epochs: train.num_epochs\n", "", r"automl\.yaml:7: keys: 'epochs' is a required property"),
        ("model: toy\n", "", r"automl\.yaml:1: 'model' is a required property"),
        ("data: {format: coco}", "data: {format: voc}", r"automl\.yaml:15: data\.format: "),
        ("data: {format: coco}", "data: {format: coco", r"automl\.yaml:16:"),
        ("model: toy\n", "model: toy\naliases: {x: a..b}\n", r"automl\.yaml:2: aliases\.x: 'a\.\.b' is no key path"),
        (
            "direction: minimize",
            "direction: minimize, needs: {a..b: 1}",
            r"automl\.yaml:6: metrics\.val_loss\.needs: 'a\.\.b' is no key path",
        ),
    ],
)
def test_an_error_names_file_line_and_key(tmp_path: Path, old: str, new: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Facts.load(edited(tmp_path, old, new))


def test_a_misspelt_key_gets_near_matches(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        Facts.load(edited(tmp_path, "  num_classes:", "  num_clases:"))
    assert "unknown key 'num_clases'" in caught.value.message
    assert "'num_classes'" in caught.value.tip


def test_a_file_that_is_no_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "automl.yaml").write_text("- 1\n")
    with pytest.raises(ConfigError, match=r"automl\.yaml:1: .*is not of type 'object'"):
        Facts.load(tmp_path / "automl.yaml")
    with pytest.raises(ConfigError, match="is missing"):
        Facts.load(tmp_path / "none.yaml")


def test_the_lines_that_the_document_shows_are_understood(tmp_path: Path) -> None:
    text = (ROOT / "docs" / "skills.md").read_text()
    (block,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    path = tmp_path / "automl.yaml"
    path.write_text(block)
    facts = Facts.load(path)
    assert facts.metric == "val_miou"
    shape = json.loads((ROOT / "configs" / "automl.schema.json").read_text())["properties"]
    shown = yaml.safe_load(block)
    assert set(shown) <= set(shape)
    for part in ("keys", "checkpoints", "search"):
        assert set(shown[part]) == set(shape[part]["properties"])
