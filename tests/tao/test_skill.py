from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tao_automl.errors import ConfigError, SkillError, UsageError
from tao_automl.tao import skill
from tao_automl.tao.skill import DataSource, Input

BANK = Path(__file__).parents[1] / "data" / "skills"


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    shutil.copytree(BANK, tmp_path / "skills")
    return tmp_path / "skills"


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_a_folder_is_read() -> None:
    toy = skill.load(BANK / "tao-train-toy")
    assert (toy.name, toy.model, toy.network_arch, toy.automl_enabled) == (
        "tao-train-toy",
        "toy",
        "toy_net",
        True,
    )
    assert toy.shorthand == {"num_epochs": "train.num_epochs"}
    assert list(toy.actions) == ["train", "export"]
    assert toy.facts.metric == "val_mAP50"


def test_an_action_has_its_command_image_inputs_and_outputs() -> None:
    train = skill.load(BANK / "tao-train-toy").action("train")
    assert train.command == "toy_net train -e {config_path}"
    assert train.image == "registry.example/toy:1"
    assert train.inputs == {
        "dataset.train[0].image_dir": Input("folder"),
        "train.pretrained": Input("file", True),
    }
    assert train.outputs == {"results_dir": "folder"}
    assert train.spec_params["train.pretrained"] == "ptm_if_no_resume_model"
    assert train.upload_excludes == ("inputs/",)


def test_an_action_may_have_an_image_of_its_own() -> None:
    export = skill.load(BANK / "tao-train-toy").action("export")
    assert export.image == "registry.example/toy:1-deploy"
    assert (export.config_format, export.inputs, export.data_sources) == ("yaml", {}, ())


def test_data_sources_are_plain_or_have_parts() -> None:
    many, plain = skill.load(BANK / "tao-train-toy").action("train").data_sources
    files = {"image_dir": "images.tar.gz", "json_file": "annotations.json"}
    assert many == DataSource("dataset.train", "train_datasets", True, files, as_list=True)
    assert plain == DataSource("dataset.val.json_file", "eval_dataset", False, {"": "annotations.json"}, optional=True)


def test_schema_and_template_are_read_when_asked_for() -> None:
    toy = skill.load(BANK / "tao-train-toy")
    assert toy.schema("train").default_set == ("train.lr",)
    assert toy.template("train")["train"]["lr"] == 2e-4


def test_an_unknown_action_gets_near_matches() -> None:
    with pytest.raises(UsageError) as caught:
        skill.load(BANK / "tao-train-toy").action("exprot")
    assert caught.value.message == "model 'toy' has no action 'exprot'"
    assert "'export'" in caught.value.tip


@pytest.mark.parametrize("file", ["schemas/train.schema.json", "references/spec_template_train.yaml"])
def test_a_missing_schema_or_template_is_told_as_such(bank: Path, file: str) -> None:
    (bank / "tao-train-toy" / file).unlink()
    toy = skill.load(bank / "tao-train-toy")
    with pytest.raises(SkillError) as caught:
        _ = toy.schema("train"), toy.template("train")
    assert caught.value.message == (
        "AutoML is enabled for toy, but it is not runnable until its schemas are generated: " + file + " is missing"
    )


def test_without_automl_the_missing_file_is_named_too(bank: Path) -> None:
    replace(bank / "tao-train-toy/references/skill_info.yaml", "automl_enabled: true", "automl_enabled: false")
    toy = skill.load(bank / "tao-train-toy")
    assert not toy.automl_enabled
    with pytest.raises(SkillError, match=r"^toy is not runnable .*export\.schema\.json is missing"):
        toy.schema("export")


def test_a_template_is_a_mapping(bank: Path) -> None:
    (bank / "tao-train-toy/references/spec_template_train.yaml").write_text("- 1\n")
    with pytest.raises(SkillError, match="is no spec"):
        skill.load(bank / "tao-train-toy").template("train")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("network_arch: toy_net", "arch: toy_net", r"skill_info\.yaml:1: network_arch is missing"),
        (
            "command: toy_net export -e {config_path}",
            "cmd: x",
            r"skill_info\.yaml:24: actions\.export\.command is missing",
        ),
        (
            "source: eval_dataset",
            "sauce: x",
            r"skill_info\.yaml:38: .*dataset\.val\.json_file\.source is missing",
        ),
        ("path: annotations.json\n", "paht: a\n", r"skill_info\.yaml:38: .*\.path is missing"),
        ("{path: annotations.json}", "{}", r"skill_info\.yaml:37: .*json_file\.path is missing"),
        (
            "inputs:\n      dataset.train[0].image_dir: {type: folder}",
            "inputs:\n      - a",
            r"skill_info\.yaml:1[0-9]:",
        ),
        ("  train:\n    command", "  trian:\n    command", r"skill_info\.yaml:9: there is no action train"),
    ],
)
def test_an_error_in_skill_info_names_file_and_line(bank: Path, old: str, new: str, words: str) -> None:
    replace(bank / "tao-train-toy/references/skill_info.yaml", old, new)
    with pytest.raises((SkillError, ConfigError), match=words):
        skill.load(bank / "tao-train-toy")


def test_a_folder_that_is_none_is_named(tmp_path: Path) -> None:
    with pytest.raises(SkillError, match=r"skill_info\.yaml is missing"):
        skill.load(tmp_path / "nothing")


DEPLOY = """\
network_arch: toy_net
container_image: registry.example/toy:1-deploy
spec_shorthand_keys: {num_epochs: wrong, precision: export.precision}
actions:
  export: {command: "toy_net export -e {config_path}", inputs: {export.file: {type: file}}}
  train: {command: "toy_net train -e {config_path}"}
  build: {command: "toy_net build -e {config_path}"}
"""


def test_the_deploy_container_has_actions_of_its_own(bank: Path) -> None:
    folder = bank / "tao-train-toy"
    (folder / "references/tao-deploy-toy.skill_info.yaml").write_text(DEPLOY)
    own, toy = skill.load(BANK / "tao-train-toy"), skill.load(folder)
    assert list(toy.actions) == ["train", "export", "deploy_train", "build"]
    assert toy.actions["train"] == own.actions["train"]
    assert toy.actions["export"].inputs == own.actions["export"].inputs  # both name it, in the same image
    assert {name: action.task for name, action in toy.actions.items()} == {
        "train": "train",
        "export": "export",
        "deploy_train": "train",
        "build": "build",
    }
    assert toy.shorthand == {"num_epochs": "train.num_epochs", "precision": "export.precision"}
    assert toy.automl_enabled


def test_the_deploy_container_has_spec_templates_of_its_own(bank: Path) -> None:
    folder = bank / "tao-train-toy"
    (folder / "references/tao-deploy-toy.skill_info.yaml").write_text(DEPLOY)
    (folder / "references/spec_template_deploy_train.yaml").write_text("results_dir: here\n")
    toy = skill.load(folder)
    assert toy.template("deploy_train") == {"results_dir": "here"}
    assert toy.schema("deploy_train").source == toy.schema("train").source  # without one of its own
    shutil.copy(folder / "schemas/train.schema.json", folder / "schemas/deploy_train.schema.json")
    assert toy.schema("deploy_train").source.endswith("deploy_train.schema.json")
    with pytest.raises(SkillError, match=r"spec_template_deploy_build\.yaml is missing"):
        toy.template("build")


def test_a_mistake_in_the_deploy_file_is_named_with_its_line(bank: Path) -> None:
    folder = bank / "tao-train-toy"
    (folder / "references/tao-deploy-toy.skill_info.yaml").write_text("actions:\n  build: {command: ''}\n")
    with pytest.raises(SkillError, match=r"tao-deploy-toy\.skill_info\.yaml:2: actions\.build\.command is missing"):
        skill.load(folder)


def test_other_names_of_keys_are_understood(bank: Path) -> None:
    folder = bank / "tao-train-toy"
    with (folder / "automl.yaml").open("a") as file:
        file.write("aliases: {optim.lr: train.lr}\n")
    assert skill.load(folder).shorthand == {"num_epochs": "train.num_epochs", "optim.lr": "train.lr"}


def test_tao_writes_outputs_and_parameters_in_other_places_too(bank: Path) -> None:
    info = bank / "tao-train-toy/references/skill_info.yaml"
    replace(info, "results_dir: folder", "results_dir: {type: folder}")
    replace(info, "data_sources:\n", "spec_params:\n  export: {results_dir: output_dir}\ndata_sources:\n")
    export = skill.load(bank / "tao-train-toy").action("export")
    assert skill.load(bank / "tao-train-toy").action("train").outputs == {"results_dir": "folder"}
    assert export.spec_params == {"results_dir": "output_dir", "export.checkpoint": "parent_model"}


@pytest.mark.parametrize(
    ("entry", "file"),
    [
        ("path: ''", ""),
        ("path_from_format: {coco: [videos.tar.gz, images.tar.gz], '*': x}", "videos.tar.gz"),
        ("path_from_format: {odvg: a.jsonl, '*': b.json}", "b.json"),
    ],
)
def test_a_source_is_a_file_a_folder_or_depends_on_the_format(bank: Path, entry: str, file: str) -> None:
    replace(
        bank / "tao-train-toy/references/skill_info.yaml",
        "path: annotations.json\n      optional",
        f"{entry}\n      optional",
    )
    _, plain = skill.load(bank / "tao-train-toy").action("train").data_sources
    assert plain.files == {"": file}


def test_an_image_that_tao_leaves_open_is_none(bank: Path) -> None:
    replace(
        bank / "tao-train-toy/references/skill_info.yaml",
        "container_image: registry.example/toy:1\n",
        "container_image: {policy: derived}\n",
    )
    assert skill.load(bank / "tao-train-toy").action("train").image is None


@pytest.mark.parametrize("name", ["spec_template_train.toml", "spec_template_train.json", "launch_spec.yaml"])
def test_a_template_may_have_another_format_or_name(bank: Path, name: str) -> None:
    info, references = bank / "tao-train-toy/references/skill_info.yaml", bank / "tao-train-toy/references"
    replace(info, "data_sources:\n", f"spec_templates: {{train: ../references/{name}}}\ndata_sources:\n")
    (references / "spec_template_train.yaml").unlink()
    texts = {".toml": "[train]\nlr = 3e-4\n", ".json": '{"train": {"lr": 3e-4}}', ".yaml": "train: {lr: 3e-4}\n"}
    (references / name).write_text(texts[Path(name).suffix])
    assert skill.load(bank / "tao-train-toy").template("train") == {"train": {"lr": 3e-4}}
