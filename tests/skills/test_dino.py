"""The DINO skill says what TAO says: every leaf of its train spec, every action."""

from __future__ import annotations

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from tao_automl.layout import skills_dir
from tao_automl.tao import keypath, skill
from tao_automl.tao.schema import MISSING
from tao_automl.tao.skill import Skill

DATA = Path(__file__).resolve().parents[1] / "data"
PARAMS = list(csv.DictReader((DATA / "dino_params.csv").open(encoding="utf-8")))
FACTS: dict[str, Any] = yaml.safe_load((DATA / "dino_actions.yaml").read_text(encoding="utf-8"))
FOLDER = skills_dir() / "tao-train-dino"
ACTIONS = list(FACTS["actions"])
FLAGS = {"true": True, "false": False, "": None}


@pytest.fixture(scope="module")
def dino() -> Skill:
    return skill.load(FOLDER)


@pytest.fixture(scope="module")
def nodes() -> dict[str, dict[str, Any]]:
    """The leaves of the train schema as they are written, by path."""
    found: dict[str, dict[str, Any]] = {}

    def walk(properties: dict[str, Any], prefix: str) -> None:
        for name, node in properties.items():
            if "properties" in node:
                walk(node["properties"], f"{prefix}{name}.")
            else:
                found[prefix + name] = node

    walk(document("train")["properties"], "")
    return found


def document(action: str) -> dict[str, Any]:
    text = (FOLDER / "schemas" / f"{action}.schema.json").read_text(encoding="utf-8")
    content: dict[str, Any] = json.loads(text)
    return content


def test_the_train_schema_has_every_leaf_and_no_other(nodes: dict[str, dict[str, Any]]) -> None:
    assert set(nodes) == {row["path"] for row in PARAMS}


@pytest.mark.parametrize("row", PARAMS, ids=lambda row: row["path"])
def test_each_leaf_is_written_as_tao_writes_it(row: dict[str, str], nodes: dict[str, dict[str, Any]]) -> None:
    node = nodes[row["path"]]
    columns = {"default": "default", "min": "minimum", "max": "maximum", "enum": "enum"}
    stated = {key: json.loads(row[column]) for column, key in columns.items() if row[column] != ""}
    texts = {key: row[key] for key in ("type", "math_cond", "depends_on") if row[key]}
    flag = FLAGS[row["automl_enabled"]]
    expected = {**stated, **texts, **({} if flag is None else {"automl_enabled": flag})}
    compared = {key: node[key] for key in node if key in {*columns.values(), "type", "math_cond"}}
    compared |= {key: node[key] for key in ("depends_on", "automl_enabled") if key in node}
    assert compared == expected
    for key in ("default", "minimum", "maximum"):
        assert type(compared.get(key)) is type(expected.get(key))
    assert node["description"]


def test_what_others_depend_on_is_marked_as_parent(nodes: dict[str, dict[str, Any]]) -> None:
    parents = {row["depends_on"] for row in PARAMS if row["depends_on"]}
    assert {path for path, node in nodes.items() if node.get("parent_param") == "TRUE"} == parents


def test_the_default_set_is_that_of_tao(dino: Skill) -> None:
    searched = {row["path"] for row in PARAMS if row["in_default_set"] == "true"}
    assert set(document("train")["automl_default_parameters"]) == searched
    assert set(dino.schema("train").default_set) == searched


def test_what_is_never_searched_is_listed(dino: Skill) -> None:
    schema = dino.schema("train")
    never = {row["path"] for row in PARAMS if row["automl_enabled"] == "false"}
    assert schema.disabled == never | schema.branches


def test_the_file_holds_a_bare_infinity_as_tao_writes_it(nodes: dict[str, dict[str, Any]]) -> None:
    assert '"maximum": Infinity' in (FOLDER / "schemas/train.schema.json").read_text(encoding="utf-8")
    assert not any(math.isinf(node.get("minimum", 0)) for node in nodes.values())


@pytest.mark.parametrize("action", ACTIONS)
def test_template_and_schema_have_the_same_leaves(action: str, dino: Skill) -> None:
    schema, template = dino.schema(action), dino.template(action)
    for path, value in keypath.flatten(template).items():
        schema.check(path, value)
    for path, field in schema.fields.items():
        assert keypath.get(template, path, MISSING) == field.default
    for path in keypath.flatten(template):
        assert path in schema.fields or any(path.startswith(f"{leaf}.") for leaf in schema.fields)


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_reads_its_own_group_and_not_anothers(action: str, dino: Skill) -> None:
    own = {"train", "quantize", action}
    groups = {"evaluate", "export", "inference", "gen_trt_engine"}
    assert groups & {path.split(".")[0] for path in dino.schema(action).fields} == groups & own


def test_distill_has_a_teacher_of_the_same_keys_none_searched(dino: Skill) -> None:
    schema = dino.schema("distill")
    teacher = {path for path in schema.fields if path.startswith("distill.teacher.")}
    assert {path.removeprefix("distill.teacher.") for path in teacher} == {
        path.removeprefix("model.") for path in schema.fields if path.startswith("model.")
    }
    assert not any(schema.fields[path].automl_enabled for path in teacher)


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_has_the_command_image_inputs_and_outputs(action: str) -> None:
    info = yaml.safe_load((FOLDER / "references/skill_info.yaml").read_text(encoding="utf-8"))
    entry = {"container_image": info["container_image"], **info["actions"][action]}
    assert entry == FACTS["actions"][action]


def test_the_skill_has_these_actions_and_names(dino: Skill) -> None:
    info = yaml.safe_load((FOLDER / "references/skill_info.yaml").read_text(encoding="utf-8"))
    assert set(dino.actions) == set(ACTIONS)
    assert dino.name == info["name"] == FACTS["skill"]
    for key in ("network_arch", "automl_enabled", "data_format", "gpu_spec_key", "spec_shorthand_keys"):
        assert info[key] == FACTS[key]


@pytest.mark.parametrize("action", ACTIONS)
def test_each_action_gets_its_data(action: str, dino: Skill) -> None:
    found = {
        source.key: {"source": source.source, "files": dict(source.files), "list": source.as_list}
        for source in dino.actions[action].data_sources
    }
    assert found == FACTS["data_sources"].get(action, {})


def test_each_input_that_is_needed_is_filled_by_data_or_by_the_parent(dino: Skill) -> None:
    for action in dino.actions.values():
        for key, needed in action.inputs.items():
            sources = tuple(source.key for source in action.data_sources)
            filled = key in action.spec_params or key.startswith(sources)
            assert filled or needed.optional, (action.name, key)


def test_the_facts_name_the_metrics_checkpoints_and_structure(dino: Skill) -> None:
    facts = dino.facts
    assert set(facts.metrics) <= set(FACTS["metrics"]["status"])
    assert {item.evaluate for item in facts.metrics.values() if item.evaluate} == set(FACTS["metrics"]["evaluate"])
    names = {alias: item.name for item in facts.metrics.values() for alias in (*item.aliases, item.name)}
    assert all(names[alias] == name for alias, name in FACTS["metrics"]["alias"].items())
    assert facts.metrics[facts.metric].direction.value == FACTS["metrics"]["direction"]
    assert facts.checkpoints.file == FACTS["checkpoints"]["pattern"]
    assert facts.checkpoints.latest == FACTS["checkpoints"]["latest"]
    assert set(FACTS["structural_parameters"]) <= set(facts.carry)


def test_the_template_has_the_defaults_that_tao_documents(dino: Skill) -> None:
    template = dino.template("train")
    assert {path: keypath.get(template, path) for path in FACTS["defaults"]} == FACTS["defaults"]


def test_the_manifest_lists_every_schema_and_template(dino: Skill) -> None:
    manifest = json.loads((FOLDER / "schemas/manifest.json").read_text(encoding="utf-8"))
    assert set(manifest["actions"]) == set(dino.actions)
    for action, entry in manifest["actions"].items():
        schema = json.loads((FOLDER / entry["path"]).read_text(encoding="utf-8"))
        assert schema["x_tao_schema"]["action"] == action
        assert (FOLDER / entry["spec_template"]).is_file()
        for key in ("automl_default_parameters", "automl_disabled_parameters", "popular"):
            assert entry[key] == schema[key]
