"""What every skill must keep, so that a new model needs no line of Python."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tao_automl import launch
from tao_automl.layout import skills_dir
from tao_automl.tao import checkpoint, fit, keypath, skill, spec
from tao_automl.tao.bank import Bank
from tao_automl.tao.dataset import Data
from tao_automl.tao.facts import ActiveFact
from tao_automl.tao.schema import MISSING, Schema
from tao_automl.tao.skill import Skill

FOLDERS = sorted(path.parent for path in skills_dir().glob("*/SKILL.md"))
NAME = re.compile(r"[a-z_]+(?:\.[a-z_0-9]+)+")
SOURCES = {"train_datasets", "eval_dataset", "inference_dataset", "calibration_dataset"}


def test_there_are_skills() -> None:
    assert FOLDERS


@cache
def _loaded(folder: Path) -> Skill:
    return skill.load(folder)


class SkillContract:
    """The contract. A subclass gives the fixture `model`."""

    @pytest.fixture
    def model(self) -> Skill:
        raise NotImplementedError

    @pytest.fixture
    def schema(self, model: Skill) -> Schema:
        return model.schema("train")

    @pytest.fixture
    def template(self, model: Skill) -> dict[str, Any]:
        return model.template("train")

    def test_it_can_be_trained_and_tuned(self, model: Skill) -> None:
        assert model.automl_enabled
        assert {"train", "evaluate", "export"} <= set(model.actions)

    def test_it_is_found_by_each_of_its_names(self, model: Skill) -> None:
        for name in (model.model, model.name, model.network_arch):
            assert Bank.of(model.folder.parent).find(name) == model

    def test_each_action_has_a_schema_and_a_template_that_fit(self, model: Skill) -> None:
        for action in model.actions:
            schema, template = model.schema(action), model.template(action)
            assert schema.action in (action, f"deploy_{action}")
            for path, value in keypath.flatten(template).items():
                schema.check(path, value)
            missing = [path for path in schema.fields if keypath.get(template, path, MISSING) is MISSING]
            assert not [path for path in missing if schema.fields[path].default is not MISSING]

    def test_each_template_is_the_schemas_default(self, model: Skill) -> None:
        for action in model.actions:
            assert spec.differences(model.template(action), model.schema(action).default) == {}

    def test_each_spec_is_read_back_as_it_is_written(self, model: Skill) -> None:
        for action in model.actions:
            built = spec.build(model.template(action), {model.facts.keys.results_dir: "/results"}, {})
            assert spec.load(spec.dump(built)) == built

    def test_each_action_is_a_command_with_a_place_for_the_spec(self, model: Skill) -> None:
        for action in model.actions.values():
            assert action.command.split().count("{config_path}") == 1
            assert action.command.count("{") == 1
            assert ":" in action.image
            assert action.task in action.command.split()
            assert action.config_format == "yaml"

    def test_each_key_of_an_action_is_in_its_template(self, model: Skill) -> None:
        for action in model.actions.values():
            template, schema = model.template(action.name), model.schema(action.name)
            for path in (*action.inputs, *action.outputs, *action.spec_params):
                assert schema.has(path)
                if path in schema.fields and schema.fields[path].default is not MISSING:
                    keypath.get(template, path)

    def test_each_data_source_is_in_the_template(self, model: Skill) -> None:
        for action in model.actions.values():
            template, schema = model.template(action.name), model.schema(action.name)
            for source in action.data_sources:
                assert source.source in SOURCES
                parts: Any = "/a" if set(source.files) == {""} else dict.fromkeys(source.files, "/a")
                value = [parts] if source.as_list else parts
                schema.check(source.key, value)
                present = keypath.get(template, source.key)
                assert isinstance(present, list) == source.as_list
                first = present[0] if isinstance(present, list) and present else present
                assert isinstance(first, dict) == isinstance(parts, dict)
                if isinstance(parts, dict):
                    assert "image_dir" in set(parts) & set(first)

    def test_training_names_data_to_train_on_and_to_validate_on(self, model: Skill) -> None:
        sources = {source.source for source in model.actions["train"].data_sources}
        assert {"train_datasets", "eval_dataset"} <= sources

    def test_the_schema_is_understood(self, schema: Schema) -> None:
        assert not schema.strays
        assert schema.default_set
        assert {path: item.problem for path, item in schema.fields.items() if item.problem} == {}
        for item in schema.fields.values():
            assert all(parent in schema.fields for parent in item.depends_on)

    def test_nothing_that_is_searched_by_default_is_disabled(self, schema: Schema) -> None:
        assert not schema.disabled & set(schema.default_set)
        assert all(schema.field(path).automl_enabled for path in schema.default_set)

    def test_each_path_of_the_facts_is_in_the_train_schema(self, model: Skill, schema: Schema) -> None:
        for path in _named(model):
            schema.check(path, None)

    def test_each_other_name_of_a_key_leads_to_one(self, model: Skill) -> None:
        schemas = [model.schema(action) for action in model.actions]
        for name, path in model.shorthand.items():
            assert any(schema.has(path) for schema in schemas), name

    def test_each_rule_looks_at_keys_of_the_train_schema(self, model: Skill, schema: Schema) -> None:
        for rule in model.facts.require:
            assert all(path.startswith("data.") or schema.has(path) for path in rule.paths()), rule.rule

    def test_the_spec_that_is_launched_obeys_the_rules(self, model: Skill, template: dict[str, Any]) -> None:
        launched = spec.build(template, {item.path: item.value for item in model.facts.launch}, {})
        fit.check_rules(model.facts, launched, Data())

    def test_what_is_refused_is_an_action_with_such_keys(self, model: Skill) -> None:
        for fact in model.facts.after.refusals:
            schema = model.schema(model.action(fact.action).name)
            assert all(schema.has(path) for path in (*fact.when, *fact.unless)), fact

    def test_what_is_carried_under_another_name_is_where_it_comes_from_and_goes_to(self, model: Skill) -> None:
        schemas = [model.schema(action) for action in model.actions]
        known = [path for schema in schemas for path in schema.fields]
        for move in model.facts.after.moves:
            for end in (move.source, move.target):
                group = end.rpartition(".")[0]
                assert any(launch.is_below(path, end) for path in known) or group in known, end

    def test_captions_go_to_an_input(self, model: Skill) -> None:
        key = model.facts.data.captions
        assert key is None or any(key in action.inputs for action in model.actions.values())

    def test_each_launch_value_has_the_right_type(self, model: Skill, schema: Schema) -> None:
        for item in model.facts.launch:
            schema.check(item.path, item.value)

    def test_each_range_lies_within_the_schema(self, model: Skill, schema: Schema) -> None:
        for path, item in model.facts.search.ranges.items():
            field = schema.field(path)
            for bound in (item.low, item.high):
                assert bound is None or not isinstance(field.minimum, (int, float)) or bound >= field.minimum
                assert bound is None or not isinstance(field.maximum, (int, float)) or bound <= field.maximum
            for choice in item.choices or ():
                schema.check(path, choice)

    def test_what_is_searched_also_is_not_searched_anyway(self, model: Skill, schema: Schema) -> None:
        search = model.facts.search
        assert not set(search.also) & set(schema.default_set)
        assert not set(search.also) & set(search.keep)

    def test_the_metric_is_one_that_evaluate_reports_too(self, model: Skill) -> None:
        assert model.facts.metrics[model.facts.metric].evaluate
        names = [name for item in model.facts.metrics.values() for name in (item.name, *item.aliases)]
        assert len(names) == len(set(names))

    def test_a_checkpoint_is_found_by_its_name(self, model: Skill, tmp_path: Path) -> None:
        names = model.facts.checkpoints
        (tmp_path / names.file.format(epoch=3, step=40)).touch()
        (tmp_path / names.latest).symlink_to(names.file.format(epoch=3, step=40))
        found = checkpoint.scan(tmp_path, names)
        assert [(item.epoch, item.best) for item in found] == [(3, False)]
        if names.best_file:
            (tmp_path / names.best_file.format(epoch=2)).touch()
            assert [item.epoch for item in checkpoint.scan(tmp_path, names) if item.best] == [2]


def _named(model: Skill) -> Iterator[str]:
    """Every key path that automl.yaml and the shorthand name."""
    facts = model.facts
    yield from (path for path in vars(facts.keys).values() if path is not None)
    yield from (item.path for item in facts.launch)
    yield from facts.carry
    for metric in facts.metrics.values():
        yield from metric.needs
    yield from (*facts.search.ranges, *facts.search.also, *facts.search.keep)
    for active in facts.search.active:
        yield from _conditions(active)
    for rule in facts.search.rules:
        yield from NAME.findall(rule)


def _conditions(active: ActiveFact) -> Iterator[str]:
    yield active.path
    for mapping in (*active.when, *active.unless):
        for path, value in mapping.items():
            yield path
            if isinstance(value, str) and value[:1] in "<>":
                yield from NAME.findall(value)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
class TestEverySkill(SkillContract):
    @pytest.fixture
    def model(self, folder: Path) -> Skill:
        return _loaded(folder)
