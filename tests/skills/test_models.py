"""Each skill says what TAO says of its model: every leaf of the train spec, every action of both containers."""

from __future__ import annotations

import csv
import json
import math
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tao_automl.layout import skills_dir
from tao_automl.tao import keypath, skill
from tao_automl.tao.schema import MISSING
from tao_automl.tao.skill import Action, Skill

DATA = Path(__file__).resolve().parents[1] / "data"
MODELS = ("dino", "deformable_detr", "grounding_dino", "mask_grounding_dino")
FLAGS = {"true": True, "false": False, "": None}
COLUMNS = {"default": "default", "min": "minimum", "max": "maximum", "enum": "enum"}
DEPLOYED = ("gen_trt_engine", "evaluate", "inference")

# Where a skill says something else than the facts, and why.
SOURCES: dict[tuple[str, str, str], dict[str, Any]] = {
    # Nobody has to train and validate on the same data: validation data is asked for, as for the other models.
    ("deformable_detr", "train", "dataset.val_data_sources"): {"source": "eval_dataset"},
    # The schema's value is one folder.
    ("mask_grounding_dino", "deploy_inference", "dataset.infer_data_sources.image_dir"): {"list": False},
}


@dataclass(frozen=True)
class Known:
    """What is known of a model: `params` has a row for each leaf, `facts` the rest."""

    params: list[dict[str, str]]
    facts: dict[str, Any]
    folder: Path

    def info(self, name: str = "skill_info.yaml") -> dict[str, Any]:
        content: dict[str, Any] = yaml.safe_load((self.folder / "references" / name).read_text(encoding="utf-8"))
        return content

    @property
    def deployed(self) -> dict[str, Any]:
        return self.info(self.folder.name.replace("train", "deploy", 1) + ".skill_info.yaml")

    def document(self, action: str) -> dict[str, Any]:
        text = (self.folder / "schemas" / f"{action}.schema.json").read_text(encoding="utf-8")
        content: dict[str, Any] = json.loads(text)
        return content

    def nodes(self, action: str = "train") -> dict[str, dict[str, Any]]:
        """The leaves of a schema as they are written, by path."""
        found: dict[str, dict[str, Any]] = {}

        def walk(properties: dict[str, Any], prefix: str) -> None:
            for name, node in properties.items():
                if "properties" in node:
                    walk(node["properties"], f"{prefix}{name}.")
                else:
                    found[prefix + name] = node

        walk(self.document(action)["properties"], "")
        return found


@cache
def known(model: str) -> Known:
    with (DATA / f"{model}_params.csv").open(encoding="utf-8") as file:
        params = list(csv.DictReader(file))
    facts = yaml.safe_load((DATA / f"{model}_actions.yaml").read_text(encoding="utf-8"))
    return Known(params, facts, skills_dir() / facts["skill"])


@cache
def loaded(model: str) -> Skill:
    return skill.load(known(model).folder)


def is_deployed(action: Action) -> bool:
    return action.image.endswith("-deploy")


def file_of(action: Action) -> str:
    """What the schema and the template of an action are called after."""
    return f"deploy_{action.task}" if is_deployed(action) else action.name


def per(values: Any) -> Any:
    """Each model with each of its values."""
    cases = [(model, value) for model in MODELS for value in values(model)]
    return pytest.mark.parametrize(("model", "value"), cases, ids=lambda item: item if isinstance(item, str) else "")


each_model = pytest.mark.parametrize("model", MODELS)
each_action = per(lambda model: loaded(model).actions)


@each_model
def test_the_train_schema_has_every_leaf_and_no_other(model: str) -> None:
    assert set(known(model).nodes()) == {row["path"] for row in known(model).params}


@each_model
def test_each_leaf_is_written_as_tao_writes_it(model: str) -> None:
    nodes = known(model).nodes()
    wrong = {}
    for row in known(model).params:
        node = nodes[row["path"]]
        stated = {key: json.loads(row[column]) for column, key in COLUMNS.items() if row[column] != ""}
        texts = {key: row[key] for key in ("type", "math_cond", "depends_on") if row[key]}
        flag = FLAGS[row["automl_enabled"]]
        expected = {**stated, **texts, **({} if flag is None else {"automl_enabled": flag})}
        compared = {key: node[key] for key in (*COLUMNS.values(), "type", "math_cond") if key in node}
        compared |= {key: node[key] for key in ("depends_on", "automl_enabled") if key in node}
        kinds = [(type(compared.get(key)), type(expected.get(key))) for key in ("default", "minimum", "maximum")]
        if compared != expected or any(ours is not theirs for ours, theirs in kinds) or not node["description"]:
            wrong[row["path"]] = (compared, expected)
    assert wrong == {}


@each_model
def test_what_others_depend_on_is_marked_as_parent(model: str) -> None:
    parents = {row["depends_on"] for row in known(model).params if row["depends_on"]}
    assert {path for path, node in known(model).nodes().items() if node.get("parent_param") == "TRUE"} == parents


@each_model
def test_the_default_set_is_that_of_tao(model: str) -> None:
    searched = {row["path"] for row in known(model).params if row["in_default_set"] == "true"}
    assert set(known(model).document("train")["automl_default_parameters"]) == searched
    assert set(loaded(model).schema("train").default_set) == searched


@each_model
def test_what_is_never_searched_is_listed(model: str) -> None:
    schema = loaded(model).schema("train")
    never = {row["path"] for row in known(model).params if row["automl_enabled"] == "false"}
    assert schema.disabled == never | schema.branches


@each_model
def test_the_file_holds_a_bare_infinity_as_tao_writes_it(model: str) -> None:
    text = (known(model).folder / "schemas/train.schema.json").read_text(encoding="utf-8")
    assert '"maximum": Infinity' in text
    assert not any(math.isinf(node.get("minimum", 0)) for node in known(model).nodes().values())


@each_action
def test_template_and_schema_have_the_same_leaves(model: str, value: str) -> None:
    schema, template = loaded(model).schema(value), loaded(model).template(value)
    for path, item in keypath.flatten(template).items():
        schema.check(path, item)
        assert path in schema.fields or any(path.startswith(f"{leaf}.") for leaf in schema.fields)
    for path, field in schema.fields.items():
        assert keypath.get(template, path, MISSING) == field.default


@each_action
def test_an_action_reads_its_own_group_and_not_anothers(model: str, value: str) -> None:
    action = loaded(model).actions[value]
    trained = {"train", "quantize", "wandb"}
    own = {action.task} | (set() if is_deployed(action) else trained)
    groups = {"evaluate", "export", "inference", "gen_trt_engine"} | trained
    assert groups & {path.split(".")[0] for path in loaded(model).schema(value).fields} == groups & own


@each_action
def test_all_actions_of_a_model_describe_a_key_alike(model: str, value: str) -> None:
    """But for `distill`, which only its own action describes in full."""
    train = known(model).nodes()
    file = file_of(loaded(model).actions[value])
    shared = {path: node for path, node in known(model).nodes(file).items() if path in train}
    assert shared == {path: train[path] for path in shared}


def test_distill_has_a_teacher_of_the_same_keys_none_searched() -> None:
    schema = loaded("dino").schema("distill")
    teacher = {path for path in schema.fields if path.startswith("distill.teacher.")}
    assert {path.removeprefix("distill.teacher.") for path in teacher} == {
        path.removeprefix("model.") for path in schema.fields if path.startswith("model.")
    }
    assert not any(schema.fields[path].automl_enabled for path in teacher)


@per(lambda model: known(model).facts["actions"])
def test_each_action_has_the_command_image_inputs_and_outputs(model: str, value: str) -> None:
    info = known(model).info()
    entry = {"container_image": info["container_image"], **info["actions"][value]}
    assert entry == known(model).facts["actions"][value]


@per(lambda model: known(model).facts["deploy"]["actions"])
def test_each_action_of_the_deploy_container_too(model: str, value: str) -> None:
    info = known(model).deployed
    entry = {"container_image": info["container_image"], **info["actions"][value]}
    assert entry == known(model).facts["deploy"]["actions"][value]


@each_model
def test_the_skill_has_these_actions_and_names(model: str) -> None:
    info, facts, read = known(model).info(), known(model).facts, loaded(model)
    assert set(info["actions"]) == set(facts["actions"])
    assert set(read.actions) == {*facts["actions"], "gen_trt_engine", "deploy_evaluate", "deploy_inference"}
    assert read.name == info["name"] == facts["skill"]
    for key in ("network_arch", "automl_enabled", "data_format", "gpu_spec_key", "spec_shorthand_keys"):
        assert info[key] == facts[key]
    assert known(model).deployed["spec_shorthand_keys"] == facts["deploy"]["spec_shorthand_keys"]


@each_model
def test_the_deploy_container_has_an_image_and_spec_templates_of_its_own(model: str) -> None:
    read = loaded(model)
    for task in DEPLOYED:
        name = task if task == "gen_trt_engine" else f"deploy_{task}"
        assert read.actions[name].task == task
        assert is_deployed(read.actions[name])
        assert (read.folder / f"references/spec_template_deploy_{task}.yaml").is_file()


@each_action
def test_each_action_gets_its_data(model: str, value: str) -> None:
    facts, action = known(model).facts, loaded(model).actions[value]
    stated = facts["data_sources"].get(action.task, {})
    if is_deployed(action):
        stated = facts["deploy"]["data_sources"].get(action.task, stated)
    expected = {key: {**entry, **SOURCES.get((model, value, key), {})} for key, entry in stated.items()}
    found = {
        source.key: {"source": source.source, "files": dict(source.files), "list": source.as_list}
        for source in action.data_sources
    }
    assert found == expected


@each_model
def test_each_input_that_is_needed_is_filled_by_data_by_the_parent_or_in_words(model: str) -> None:
    for action in loaded(model).actions.values():
        for key, needed in action.inputs.items():
            sources = tuple(source.key for source in action.data_sources)
            filled = key in action.spec_params or key.startswith(sources) or needed.type == "list"
            assert filled or needed.optional, (action.name, key)


@each_model
def test_the_facts_name_the_metrics_checkpoints_and_structure(model: str) -> None:
    stated, facts = known(model).facts, loaded(model).facts
    assert facts.metric == stated["metrics"]["tuned"]
    assert facts.metrics[facts.metric].direction.value == stated["metrics"]["direction"]
    reported = {item.name.replace("[segm]", "[bbox]") for item in facts.metrics.values()}
    assert reported <= set(stated["metrics"]["status"])
    assert set(stated["metrics"]["evaluate"]) <= {item.evaluate for item in facts.metrics.values()}
    names = {alias: item.name for item in facts.metrics.values() for alias in (*item.aliases, item.name)}
    assert all(names[alias] == name for alias, name in stated["metrics"]["alias"].items())
    assert facts.checkpoints.file == stated["checkpoints"]["pattern"]
    assert facts.checkpoints.latest == stated["checkpoints"]["latest"]
    assert set(stated["structural_parameters"]) <= set(facts.carry)


@each_model
def test_the_template_has_the_defaults_that_tao_documents(model: str) -> None:
    template, defaults = loaded(model).template("train"), known(model).facts["defaults"]
    assert {path: keypath.get(template, path) for path in defaults} == defaults


@each_model
def test_the_manifest_lists_every_schema_and_template(model: str) -> None:
    folder = known(model).folder
    manifest = json.loads((folder / "schemas/manifest.json").read_text(encoding="utf-8"))
    assert set(manifest["actions"]) == {file_of(action) for action in loaded(model).actions.values()}
    for name, entry in manifest["actions"].items():
        schema = json.loads((folder / entry["path"]).read_text(encoding="utf-8"))
        assert schema["x_tao_schema"]["action"] == name
        assert schema["x_tao_schema"]["schema_action"] == entry["schema_action"] == name.removeprefix("deploy_")
        assert (folder / entry["spec_template"]).is_file()
        for key in ("automl_default_parameters", "automl_disabled_parameters", "popular"):
            assert entry[key] == schema[key]
