"""Whatever a bank's files hold, a model gets a space and a plan, or one clear sentence says why not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from optuna.trial import FixedTrial

from tao_automl import launch, plan
from tao_automl.config import Layer, resolve
from tao_automl.errors import AutoMLError
from tao_automl.search.space import SearchSpace
from tao_automl.tao.bank import Bank
from tao_automl.tao.skill import Skill
from tests.fakes import bank

ODD = st.sampled_from(
    [None, True, 0, -1, 2.5, "", "train.num_epochs", "a..b", "x y", [], ["a"], {}, {"a": 1}, {"train": "x"}, {"b": {}},
     {"type": "folder"}, float("inf"), "maximize", "{config_path}"]
)  # fmt: skip
LEAVES = {
    **bank.TRAINER,
    "train.optim.momentum": {"type": "float", "default": 0.9, "automl_enabled": True},
    "train.optim.optimizer": {"type": "categorical", "default": "AdamW", "enum": ["AdamW", "SGD"]},
    "train.optim.betas": {"type": "list", "default": [0.9, 0.999], "automl_enabled": True},
    "train.optim.lr_steps": {"type": "list_2", "default": [4, 8], "automl_enabled": True},
}


def places(tree: Any, above: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield (*above, key)
            yield from places(value, (*above, key))


def changed(tree: Any, place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    return {key: changed(item, place[1:], value) if key == place[0] else item for key, item in tree.items()}


def space_of(known: Skill) -> SearchSpace:
    asked = resolve([Layer("flag", {"model": known.model})])
    launched = launch.training(known, asked, launch.Data(), with_data=False)
    return plan.space(known, launched, asked, launch.epochs(known, launched.spec), samples=None)


def try_all(root: Path) -> None:
    """Every skill of a root, to its space and its metric; only clear errors may stand in the way."""
    known, broken = Bank.of(root).all()
    assert [item.error.message for item in broken if not item.error.message.strip()] == []
    for item in known:
        attempt(partial(space_of, item))
        attempt(partial(launch.metrics_of, item, resolve([])))


def attempt(step: Callable[[], Any]) -> None:
    try:
        made = step()
    except AutoMLError as error:
        assert error.message
        assert "\n" not in error.message
    else:
        if isinstance(made, SearchSpace):
            made.suggest(FixedTrial(made.centre()))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_skill_info_with_odd_values_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    root = tmp_path_factory.mktemp("bank")
    folder = bank.write(root, "tao-train-net", LEAVES)
    info = bank.info("tao-train-net")
    for _ in range(data.draw(st.integers(1, 3))):
        info = changed(info, data.draw(st.sampled_from(sorted(places(info), key=str))), data.draw(ODD))
        info = info if isinstance(info, dict) else {}
    (folder / "references" / "skill_info.yaml").write_text(yaml.safe_dump(info))
    try_all(root)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_a_template_that_is_not_the_schemas_is_launched_or_refused(
    tmp_path_factory: pytest.TempPathFactory, data: Any
) -> None:
    root = tmp_path_factory.mktemp("bank")
    template = bank.document(LEAVES)["default"]
    for _ in range(data.draw(st.integers(1, 4))):
        template = changed(template, data.draw(st.sampled_from(sorted(places(template), key=str))), data.draw(ODD))
    bank.write(root, "tao-train-net", LEAVES, template=template)
    try_all(root)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_an_automl_yaml_with_odd_lines_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    root = tmp_path_factory.mktemp("bank")
    folder = bank.write(root, "tao-train-net", LEAVES)
    text = (Path(__file__).parents[1] / "docs" / "skills.md").read_text()
    lines = yaml.safe_load(text.partition("```yaml\n")[2].partition("```")[0])
    kept = {key: lines[key] for key in data.draw(st.lists(st.sampled_from(sorted(lines)), max_size=4))}
    if kept:
        kept = changed(kept, data.draw(st.sampled_from(sorted(places(kept), key=str))), data.draw(ODD))
    (folder / "automl.yaml").write_text(yaml.safe_dump(kept))
    try_all(root)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        '{"properties": {}}',
        '{"properties": {"a": 1}}',
        '{"properties": []}',
        "{",
        "\x00",
        "[" * 9999,
    ],
)
def test_a_schema_of_any_text_is_read_or_refused(tmp_path: Path, text: str) -> None:
    folder = bank.write(tmp_path, "tao-train-net", LEAVES)
    (folder / "schemas" / "train.schema.json").write_text(text)
    try_all(tmp_path)


def test_files_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    for name, file in (("a", "SKILL.md"), ("b", "references/skill_info.yaml"), ("c", "schemas/train.schema.json")):
        folder = bank.write(tmp_path, f"tao-train-{name}", LEAVES)
        (folder / file).write_bytes(b"\xff\xfe\x00")
    folder = bank.write(tmp_path, "tao-train-d", LEAVES)
    (folder / "references" / "spec_template_train.yaml").unlink()
    (folder / "references" / "spec_template_train.yaml").mkdir()
    known, broken = Bank.of(tmp_path).all()
    assert ([item.model for item in known], [item.model for item in broken]) == (["a"], ["b", "c", "d"])
    try_all(tmp_path)


def test_an_index_that_lags_is_not_believed(tmp_path: Path) -> None:
    folder = bank.write(tmp_path, "tao-train-net", LEAVES)
    index = {"actions": {}, "automl_enabled": False, "failures": {"train": "no schema"}}
    (folder / "schemas" / "manifest.json").write_text(json.dumps(index))
    (tmp_path / "automl_support.json").write_text('{"supported": []}')
    (known,), broken = Bank.of(tmp_path).all()
    assert (broken, known.automl_enabled) == ((), True)
    paths = [item.path for item in space_of(known).parameters]
    assert "train.optim.lr" in paths
    assert {"train.optim.betas[0]", "train.optim.betas[1]"} <= set(paths)
