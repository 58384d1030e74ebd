"""What is wrong with a skill folder is said, file by file and key by key."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import yaml

from tao_automl import soundness
from tao_automl.layout import skills_dir
from tests.fakes import bank
from tests.fakes.tiny import SKILL

FOLDERS = sorted(path.parent for path in skills_dir().glob("*/SKILL.md"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound skill, to be spoilt."""
    return Path(shutil.copytree(SKILL, tmp_path / SKILL.name))


def change(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def spoilt(folder: Path, file: str, old: str, new: str) -> tuple[str, ...]:
    assert soundness.check(folder).problems == ()
    change(folder / file, old, new)
    return soundness.check(folder).problems


@pytest.mark.parametrize("shipped", FOLDERS, ids=lambda path: path.name)
def test_every_skill_that_we_ship_is_sound(shipped: Path) -> None:
    report = soundness.check(shipped)
    assert (report.problems, report.absent) == ((), ())
    assert report.searched is not None
    assert report.tunable is not None
    assert 0 < report.searched < report.tunable
    assert {"train", "evaluate", "export", "gen_trt_engine", "deploy_evaluate"} <= set(report.actions)


def test_broken_json_is_named_with_its_line(folder: Path) -> None:
    (problem,) = spoilt(folder, "schemas/train.schema.json", "{", "{,")
    assert "train.schema.json:1:2: broken JSON" in problem


def test_broken_facts_are_named_with_their_line(folder: Path) -> None:
    (problem,) = spoilt(folder, "automl.yaml", "metric: ", "metrik: ")
    assert "automl.yaml:" in problem
    assert soundness.check(folder).model is None


def test_a_missing_template_is_a_problem_unless_the_manifest_says_why(folder: Path) -> None:
    (folder / "references/spec_template_train.yaml").unlink()
    (problem,) = soundness.check(folder).problems
    assert "spec_template_train.yaml is missing" in problem
    manifest = folder / "schemas/manifest.json"
    manifest.write_text(json.dumps({"failures": {"train": "no such config class"}}))
    report = soundness.check(folder)
    assert report.problems == ()
    assert report.absent == (("train", "no such config class"),)


def test_a_template_and_its_schema_must_agree(folder: Path) -> None:
    path = folder / "references/spec_template_train.yaml"
    template = yaml.safe_load(path.read_text())
    template["train"]["num_epoch"] = template["train"].pop("num_epochs")
    path.write_text(yaml.safe_dump(template))
    unknown, missing = soundness.check(folder).problems
    assert "train template: train.num_epoch is not in the train schema" in unknown
    assert "train template: train.num_epochs is missing" in missing


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("automl.yaml", "dataset.num_classes", "dataset.num_clases", "automl.yaml: dataset.num_clases is not in"),
        (
            "references/skill_info.yaml",
            "results_dir: output_dir",
            "result_dir: output_dir",
            "spec parameter result_dir",
        ),
        ("references/skill_info.yaml", "{config_path}", "{config}", "its command must hold {config_path} once"),
    ],
)
def test_a_key_that_does_not_exist_is_named(folder: Path, file: str, old: str, new: str, said: str) -> None:
    assert any(said in problem for problem in spoilt(folder, file, old, new))


def test_a_rule_on_an_unknown_key_is_named(folder: Path) -> None:
    facts = folder / "automl.yaml"
    document = yaml.safe_load(facts.read_text())
    document.setdefault("search", {})["rules"] = ["train.optim.lr <= model.nothing"]
    facts.write_text(yaml.safe_dump(document))
    (problem,) = soundness.check(folder).problems
    assert "model.nothing" in problem


def test_a_skill_of_a_bank_without_facts_of_ours_is_sound_if_its_files_are(tmp_path: Path) -> None:
    known = bank.info("tao-train-seg")
    del known["actions"]["export"]
    report = soundness.check(bank.write(tmp_path, "tao-train-seg", actions=known["actions"]))
    assert report.problems == ()
    assert (report.searched, report.tunable) == (1, 1)


def test_a_skill_that_nothing_says_how_to_tune_is_not_sound(tmp_path: Path) -> None:
    actions = {"train": bank.info("tao-train-mute")["actions"]["train"]}
    (problem,) = soundness.check(bank.write(tmp_path, "tao-train-mute", text=None, actions=actions)).problems
    assert "nothing says by which metric mute is tuned" in problem


def test_what_is_said_of_later_actions_is_about_keys_that_there_are(folder: Path) -> None:
    lines = (
        "carry: [{from: train.optim, to: exam}]\n"
        "refuse: [{action: train, when: {train.optim.lrr: 1}, why: broken}]\n"
        "data: {format: coco, captions: dataset.words}\n"
    )
    refused, carried, captions = spoilt(folder, "automl.yaml", "data: {format: coco}\n", lines)
    assert "train.optim.lrr is not in the train schema" in refused
    assert "exam is carried, which no action has" in carried
    assert "dataset.words takes the captions" in captions


def test_rules_and_refusals_are_about_what_there_is(folder: Path) -> None:
    lines = "require: [{rule: model.size < 3, why: it is small}]\nrefuse: [{action: exprot, why: broken}]\nlaunch:"
    named, refused = spoilt(folder, "automl.yaml", "launch:", lines)
    assert "the rule model.size < 3 names model.size" in named
    assert "there is no action exprot to refuse" in refused
