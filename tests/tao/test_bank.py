"""Folders of skills: the toy's has facts of ours, those of `tests.fakes.bank` have TAO's files only."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tao_automl.errors import ConfigError, SkillError, UsageError
from tao_automl.tao.bank import Bank
from tests.fakes import bank as fake

TOYS = Path(__file__).parents[1] / "data" / "skills"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A bank as TAO lays it out."""
    folder = tmp_path / "bank" / "skills" / "models"
    fake.write(folder, "tao-train-seg-net")
    fake.write(folder, "tao-finetune-talk", network_arch="chat", aliases=["Talk 3"])
    (tmp_path / "bank" / "skills" / "data" / "tao-data-io").mkdir(parents=True)
    (tmp_path / "bank" / "README.md").touch()
    return tmp_path / "bank"


@pytest.mark.parametrize("name", ["toy", "Toy", "tao-train-toy", "TAO_TRAIN_TOY", "toy_net", "toy-net"])
def test_a_model_has_many_names(name: str) -> None:
    assert Bank.of(TOYS).find(name).model == "toy"


@pytest.mark.parametrize("name", ["talk", "tao-finetune-talk", "chat", "talk 3", "Talk-3"])
def test_a_model_without_facts_is_called_as_its_folder_network_and_aliases(root: Path, name: str) -> None:
    assert Bank.of(root).find(name).model == "talk"


def test_a_model_is_found_in_a_folder_of_any_name(tmp_path: Path) -> None:
    shutil.copytree(TOYS / "tao-train-toy", tmp_path / "something")
    assert Bank.of(tmp_path).find("toy").name == "something"
    assert Bank.of(tmp_path / "something").find("toy").name == "something"


def test_skills_are_found_at_any_depth_and_other_folders_are_passed_over(root: Path) -> None:
    found, broken = Bank.of(root).all()
    assert ([item.model for item in found], broken) == (["seg_net", "talk"], ())
    assert Bank.of(root / "skills" / "data").all() == ((), ())


def test_an_unknown_model_gets_near_matches_over_all_roots(root: Path) -> None:
    for asked, near in (("seg_nett", "seg_net"), ("toyy", "toy")):
        with pytest.raises(UsageError) as caught:
            Bank.of(root, TOYS).find(asked)
        assert caught.value.message == f"no model '{asked}'"
        assert caught.value.tip == f"did you mean '{near}'? tao-automl models lists them"


def test_of_two_skills_of_one_name_the_first_root_counts(root: Path, tmp_path: Path) -> None:
    own = fake.write(tmp_path / "own", "tao-train-seg-net")
    assert Bank.of(tmp_path / "own", root).find("seg_net").folder == own
    assert Bank.of(root, tmp_path / "own").find("seg_net").folder != own
    found, _ = Bank.of(tmp_path / "own", root).all()
    assert [item.model for item in found] == ["seg_net", "talk"]


def test_a_model_that_is_called_so_in_an_earlier_root_goes_before_a_folder_of_that_name(tmp_path: Path) -> None:
    own = shutil.copytree(TOYS / "tao-train-toy", tmp_path / "mine")
    assert Bank.of(tmp_path, TOYS).find("toy").folder == own
    assert Bank.of(TOYS, tmp_path).find("toy").folder == TOYS / "tao-train-toy"


def test_a_network_of_several_models_is_no_name(root: Path) -> None:
    fake.write(root / "more", "tao-train-fast-talk", network_arch="chat")
    with pytest.raises(UsageError) as caught:
        Bank.of(root).find("chat")
    assert caught.value.message == "2 models are called 'chat'"
    assert caught.value.tip == "say which: fast_talk, talk"
    assert Bank.of(root).find("fast-talk").network_arch == "chat"


def test_a_folder_that_is_broken_does_not_hide_the_others(root: Path) -> None:
    folder = fake.write(root, "tao-train-aaa")
    (folder / "references" / "skill_info.yaml").write_text("actions: [\n")
    bank = Bank.of(root, TOYS)
    found, (broken,) = bank.all()
    assert [item.model for item in found] == ["seg_net", "talk", "toy"]
    assert (broken.model, broken.folder) == ("aaa", folder)
    assert "skill_info.yaml:2" in broken.error.message
    assert bank.find("toy_net").model == "toy"
    with pytest.raises(ConfigError, match="tao-train-aaa"):
        bank.find("aaa")


@pytest.mark.parametrize("file", ["schemas/train.schema.json", "references/spec_template_train.yaml"])
def test_a_skill_that_lacks_schema_or_template_says_so(root: Path, file: str) -> None:
    folder = fake.write(root, "tao-train-bare")
    (folder / file).unlink()
    with pytest.raises(SkillError, match=rf"AutoML is enabled for bare, but it is not runnable .*{file} is missing"):
        Bank.of(root).find("bare")


def test_lines_of_automl_yaml_may_stand_beside_a_bank_that_is_read_only(root: Path, tmp_path: Path) -> None:
    lines = tmp_path / "lines" / "tao-train-seg-net" / "automl.yaml"
    lines.parent.mkdir(parents=True)
    lines.write_text("metrics: {mean_iou: {direction: maximize}}\n")
    found = Bank.of(root, tmp_path / "lines").find("seg_net")
    assert (found.facts.metric, found.folder.parent.name) == ("mean_iou", "models")
    assert Bank.of(root, lenders=[tmp_path / "lines"]).find("seg_net").facts.metric == "mean_iou"
    assert Bank.of(root).find("seg_net").facts.metric == "val_miou"


def test_facts_of_another_release_are_left_out(root: Path, tmp_path: Path) -> None:
    lines = tmp_path / "lines" / "tao-train-seg-net" / "automl.yaml"
    lines.parent.mkdir(parents=True)
    lines.write_text("metrics: {mean_iou: {direction: maximize}}\nkeys: {seed: train.random.seed}\n")
    assert Bank.of(root, tmp_path / "lines").find("seg_net").facts.metric == "val_miou"


def test_a_folder_of_facts_alone_is_no_skill(tmp_path: Path) -> None:
    (tmp_path / "tao-train-x").mkdir()
    (tmp_path / "tao-train-x" / "automl.yaml").write_text("model: x\n")
    assert Bank.of(tmp_path).all() == ((), ())


def test_a_single_skill_needs_no_name(root: Path) -> None:
    assert Bank.of(root / "skills/models/tao-finetune-talk", lenders=[TOYS]).only().model == "talk"
    with pytest.raises(UsageError, match="no model is named") as caught:
        Bank.of(root).only()
    assert caught.value.tip.endswith(": seg_net, talk")
    with pytest.raises(UsageError, match="holds no skill"):
        Bank.of(root / "skills" / "data").only()


def test_a_root_that_is_no_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none is no folder"):
        Bank.of(tmp_path / "none")
